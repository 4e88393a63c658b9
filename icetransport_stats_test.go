package webrtc

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startedICEForStats are two connected transports on loopback, the first one
// controlling. Each has told its selected pair on its channel.
func startedICEForStats(ctx context.Context, t *testing.T) (ends [2]*ICETransport, told [2]chan *ICECandidatePair) {
	t.Helper()
	api := NewAPI(WithSettingEngine(SettingEngine{ICE: ICESettings{
		IncludeLoopback: true,
		NetworkTypes:    []NetworkType{NetworkTypeUDP4},
		IPFilter:        func(ip net.IP) bool { return ip.Equal(net.IPv4(127, 0, 0, 1)) },
	}}))
	var params [2]ICEParameters
	var candidates [2][]ICECandidate
	for i := range ends {
		g, err := api.NewICEGatherer(ICEGatherOptions{})
		require.NoError(t, err)
		ends[i] = api.NewICETransport(g)
		t.Cleanup(func() { assert.NoError(t, ends[i].Stop()) })
		told[i] = make(chan *ICECandidatePair, 8)
		ends[i].OnSelectedCandidatePairChange(func(pair *ICECandidatePair) { told[i] <- pair })
		candidates[i], err = g.GatherContext(ctx)
		require.NoError(t, err)
		params[i], err = g.GetLocalParameters()
		require.NoError(t, err)
	}
	errs := make(chan error, len(ends))
	for i, role := range []ICERole{ICERoleControlling, ICERoleControlled} {
		require.NoError(t, ends[i].SetRemoteCandidates(candidates[1-i]))
		go func() { errs <- ends[i].StartContext(ctx, nil, params[1-i], &role) }()
	}
	for range ends {
		require.NoError(t, <-errs)
	}

	return ends, told
}

func TestI6_SelectedPair(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ends, told := startedICEForStats(ctx, t)

	var pairs [2]*ICECandidatePair
	for i, end := range ends {
		pair, err := end.GetSelectedCandidatePair()
		require.NoError(t, err)
		require.NotNil(t, pair, "connected")
		again, err := end.GetSelectedCandidatePair()
		require.NoError(t, err)
		assert.Equal(t, pair, again)
		pairs[i] = pair

		select {
		case event := <-told[i]:
			assert.Equal(t, pair.Local.Port, event.Local.Port)
			assert.Equal(t, pair.Remote.Port, event.Remote.Port)
			assert.NotEmpty(t, event.Local.statsID, "the agent's own candidate")
		case <-ctx.Done():
			t.Fatal("the pair was not told")
		}
	}
	for i, pair := range pairs {
		local, err := ends[i].gatherer.GetLocalCandidates()
		require.NoError(t, err)
		require.Len(t, local, 1)
		assert.Equal(t, local[0].Port, pair.Local.Port)
		assert.Equal(t, pairs[1-i].Local.Port, pair.Remote.Port)
		assert.Equal(t, "127.0.0.1", pair.Remote.Address)
		assert.Equal(t, ICEProtocolUDP, pair.Remote.Protocol)
	}

	for _, end := range ends {
		require.NoError(t, end.Stop())
		pair, err := end.GetSelectedCandidatePair()
		require.NoError(t, err)
		assert.Nil(t, pair, "stopped")
		stats, ok := end.GetSelectedCandidatePairStats()
		assert.False(t, ok)
		assert.Zero(t, stats)
	}
}

func TestICETransportStats(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ends, _ := startedICEForStats(ctx, t)

	// The first byte says DTLS. Nothing of this goes further than loopback, so
	// what was written is there to be read.
	packets := [][]byte{{22, 1}, {22, 1, 2, 3}, {22, 1, 2, 3, 4, 5, 6}}
	buf := make([]byte, 100)
	for _, packet := range packets {
		_, err := ends[0].path().Write(packet)
		require.NoError(t, err)
		n, err := ends[1].path().Read(buf)
		require.NoError(t, err)
		require.Equal(t, packet, buf[:n])
	}

	from, to := ends[0].Stats(), ends[1].Stats()
	pair, ok := ends[0].GetSelectedCandidatePairStats()
	require.True(t, ok)
	assert.InDelta(t, time.Now().UnixMilli(), float64(from.Timestamp), 60_000)
	assert.NotEqual(t, from.SelectedCandidatePairID, to.SelectedCandidatePairID)
	want := TransportStats{
		ID: "iceTransport", Type: StatsTypeTransport, Timestamp: from.Timestamp,
		ICEState: ICETransportStateConnected, ICERole: ICERoleControlling,
		SelectedCandidatePairID: pair.ID, PacketsSent: 3, BytesSent: 13,
	}
	assert.Equal(t, want, from)
	assert.Equal(t, TransportStats{
		ID: "iceTransport", Type: StatsTypeTransport, Timestamp: to.Timestamp,
		ICEState: ICETransportStateConnected, ICERole: ICERoleControlled,
		SelectedCandidatePairID: to.SelectedCandidatePairID, PacketsReceived: 3, BytesReceived: 13,
	}, to)

	assert.Equal(t, pair.LocalCandidateID+"-"+pair.RemoteCandidateID, pair.ID)
	assert.Equal(t, from.ID, pair.TransportID)
	assert.Equal(t, StatsICECandidatePairStateSucceeded, pair.State)
	assert.True(t, pair.Nominated)
	assert.EqualValues(t, 3, pair.PacketsSent)
	assert.EqualValues(t, 13, pair.BytesSent)
	assert.Positive(t, pair.RequestsSent, "counted in the list of pairs alone")
	assert.Positive(t, pair.ResponsesReceived)
	assert.InDelta(t, float64(from.Timestamp), float64(pair.FirstRequestTimestamp), 60_000)
	assert.InDelta(t, float64(from.Timestamp), float64(pair.LastPacketSentTimestamp), 60_000)
	assert.Zero(t, pair.ConsentExpiredTimestamp)

	require.NoError(t, ends[0].Stop())
	over := ends[0].Stats()
	want.Timestamp, want.ICEState = over.Timestamp, ICETransportStateClosed
	want.PacketsSent, want.SelectedCandidatePairID = 0, ""
	assert.Equal(t, want, over)
}

// Before the start, without a gatherer, and on what no constructor made.
func TestICETransportStatsOutOfOrder(t *testing.T) {
	api := NewAPI()
	g, err := api.NewICEGatherer(ICEGatherOptions{})
	require.NoError(t, err)
	for name, transport := range map[string]*ICETransport{
		"not started": api.NewICETransport(g),
		"no gatherer": api.NewICETransport(nil),
	} {
		pair, err := transport.GetSelectedCandidatePair()
		require.NoError(t, err, name)
		assert.Nil(t, pair, name)
		stats := transport.Stats()
		assert.Equal(t, TransportStats{
			ID: "iceTransport", Type: StatsTypeTransport, Timestamp: stats.Timestamp, ICEState: ICETransportStateNew,
		}, stats, name)
		_, ok := transport.GetSelectedCandidatePairStats()
		assert.False(t, ok, name)
		require.NoError(t, transport.Stop())
	}

	for name, transport := range map[string]*ICETransport{"nil": nil, "zero": {}} {
		pair, err := transport.GetSelectedCandidatePair()
		require.ErrorIs(t, err, ErrInvalidState, name)
		assert.Nil(t, pair, name)
		assert.Zero(t, transport.Stats(), name)
		_, ok := transport.GetSelectedCandidatePairStats()
		assert.False(t, ok, name)
	}
}

func TestNewPairFromICE(t *testing.T) {
	host := func(port int) ice.Candidate {
		c, err := ice.NewCandidateHost(&ice.CandidateHostConfig{
			Network: "udp", Address: "192.0.2.1", Port: port, Component: 1,
		})
		require.NoError(t, err)

		return c
	}
	pair, err := newPairFromICE(host(1), host(2))
	require.NoError(t, err)
	assert.EqualValues(t, 1, pair.Local.Port)
	assert.EqualValues(t, 2, pair.Remote.Port)

	_, err = newPairFromICE(nil, host(2))
	require.ErrorIs(t, err, ErrInvalidArgument)
	_, err = newPairFromICE(host(1), nil)
	require.ErrorIs(t, err, ErrInvalidArgument)
}
