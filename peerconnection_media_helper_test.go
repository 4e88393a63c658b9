package webrtc

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// source is a track whose packets are numbered, and tell their number.
type source struct {
	*TrackLocalStaticRTP

	sent uint16
}

func newSource(t *testing.T, mimeType, id string, options ...func(*TrackLocalStaticRTP)) *source {
	t.Helper()
	track, err := NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: mimeType}, id, "stream", options...)
	require.NoError(t, err)

	return &source{TrackLocalStaticRTP: track}
}

// write sends the next packet.
func (s *source) write(t *testing.T) {
	t.Helper()
	s.sent++
	require.NoError(t, s.WriteRTP(&rtp.Packet{
		Header:  rtp.Header{Version: 2, SequenceNumber: s.sent, Timestamp: uint32(s.sent) * 900, Marker: true},
		Payload: s.payload(),
	}))
}

func (s *source) payload() []byte { return binary.BigEndian.AppendUint16([]byte(s.ID()), s.sent) }

// reaches checks that what is sent from now on is what the track reads, whatever
// was on its way before.
func (s *source) reaches(t *testing.T, track *TrackRemote) {
	t.Helper()
	s.write(t)
	for {
		p, _, err := track.ReadRTPContext(limited(t, testTimeout))
		require.NoError(t, err, s.ID())
		if string(p.Payload) == string(s.payload()) {
			return
		}
	}
}

// tracksOf are the tracks that a connection is told of.
func tracksOf(pc *PeerConnection) chan *TrackRemote {
	tracks := make(chan *TrackRemote, 100)
	pc.OnTrack(func(track *TrackRemote, _ *RTPReceiver) { tracks <- track })

	return tracks
}

// begins sends, and checks that the peer is told of a track, which it returns.
func (s *source) begins(t *testing.T, tracks chan *TrackRemote) *TrackRemote {
	t.Helper()
	s.write(t)
	select {
	case track := <-tracks:
		require.Equal(t, s.ID(), track.ID())
		require.Equal(t, s.Kind(), track.Kind())
		s.reaches(t, track)

		return track
	case <-limited(t, testTimeout).Done():
		require.FailNow(t, "no track", s.ID())
	}

	return nil
}

// silent checks that what a source sends goes nowhere.
func (s *source) silent(t *testing.T, network *testnet.Network, from int) {
	t.Helper()
	synctest.Wait() // until a sender that has ended let go
	before := network.Sent(from)
	for range 3 {
		s.write(t)
	}
	require.Equal(t, before, network.Sent(from), "%s is sent", s.ID())
}

// requireAgreed checks that both sides have the same transceivers, with directions
// that fit.
func requireAgreed(t *testing.T, a, b *PeerConnection) {
	t.Helper()
	one, other := directionsOf(a, false), directionsOf(b, true)
	require.Equal(t, one, other)
	for _, pc := range []*PeerConnection{a, b} {
		require.Equal(t, SignalingStateStable, pc.SignalingState())
	}
}

func directionsOf(pc *PeerConnection, reverse bool) (list []string) {
	for _, t := range pc.GetTransceivers() {
		t.set(func() {
			direction := t.current
			if reverse {
				direction = direction.Revers()
			}
			if t.mid != "" && t.current != RTPTransceiverDirectionUnknown {
				list = append(list, fmt.Sprintf("%s %v %v", t.mid, t.kind, direction))
			}
		})
	}
	slices.Sort(list)

	return list
}

// linesOf are the lines of a description with a prefix.
func linesOf(d *SessionDescription, prefix string) (lines []string) {
	for line := range strings.Lines(d.SDP) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}

	return lines
}

// mediaPeers are two connections with engines of their own.
func mediaPeers(
	t *testing.T, engines [2]*MediaEngine, opts ...testnet.Option,
) (a, b *PeerConnection, network *testnet.Network) {
	t.Helper()
	network = testnet.Pair(t, opts...)
	made := [2]*PeerConnection{}
	for i, engine := range engines {
		registry := &interceptor.Registry{}
		options := []func(*API){WithInterceptorRegistry(registry)}
		if engine == nil {
			engine = &MediaEngine{}
			require.NoError(t, engine.RegisterDefaultCodecs())
		}
		require.NoError(t, RegisterDefaultInterceptors(engine, registry))
		options = append(options, WithMediaEngine(engine))
		made[i] = newMediaPeer(t, network, i, options...)
	}

	return made[0], made[1], network
}

func newMediaPeer(t *testing.T, network *testnet.Network, host int, options ...func(*API)) *PeerConnection {
	t.Helper()
	settings := SettingEngine{Net: network.Net(host), LoggerFactory: quietLogs}
	pc, err := NewAPI(append(options, WithSettingEngine(settings))...).NewPeerConnection(
		Configuration{Certificates: []Certificate{bubbleCertificate(t)}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = pc.Close() })

	return pc
}

// offerAnswer is a negotiation with something in the middle, when the answerer has
// the offer.
func offerAnswer(t *testing.T, offerer, answerer *PeerConnection, middle func()) {
	t.Helper()
	ctx := limited(t, testTimeout)
	require.NoError(t, offerer.SetLocalDescriptionContext(ctx, SessionDescription{}))
	require.NoError(t, answerer.SetRemoteDescriptionContext(ctx, *offerer.LocalDescription()))
	middle()
	require.NoError(t, answerer.SetLocalDescriptionContext(ctx, SessionDescription{}))
	require.NoError(t, offerer.SetRemoteDescriptionContext(ctx, *answerer.LocalDescription()))
}

var background = context.Background()

// mediaScene is two connections, and the tracks that they are told of.
type mediaScene struct {
	a, b     *PeerConnection
	toA, toB chan *TrackRemote
	network  *testnet.Network
}

// ctxUntil is a context that ends with another one, or when a channel is closed.
func ctxUntil(ctx context.Context, over <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-over:
		case <-ctx.Done():
		}
	}()

	return ctx
}
