package webrtc

import (
	"testing"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/stretchr/testify/require"
)

// A packet whose transport-wide number is too short is one that an interceptor
// refuses. It is dropped: for whoever reads, an error would be the end of the track.
func TestX4_AShortHeaderExtension(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		track := rtpTrack(t)
		receiver := b.receiver(t, a.sender(t, track))
		id := 0
		for _, e := range receiver.GetParameters().HeaderExtensions {
			if e.URI == sdp.TransportCCURI {
				id = e.ID
			}
		}
		require.NotZero(t, id)
		for n := range uint16(3) {
			p := numbered(n, 1)
			if n == 1 {
				require.NoError(t, p.SetExtension(uint8(id), []byte{9}))
			}
			require.NoError(t, track.WriteRTP(p))
		}
		for _, want := range []uint16{0, 2} {
			p, _ := reading(t, receiver.Track())
			require.Equal(t, want, p.SequenceNumber)
		}
		stopped(t, network, a, b)
	})
}

// A handshake that has agreed on no profile ends senders and receivers with that, who
// was there before as well as who comes later, and reports; channels go on.
// TestX4_APeerWithoutSRTP has a peer that the handshake does not let so far.
func TestX4_AHandshakeWithoutAProfile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := stacksWith(t, noInterceptors, noInterceptors)
		a.dtls.life.set(func() { a.dtls.profile = 0 })
		ctx := limited(t, testTimeout)
		for range 2 {
			require.ErrorIs(t, a.sender(t, rtpTrack(t)).Run(ctx), ErrNoSRTPProtectionProfile)
		}
		_, err := a.dtls.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{}})
		require.ErrorIs(t, err, ErrNoSRTPProtectionProfile)
		carries(t, a, b, len(stages))
		stopped(t, network, a, b)
	})
}

// Of reports that nobody reads the newest stay.
func TestTheNewestReportsStay(t *testing.T) {
	q := newReportQueue()
	const all = 100
	for i := range byte(all) {
		q.put(compoundReport{packet: []byte{i}})
	}
	for i := range byte(maxQueuedReports) {
		r, err := q.next(t.Context(), "test", 1)
		require.NoError(t, err)
		require.Equal(t, all-maxQueuedReports+i, r.packet[0])
	}
}

// FuzzReports gives RTCP, as an authentic peer may send it, to the default
// interceptors and to what reads it behind them.
func FuzzReports(f *testing.F) {
	engine, registry := &MediaEngine{}, &interceptor.Registry{}
	require.NoError(f, engine.RegisterDefaultCodecs())
	require.NoError(f, RegisterDefaultInterceptors(engine, registry))
	chain, _, err := buildInterceptors(registry, "fuzz")
	require.NoError(f, err)
	f.Cleanup(func() { _ = chain.Close() })
	var packet []byte
	read := chain.BindRTCPReader(interceptor.RTCPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		return copy(b, packet), a, nil
	}))
	chain.BindLocalStream(
		&interceptor.StreamInfo{SSRC: 1, ClockRate: 90000, RTCPFeedback: []interceptor.RTCPFeedback{{Type: "nack"}}},
		interceptor.RTPWriterFunc(func(*rtp.Header, []byte, interceptor.Attributes) (int, error) { return 0, nil }))
	for _, seed := range [][]byte{
		{0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{0x80, 207, 0, 4, 0, 0, 0, 1, 5, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		{0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 2, 0, 0, 0, 1, 0x20, 2, 0, 0},
		{0x8b, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0},
		{0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 1, 0, 0, 0, 0, 0, 0, 1},
		{0x81, 202, 0, 2, 0, 0, 0, 1, 1, 1, 'a', 0},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		packet = b
		room := make([]byte, len(b))
		n, a, err := read.Read(room, interceptor.Attributes{})
		if err != nil {
			return
		}
		packets, err := a.GetRTCPPackets(room[:n])
		if err != nil {
			return
		}
		for _, p := range packets {
			p.DestinationSSRC()
		}
	})
}
