package signal

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
)

func TestMessagesTravelOverAPipe(t *testing.T) {
	r, w := io.Pipe()
	from := NewConn(strings.NewReader(""), w)
	to := NewConn(r, io.Discard)
	defer to.Close()
	host := webrtc.ICECandidate{
		Typ: webrtc.ICECandidateTypeHost, Protocol: webrtc.ICEProtocolUDP, Address: "127.0.0.1", Port: 4711,
	}
	sent := []Message{
		{ICE: &webrtc.ICEParameters{UsernameFragment: "ufrag", Password: "password"}},
		{DTLS: &webrtc.DTLSParameters{Fingerprints: []webrtc.DTLSFingerprint{{Algorithm: "sha-256", Value: "00"}}}},
		{SCTP: &webrtc.SCTPCapabilities{MaxMessageSize: 1}},
		OfCandidate(&host),
		OfCandidate(nil),
		{App: []byte(`{"ready":true}`)},
	}
	go func() {
		defer w.Close()
		for _, m := range sent {
			if from.Send(m) != nil {
				return
			}
		}
	}()
	for i, want := range sent {
		m, err := to.Receive(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, m)
		candidate, err := m.RemoteCandidate()
		require.NoError(t, err)
		require.Equal(t, i == 3, candidate != nil)
		if candidate != nil {
			require.Equal(t, uint16(4711), candidate.Port)
		}
	}
	_, err := to.Receive(t.Context())
	require.ErrorIs(t, err, io.EOF)
}

func TestReceiveIsBoundedByItsContext(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	conn := NewConn(r, io.Discard)
	defer conn.Close()
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, err := conn.Receive(ctx)
	require.ErrorIs(t, err, reason)
}

func TestReceiveRefusesWhatIsNoMessage(t *testing.T) {
	for name, line := range map[string]string{
		"not JSON":       "hello",
		"no field":       "{}",
		"two fields":     `{"sctp":{"maxMessageSize":1},"app":1}`,
		"of other types": `{"ice":7}`,
		"empty":          "",
	} {
		t.Run(name, func(t *testing.T) {
			conn := NewConn(strings.NewReader(line+"\n"+`{"app":1}`+"\n"), io.Discard)
			_, err := conn.Receive(t.Context())
			require.ErrorContains(t, err, "line 1")
			m, err := conn.Receive(t.Context())
			require.NoError(t, err, "the next line is read all the same")
			require.Equal(t, "1", string(m.App))
		})
	}
	_, err := NewConn(strings.NewReader(strings.Repeat("x", maxLine+1)), io.Discard).Receive(t.Context())
	require.ErrorContains(t, err, "too long")
	require.Error(t, NewConn(strings.NewReader(""), io.Discard).Send(Message{}))
}

func TestDescriptions(t *testing.T) {
	offer := Description{Type: "offer", Messages: []Message{
		{SCTP: &webrtc.SCTPCapabilities{MaxMessageSize: 65536}},
		OfCandidate(nil),
	}}
	line, err := offer.Format()
	require.NoError(t, err)
	require.NotContains(t, line, "\n")
	plain, err := base64.StdEncoding.DecodeString(line)
	require.NoError(t, err)
	for _, text := range []string{line, "  " + line + "\r\n", string(plain)} {
		parsed, err := ParseDescription(text, "offer")
		require.NoError(t, err)
		require.Equal(t, offer, parsed)
	}
	for text, reason := range map[string]string{
		"":                                  "empty",
		"  ":                                "empty",
		"hello, there!":                     "neither",
		"aGVsbG8=":                          "no description: invalid character",
		line[:40]:                           "no description: unexpected end",
		`"x"`:                               "no description",
		`[1]`:                               "no description",
		`{"type":"off`:                      "no description: unexpected end",
		`{}`:                                "no description: it has no type",
		`null`:                              "no description: it has no type",
		`{"type":"answer","messages":[]}`:   "not \"offer\"",
		`{"type":"offer","messages":[{}]}`:  "message 1",
		`{"type":"offer","messages":"all"}`: "no description: messages cannot be a string",
	} {
		_, err := ParseDescription(text, "offer")
		require.ErrorContains(t, err, reason, "%q", text)
	}
}
