package main

import (
	"encoding/json"
	"flag"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
)

func TestParseMessage(t *testing.T) {
	m, err := parseMessage([]byte(`{"description":{"type":"offer","sdp":"v=0\r\n"}}`))
	require.NoError(t, err)
	assert.Equal(t, webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: "v=0\r\n"}, *m.Description)

	// As Chromium writes it.
	m, err = parseMessage([]byte(`{"candidate":{"candidate":"candidate:1 1 udp 1 127.0.0.1 9 typ host generation 0",
		"sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}}`))
	require.NoError(t, err)
	assert.Equal(t, "0", *m.Candidate.SDPMid)
	assert.Equal(t, "abcd", *m.Candidate.UsernameFragment)

	m, err = parseMessage([]byte(`{"candidate":{"candidate":""}}`))
	require.NoError(t, err)
	assert.Empty(t, m.Candidate.Candidate, "there are no more")

	m, err = parseMessage([]byte(`{"ask":"close"}`))
	require.NoError(t, err)
	assert.Equal(t, message{Ask: askClose}, m)

	for _, wrong := range []string{
		``, `null`, `{}`, `[]`, `"close"`, `{"ask":"close"} {}`, `{"ask":"close","more":1}`, `{"ask":1}`,
		`{"state":{"track":"ice","state":"new","at":0}}`, `{"ask":"close","error":"so"}`,
		`{"description":{"type":"proposal","sdp":""}}`, `{"ask":"close","candidate":{"candidate":""}}`,
	} {
		m, err = parseMessage([]byte(wrong))
		require.Error(t, err, wrong)
		assert.Zero(t, m)
	}
}

func TestTheLastCandidateHasAText(t *testing.T) {
	data, err := json.Marshal(message{Candidate: &webrtc.ICECandidateInit{}})
	require.NoError(t, err)
	var fields map[string]map[string]any
	require.NoError(t, json.Unmarshal(data, &fields))
	assert.Empty(t, fields["candidate"]["candidate"], "a browser wants it to be there")
	assert.Contains(t, fields["candidate"], "candidate")
}

func TestCommandLine(t *testing.T) {
	parse := func(args ...string) (options, error) {
		var o options
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		check := o.flags(flags)
		if err := flags.Parse(args); err != nil {
			return o, err
		}

		return o, check()
	}
	o, err := parse()
	require.NoError(t, err)
	assert.Equal(t, options{addr: "127.0.0.1:8080", wait: 5 * time.Minute}, o)
	o, err = parse("-addr", "127.0.0.1:0", "-loopback", "-keep", "-wait", "10s")
	require.NoError(t, err)
	assert.Equal(t, options{addr: "127.0.0.1:0", loopback: true, keep: true, wait: 10 * time.Second}, o)
	for _, wrong := range [][]string{{"-wait", "0"}, {"-wait", "soon"}, {"-port", "1"}} {
		_, err = parse(wrong...)
		require.Error(t, err, wrong)
	}
}
