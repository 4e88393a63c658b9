package webrtc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/jsep"
	"github.com/ctxrtc/webrtc/internal/testnet"
)

// slowestDescription is what a description may take before a test fails. It is
// far above the 50 ms that one should take, since the machine may be busy;
// BenchmarkP7_LongDescriptions tells what it does take.
const slowestDescription = 10 * time.Second

// browsersOffers are offers that peers in the wild have made.
func browsersOffers(tb testing.TB) map[string]string {
	tb.Helper()
	files, err := filepath.Glob("internal/jsep/testdata/*.sdp")
	require.NoError(tb, err)
	offers := make(map[string]string)
	for _, name := range files {
		if strings.Contains(name, "answer") {
			continue
		}
		text, err := os.ReadFile(name) //nolint:gosec // of the repository
		require.NoError(tb, err)
		offers[filepath.Base(name)] = string(text)
	}
	require.NotEmpty(tb, offers)

	return offers
}

// mangle makes of a description: every beginning of it, and it with every line
// left out, repeated, exchanged with the next, moved to the end, cut after its
// key, and filled with what no line has. Under the race detector it makes fewer
// beginnings.
func mangle(text string) iter.Seq2[string, string] {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	with := func(i int, replacement ...string) string {
		var b strings.Builder
		for j, line := range lines {
			if j == i {
				for _, r := range replacement {
					b.WriteString(r)
				}
			} else {
				b.WriteString(line)
			}
		}

		return b.String()
	}
	step := 1
	if raceEnabled {
		step = 13
	}

	return func(yield func(string, string) bool) {
		for i := 0; i < len(text); i += step {
			if !yield(fmt.Sprint("the first ", i, " bytes"), text[:i]) {
				return
			}
		}
		for i, line := range lines {
			next := ""
			if i+1 < len(lines) {
				next = lines[i+1]
			}
			swapped := append([]string(nil), lines...)
			if next != "" {
				swapped[i], swapped[i+1] = next, line
			}
			key, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
			for name, made := range map[string]string{
				"deleted":   with(i),
				"repeated":  with(i, line, line),
				"swapped":   strings.Join(swapped, ""),
				"at end":    with(i) + line,
				"cut":       with(i, key+"\r\n"),
				"cut at :":  with(i, key+":\r\n"),
				"half":      with(i, line[:len(line)/2]+"\r\n"),
				"not UTF-8": with(i, line[:len(line)/2]+"\xff\x00"+line[len(line)/2:]),
				"doubled":   with(i, strings.TrimRight(line, "\r\n")+" "+line),
				"999 times": with(i, strings.Repeat(line, 999)),
			} {
				if !yield(fmt.Sprintf("line %d %s", i+1, name), made) {
					return
				}
			}
		}
		for name, ending := range map[string]string{"LF": "\n", "CR": "\r", "no end of lines": "", "empty lines": "\r\n\r\n"} {
			if !yield(name, strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", ending)) {
				return
			}
		}
	}
}

// standing is what a refused description must leave alone.
type standing struct {
	position

	offer, answer              *description
	candidates                 int
	needed, wants, begun, runs bool
	transports                 transportStates
	connection                 PeerConnectionState
}

func standingOf(pc *PeerConnection) standing {
	pc.life.mu.Lock()
	defer pc.life.mu.Unlock()
	n := &pc.negotiation

	return standing{
		n.position(), n.createdOffer, n.createdAnswer, len(n.candidates), n.needed, n.wantsData, n.begun, n.gathers,
		pc.transports, pc.life.state,
	}
}

// takes is what became of many descriptions.
type takes struct {
	refused, taken int
	slowest        time.Duration // only where time is not virtual
	which          string
}

// offers sets a text as the peer's offer. A refused one has to leave all as it
// was; to one that is taken there is a good answer, or none with a reason, and
// then it is taken back.
func (o *takes) offers(t *testing.T, pc *PeerConnection, name, text string) {
	t.Helper()
	before := standingOf(pc)
	began := time.Now()
	err := pc.SetRemoteDescription(SessionDescription{SDPTypeOffer, text})
	if took := time.Since(began); took > o.slowest {
		o.slowest, o.which = took, name
	}
	if err != nil {
		o.refused++
		requireRefusedSDP(t, name, err)
		require.Equal(t, before, standingOf(pc), name)

		return
	}
	o.taken++
	began = time.Now()
	answer, err := pc.CreateAnswer(nil)
	if took := time.Since(began); took > o.slowest {
		o.slowest, o.which = took, "answer to "+name
	}
	var ours *Error
	if err != nil {
		require.ErrorAs(t, err, &ours, name)
	} else {
		read, failed := jsep.Parse(answer.SDP)
		require.NoError(t, failed, "%s:\n%s", name, answer.SDP)
		require.NoError(t, jsep.CheckAnswer(pc.negotiation.pendingRemote.values, read), "%s:\n%s\n%s", name, text, answer.SDP)
	}
	require.NoError(t, pc.SetRemoteDescription(SessionDescription{Type: SDPTypeRollback}), name)
	after := standingOf(pc)
	after.needed = before.needed // asked for anew: it was not while the offer was there
	require.Equal(t, before, after, name)
}

func requireRefusedSDP(t *testing.T, name string, err error) {
	t.Helper()
	var ours *Error
	require.ErrorAs(t, err, &ours, name)
	require.ErrorIs(t, err, ErrInvalidArgument, name)
	require.Less(t, len(err.Error()), 1000, "%s: the error has the whole description", name)
	var syntax *SDPSyntaxError
	if errors.As(err, &syntax) {
		require.NotErrorIs(t, syntax.Err, ErrInvalidArgument, name)
		require.GreaterOrEqual(t, syntax.Line, 0, name)
	}
}

// A connection that is new takes every mangled offer, one after the other, and
// then connects as if there had been none.
func TestP7_MangledOffers(t *testing.T) {
	testnet.Leaks(t)
	a, b := newPeer(t, SettingEngine{}, nil, 0), newPeer(t, SettingEngine{}, nil, 1)
	_, err := a.CreateDataChannel("chat", nil)
	require.NoError(t, err)
	require.NoError(t, a.SetLocalDescriptionContext(limited(t, testTimeout), SessionDescription{}))
	sources := browsersOffers(t)
	sources["our own"] = a.LocalDescription().SDP
	require.NoError(t, a.SetLocalDescription(SessionDescription{Type: SDPTypeRollback}))
	var all takes
	for source, text := range sources {
		var o takes
		o.offers(t, b, source, text)
		require.Equal(t, 1, o.taken, source)
		for name, mangled := range mangle(text) {
			all.offers(t, b, source+": "+name, mangled)
		}
	}
	t.Logf("%d refused, %d taken, the slowest in %v: %s", all.refused, all.taken, all.slowest, all.which)
	require.Greater(t, all.refused, 500)
	require.Greater(t, all.taken, 100)
	require.Less(t, all.slowest, slowestDescription, all.which)
	negotiate(t, a, b)
	connectPeers(t, a, b)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

// longDescriptions are of 1 MB, of everything that there can be much of.
func longDescriptions(offer string) map[string]string {
	const size = 1 << 20
	fill := func(begin, line string) string {
		return begin + strings.Repeat(line, (size-len(begin))/len(line))
	}
	head, section, _ := strings.Cut(offer, "m=")
	section = "m=" + section
	mids := head
	for i := 0; len(mids) < size-10; i++ {
		mids += fmt.Sprint(" ", i)
		if i == 100 { // the rest would take a while to make
			mids += strings.Repeat(" 1", (size-len(mids))/2)
		}
	}
	// Within all limits: sections full of candidates.
	var full strings.Builder
	full.WriteString("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE")
	for i := range jsep.MaxSections {
		fmt.Fprint(&full, " ", i)
	}
	full.WriteString("\r\n")
	candidates := strings.Repeat("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n", 80)
	for i := range jsep.MaxSections {
		kind := "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\n"
		if i == 7 {
			kind = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000\r\n"
		}
		fmt.Fprintf(&full, "%sc=IN IP4 0.0.0.0\r\na=mid:%d\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"+
			"a=setup:actpass\r\na=fingerprint:sha-256 %s00\r\n%s", kind, i, strings.Repeat("00:", 31), candidates)
	}

	return map[string]string{
		"zeros":              strings.Repeat("\x00", size),
		"letters":            strings.Repeat("a", size),
		"no UTF-8":           strings.Repeat("\xff", size),
		"empty lines":        strings.Repeat("\n", size),
		"empty lines, CRLF":  strings.Repeat("\r\n", size/2),
		"equals signs":       strings.Repeat("=", size),
		"versions":           fill("", "v=0\r\n"),
		"one line":           fill(offer+"a=", "x"),
		"digits":             fill("v=0\r\no=- ", "9"),
		"attributes":         fill(offer, "a=x\r\n"),
		"session attributes": fill("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "a=x\r\n"),
		"sections":           fill(head, section),
		"short sections":     fill(head, "m=a 0 a 0\r\n"),
		"candidates":         fill(offer, "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"),
		"fingerprints":       fill(offer, "a=fingerprint:sha-256 "+strings.Repeat("00:", 31)+"00\r\n"),
		"groups":             fill(head, "a=group:BUNDLE 0\r\n"),
		"mids":               mids + "\r\n" + section,
		"colons":             fill(offer+"a=fingerprint:sha-256 ", "00:"),
		"a SCTP handshake":   fill(strings.TrimSuffix(offer, "\r\n")+"\r\na=sctp-init:", "AAAA"),
		"a ufrag":            strings.Replace(offer, "a=ice-ufrag:", fill("a=ice-ufrag:", "x"), 1),
		"more than 1 MB":     fill(offer, "a=x\r\n") + strings.Repeat("a=y\r\n", 1<<20),
		"full":               full.String(),
	}
}

func TestP7_LongDescriptions(t *testing.T) {
	testnet.Leaks(t)
	a, b := newPeer(t, SettingEngine{}, nil, 0), newPeer(t, SettingEngine{}, nil, 1)
	_, err := a.CreateDataChannel("chat", nil)
	require.NoError(t, err)
	offer, err := a.CreateOffer(nil)
	require.NoError(t, err)
	var all takes
	for name, text := range longDescriptions(offer.SDP) {
		all.offers(t, b, name, text)
		for i := 1; i < 8; i++ {
			all.offers(t, b, fmt.Sprintf("%d of 8 parts of %s", i, name), text[:len(text)*i/8])
		}
	}
	t.Logf("%d refused, %d taken, the slowest in %v: %s", all.refused, all.taken, all.slowest, all.which)
	require.Less(t, all.slowest, slowestDescription, all.which)

	// As answers: none fits, and the offer stays.
	require.NoError(t, a.SetLocalDescriptionContext(limited(t, testTimeout), SessionDescription{}))
	before := standingOf(a)
	for name, text := range longDescriptions(offer.SDP) {
		for _, typ := range []SDPType{SDPTypeAnswer, SDPTypePranswer} {
			requireRefusedSDP(t, name, a.SetRemoteDescription(SessionDescription{typ, text}))
			require.Equal(t, before, standingOf(a), name)
		}
	}
	require.NoError(t, a.SetLocalDescription(SessionDescription{Type: SDPTypeRollback}))
	negotiate(t, a, b)
	connectPeers(t, a, b)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

func BenchmarkP7_LongDescriptions(b *testing.B) {
	pc, peer := newPeer(b, SettingEngine{}, nil, 0), newPeer(b, SettingEngine{}, nil, 1)
	_, err := peer.CreateDataChannel("chat", nil)
	require.NoError(b, err)
	offer, err := peer.CreateOffer(nil)
	require.NoError(b, err)
	for name, text := range longDescriptions(offer.SDP) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if pc.SetRemoteDescription(SessionDescription{SDPTypeOffer, text}) == nil {
					_, _ = pc.CreateAnswer(nil)
				}
			}
		})
	}
}

// Every mangled answer to one offer: refused ones change nothing, and a good one
// can follow. Where one is taken the connection has to end as it should.
func TestP7_MangledAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := testnet.Pair(t, testnet.Delay(time.Millisecond))
		fresh := func() *PeerConnection {
			a := newPeer(t, SettingEngine{}, network, 0)
			_, err := a.CreateDataChannel("chat", nil)
			require.NoError(t, err)
			require.NoError(t, a.SetLocalDescription(SessionDescription{}))

			return a
		}
		b := newPeer(t, SettingEngine{}, network, 1)
		a := fresh()
		require.NoError(t, b.SetRemoteDescription(*a.LocalDescription()))
		require.NoError(t, b.SetLocalDescriptionContext(limited(t, testTimeout), SessionDescription{}))
		text := b.LocalDescription().SDP
		before := standingOf(a)
		refused, taken := 0, 0
		for name, mangled := range mangle(text) {
			typ := SDPTypeAnswer
			if refused%2 == 1 {
				typ = SDPTypePranswer
			}
			err := a.SetRemoteDescription(SessionDescription{typ, mangled})
			if err != nil {
				refused++
				requireRefusedSDP(t, name, err)
				require.Equal(t, before, standingOf(a), name)

				continue
			}
			taken++
			require.NoError(t, a.Close())
			require.ErrorIs(t, a.Connect(t.Context()), ErrClosed, name)
			require.NoError(t, a.Run(t.Context()), name)
			a = fresh()
			before = standingOf(a)
		}
		require.Greater(t, refused, 20)
		require.Greater(t, taken, 5)
		// The connection that is left has refused some, and connects.
		require.Error(t, a.SetRemoteDescription(SessionDescription{SDPTypeAnswer, text[:len(text)/2]}))
		require.NoError(t, b.Close())
		c := newPeer(t, SettingEngine{}, network, 1)
		ctx := limited(t, testTimeout)
		require.NoError(t, c.SetRemoteDescriptionContext(ctx, *a.LocalDescription()))
		require.NoError(t, c.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.NoError(t, a.SetRemoteDescriptionContext(ctx, *c.LocalDescription()))
		connectPeers(t, a, c)
		requirePeersGone(t, network, a, c)
	})
}

// Mangled offers to a connection that is connected: a channel goes on, and a
// good offer is taken.
func TestP7_MangledOffersWhileConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t, testnet.Delay(time.Millisecond))
		channel, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		accepted, err := b.SCTP().AcceptDataChannel(t.Context())
		require.NoError(t, err)
		offer, err := b.CreateOffer(nil)
		require.NoError(t, err)
		var all takes
		for name, text := range mangle(offer.SDP) {
			all.offers(t, a, name, text)
		}
		for source, text := range browsersOffers(t) {
			all.offers(t, a, source, text)
		}
		require.Greater(t, all.refused, 20)
		require.Greater(t, all.taken, 5)
		exchange(t, channel, accepted)
		negotiate(t, b, a)
		exchange(t, channel, accepted)
		require.Equal(t, PeerConnectionStateConnected, a.ConnectionState())
		requirePeersGone(t, network, a, b)
	})
}

// FuzzRemoteDescription sets any text as the peer's offer, and as the answer to
// one of ours.
func FuzzRemoteDescription(f *testing.F) {
	for _, text := range browsersOffers(f) {
		f.Add(text)
	}
	certificate := *must(GenerateCertificate(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
	f.Fuzz(func(t *testing.T, text string) {
		pc, err := NewAPI(WithSettingEngine(onLoopback(SettingEngine{LoggerFactory: quietLogs}))).
			NewPeerConnection(Configuration{Certificates: []Certificate{certificate}})
		require.NoError(t, err)
		var o takes
		o.offers(t, pc, "offer", text)
		_, err = pc.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		require.NoError(t, pc.SetLocalDescription(SessionDescription{}))
		before := standingOf(pc)
		if err = pc.SetRemoteDescription(SessionDescription{SDPTypeAnswer, text}); err != nil {
			requireRefusedSDP(t, "answer", err)
			after := standingOf(pc)
			before.transports, after.transports = transportStates{}, transportStates{}
			require.Equal(t, before, after)
		}
		require.NoError(t, pc.Close())
		require.NoError(t, pc.Run(t.Context()))
	})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}

	return value
}
