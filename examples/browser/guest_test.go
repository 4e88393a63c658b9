package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
)

// guest does in Go what the page does.
type guest struct {
	*run

	t      *testing.T
	ctx    context.Context
	socket *websocket.Conn
	pc     *webrtc.PeerConnection
	states chan stateChange // of the program's
	gone   chan error       // how the WebSocket has ended
}

func newGuest(t *testing.T, r *run) *guest {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	socket, response, err := websocket.Dial(ctx, r.url+"session", nil)
	require.NoError(t, err)
	if response.Body != nil {
		require.NoError(t, response.Body.Close())
	}
	pc, err := newConnection(true)
	require.NoError(t, err)
	g := &guest{
		run: r, t: t, ctx: ctx, socket: socket, pc: pc,
		states: make(chan stateChange, 100), gone: make(chan error, 1),
	}
	t.Cleanup(func() {
		require.NoError(t, pc.Close())
		_ = socket.CloseNow()
	})
	go func() { g.gone <- g.listen() }()

	return g
}

func (g *guest) tell(m message) {
	data, err := json.Marshal(m)
	require.NoError(g.t, err)
	require.NoError(g.t, g.socket.Write(g.ctx, websocket.MessageText, data))
}

// listen takes what the program signals. Our own descriptions have all
// candidates with them.
func (g *guest) listen() error {
	for {
		_, data, err := g.socket.Read(g.ctx)
		if err != nil {
			return err
		}
		var m message
		if err = json.Unmarshal(data, &m); err != nil {
			return err
		}
		switch {
		case m.State != nil:
			g.states <- *m.State
		case m.Candidate != nil:
			err = g.pc.AddICECandidate(*m.Candidate)
		case m.Description != nil:
			err = g.pc.SetRemoteDescription(*m.Description)
			if err == nil && m.Description.Type == webrtc.SDPTypeOffer {
				g.describe()
			}
		}
		if err != nil {
			return err
		}
	}
}

func (g *guest) describe() {
	require.NoError(g.t, g.pc.SetLocalDescriptionContext(g.ctx, webrtc.SessionDescription{}))
	g.tell(message{Description: g.pc.LocalDescription()})
}

// offer makes the channels and the offer.
func (g *guest) offer() map[string]*webrtc.DataChannel {
	channels := map[string]*webrtc.DataChannel{}
	for _, label := range []string{chatLabel, pingLabel, bulkLabel} {
		channel, err := g.pc.CreateDataChannel(label, nil)
		require.NoError(g.t, err)
		channels[label] = channel
	}
	g.describe()
	for _, channel := range channels {
		opened := make(chan struct{})
		channel.OnOpen(func() { close(opened) })
		<-opened
	}

	return channels
}

func (g *guest) await(track, state string) {
	g.t.Helper()
	for {
		select {
		case change := <-g.states:
			if change.Track == track && change.State == state {
				return
			}
		case <-g.ctx.Done():
			g.t.Fatalf("%s has not become %s", track, state)
		}
	}
}

func (g *guest) useAll(channels map[string]*webrtc.DataChannel) {
	g.t.Helper()
	chat, ping, bulk := channels[chatLabel], channels[pingLabel], channels[bulkLabel]
	text := func(channel *webrtc.DataChannel) string {
		got, err := channel.ReceiveContext(g.ctx)
		require.NoError(g.t, err)

		return string(got.Data)
	}
	require.NoError(g.t, chat.SendTextContext(g.ctx, "hello"))
	assert.Equal(g.t, "HELLO", text(chat))
	_, err := io.WriteString(g.keys, "typed\n")
	require.NoError(g.t, err)
	assert.Equal(g.t, "typed", text(chat))

	require.NoError(g.t, ping.SendTextContext(g.ctx, "17"))
	assert.Equal(g.t, "17", text(ping))

	order := func(m bulkText) { require.NoError(g.t, sendBulkText(g.ctx, bulk, m)) }
	const messages = 200
	for range messages {
		require.NoError(g.t, bulk.SendContext(g.ctx, make([]byte, bulkMessage)))
	}
	order(bulkText{Over: true})
	var report bulkText
	for !report.Over {
		require.NoError(g.t, json.Unmarshal([]byte(text(bulk)), &report))
	}
	assert.EqualValues(g.t, messages*bulkMessage, report.Received)
	assert.Positive(g.t, report.MS)

	order(bulkText{Send: 0.1})
	bytes := 0
	for {
		got, err := bulk.ReceiveContext(g.ctx)
		require.NoError(g.t, err)
		if got.IsString {
			assert.JSONEq(g.t, `{"over":true}`, string(got.Data))

			break
		}
		bytes += len(got.Data)
	}
	assert.Positive(g.t, bytes)
}

func TestTheGuestOffersAndCloses(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("", func(t *testing.T) {
		g := newGuest(t, start(t, nil))
		g.useAll(g.offer())
		require.NoError(t, g.pc.Shutdown(g.ctx))
		g.await("connection", "closed")
		assert.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(<-g.gone))
		require.NoError(t, g.ended())
		assert.Contains(t, g.printed(t), "\nclosed by the page (EOF)\n")
	})
	assert.Zero(t, peer.Leftover(context.Background(), before), "goroutines")
}

func TestTheProgramOffersAndCloses(t *testing.T) {
	g := newGuest(t, start(t, nil))
	g.tell(message{Ask: askOffer})
	channels := map[string]*webrtc.DataChannel{}
	for range 3 {
		channel, err := g.pc.SCTP().AcceptDataChannel(g.ctx)
		require.NoError(t, err)
		channels[channel.Label()] = channel
	}
	assert.False(t, channels[pingLabel].Ordered())
	assert.Zero(t, *channels[pingLabel].MaxRetransmits())
	g.useAll(channels)
	g.tell(message{Ask: askClose})
	_, err := channels[chatLabel].ReceiveContext(g.ctx)
	require.ErrorIs(t, err, io.EOF)
	g.await("connection", "closed")
	require.NoError(t, g.ended())
}

// Both offers may meet: the program ignores the guest's then, who takes its own
// back.
func TestOffersThatCollide(t *testing.T) {
	g := newGuest(t, start(t, nil))
	_, err := g.pc.CreateDataChannel(chatLabel, nil)
	require.NoError(t, err)
	require.NoError(t, g.pc.SetLocalDescriptionContext(g.ctx, webrtc.SessionDescription{}))
	offer := g.pc.LocalDescription()
	g.tell(message{Ask: askOffer})
	g.tell(message{Description: offer})
	for range 3 {
		_, err = g.pc.SCTP().AcceptDataChannel(g.ctx)
		require.NoError(t, err)
	}
	require.NoError(t, g.pc.Shutdown(g.ctx))
	require.NoError(t, g.ended())
}

// Nothing that is still to be negotiated keeps the end up.
func TestACloseInTheMiddle(t *testing.T) {
	for range 5 {
		g := newGuest(t, start(t, nil))
		g.tell(message{Ask: askOffer})
		g.tell(message{Ask: askClose})
		select {
		case <-g.gone:
		case <-time.After(5 * time.Second):
			t.Fatal(g.printed(t))
		}
	}
}

func TestAGuestThatGoesAway(t *testing.T) {
	g := newGuest(t, start(t, nil))
	g.offer()
	g.await("connection", "connected")
	require.NoError(t, g.socket.CloseNow())
	require.NoError(t, g.ended())
	assert.Contains(t, g.printed(t), "\nthe page has gone\n")
}

// Who only looks does not end the program, and one is served after the other.
func TestGuestsOneByOne(t *testing.T) {
	r := start(t, nil)
	first := newGuest(t, r)
	first.await("connection", "new")
	second := newGuest(t, r)
	assert.Equal(t, websocket.StatusTryAgainLater, websocket.CloseStatus(<-second.gone))
	require.NoError(t, first.socket.CloseNow())
	for begin := time.Now(); ; {
		third := newGuest(t, r)
		select {
		case <-third.states:
		case <-third.gone: // the first has not gone yet
			require.Less(t, time.Since(begin), 5*time.Second)

			continue
		}
		third.offer()
		require.NoError(t, third.pc.Shutdown(third.ctx))

		break
	}
	require.NoError(t, r.ended())
}

func TestKeep(t *testing.T) {
	r := start(t, func(o *options) { o.keep, o.wait = true, time.Millisecond })
	g := newGuest(t, r)
	g.offer()
	require.NoError(t, g.pc.Shutdown(g.ctx))
	<-g.gone
	select {
	case <-r.done:
		t.Fatalf("it has ended: %v", r.err)
	case <-time.After(50 * time.Millisecond):
	}
	r.cancel(io.ErrClosedPipe)
	require.ErrorIs(t, r.ended(), io.ErrClosedPipe)
}

func TestNobodyComes(t *testing.T) {
	r := start(t, func(o *options) { o.wait = 10 * time.Millisecond })
	require.EqualError(t, r.ended(), "no page has connected within 10ms")
}

func TestAGuestThatMakesNoSense(t *testing.T) {
	for _, text := range []string{
		`hello`, `{}`, `{"ask":"jump"}`, `{"ask":"offer","candidate":{"candidate":""}}`,
		`{"candidate":{"candidate":"nonsense"}}`, `{"description":{"type":"answer","sdp":"v=0"}}`,
		`{"description":{"type":"offer","sdp":"v=0\r\nnonsense\r\n"}}`,
	} {
		t.Run(text, func(t *testing.T) {
			g := newGuest(t, start(t, nil))
			require.NoError(t, g.socket.Write(g.ctx, websocket.MessageText, []byte(text)))
			assert.Equal(t, websocket.StatusPolicyViolation, websocket.CloseStatus(<-g.gone))
			require.Error(t, g.ended())
			assert.NotErrorIs(t, g.ended(), context.DeadlineExceeded)
			assert.Contains(t, g.printed(t), "the session has failed: ")
		})
	}
}

func TestNamesAndOriginsOfOthers(t *testing.T) {
	r := start(t, nil)
	get := func(path, host, origin string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
		require.NoError(t, err)
		if host != "" {
			request.Host = host
		}
		if origin != "" {
			for name, value := range map[string]string{
				"Origin": origin, "Connection": "Upgrade", "Upgrade": "websocket",
				"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
			} {
				request.Header.Set(name, value)
			}
		}
		transport := &http.Transport{DisableKeepAlives: true}
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())

		return response.StatusCode
	}
	assert.Equal(t, http.StatusOK, get("", "", ""))
	assert.Equal(t, http.StatusOK, get("main.js", "localhost", ""))
	assert.Equal(t, http.StatusForbidden, get("", "evil.example:80", ""))
	assert.Equal(t, http.StatusForbidden, get("session", "evil.example", "http://evil.example"))
	assert.Equal(t, http.StatusForbidden, get("session", "", "http://evil.example"))
	assert.Equal(t, http.StatusSwitchingProtocols, get("session", "", strings.TrimSuffix(r.url, "/")))
}
