package webrtc

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// statsPeers are peers with a certificate of their own each.
func statsPeers(t *testing.T, settings SettingEngine) (sides [2]*PeerConnection, network *testnet.Network) {
	t.Helper()
	network = testnet.Pair(t, testnet.Delay(20*time.Millisecond))
	settings.LoggerFactory = quietLogs
	for i := range sides {
		made := testnet.Certificate(t)
		settings.Net = network.Net(i)
		pc, err := NewAPI(WithSettingEngine(settings)).NewPeerConnection(Configuration{
			Certificates: []Certificate{CertificateFromX509(made.PrivateKey, made.Leaf)},
		})
		require.NoError(t, err)
		t.Cleanup(func() { _ = pc.Close() })
		sides[i] = pc
	}

	return sides, network
}

// entry returns the one entry of its kind.
func entry[S Stats](t *testing.T, report StatsReport) (only S) {
	t.Helper()
	n := 0
	for _, stats := range report {
		if s, ok := stats.(S); ok {
			only = s
			n++
		}
	}
	require.Equal(t, 1, n, "%T", only)

	return only
}

// channelEventsOf are requested, accepted, opened and closed.
func channelEventsOf(t *testing.T, pc *PeerConnection) [4]uint32 {
	t.Helper()
	stats, ok := pc.GetStats().GetConnectionStats(pc)
	require.True(t, ok)

	return [4]uint32{
		stats.DataChannelsRequested, stats.DataChannelsAccepted, stats.DataChannelsOpened, stats.DataChannelsClosed,
	}
}

func TestReportOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sides, network := statsPeers(t, SettingEngine{})
		a, b := sides[0], sides[1]
		for _, pc := range sides {
			assert.Equal(t, map[string]int{
				"peer-connection": 1, "transport": 1, "sctp-transport": 1, "certificate": 1,
			}, checkReport(t, pc.GetStats()), "before the start")
			path := entry[TransportStats](t, pc.GetStats())
			assert.Equal(t, TransportStats{
				ID: "iceTransport", Type: StatsTypeTransport, Timestamp: path.Timestamp,
				ICEState: ICETransportStateNew, DTLSState: DTLSTransportStateNew,
			}, path)
		}
		from, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		connecting, ok := a.GetStats().GetDataChannelStats(from)
		require.True(t, ok)
		assert.Equal(t, DataChannelStateConnecting, connecting.State)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		to, err := b.SCTP().AcceptDataChannel(context.Background())
		require.NoError(t, err)
		exchange(t, from, to)
		synctest.Wait()

		var paths [2]TransportStats
		var reports [2]StatsReport
		for i, pc := range sides {
			reports[i] = pc.GetStats()
			counts := checkReport(t, reports[i])
			for kind, n := range map[string]int{
				"peer-connection": 1, "transport": 1, "sctp-transport": 1, "data-channel": 1,
				"certificate": 2,
			} {
				assert.Equal(t, n, counts[kind], "%s of %d", kind, i)
			}
			for _, kind := range []string{"local-candidate", "remote-candidate", "candidate-pair"} {
				assert.Positive(t, counts[kind], "%s of %d", kind, i)
			}
			path := entry[TransportStats](t, reports[i])
			assert.Equal(t, ICETransportStateConnected, path.ICEState)
			assert.Equal(t, DTLSTransportStateConnected, path.DTLSState)
			assert.Equal(t, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", path.DTLSCipher)
			assert.Equal(t, "SRTP_AEAD_AES_128_GCM", path.SRTPCipher)
			assert.Positive(t, path.PacketsSent)
			pair, isPair := reports[i][path.SelectedCandidatePairID].(ICECandidatePairStats)
			require.True(t, isPair)
			assert.True(t, pair.Nominated)
			assert.Equal(t, StatsICECandidatePairStateSucceeded, pair.State)
			assert.Equal(t, StatsTypeLocalCandidate, reports[i][pair.LocalCandidateID].(ICECandidateStats).Type)
			assert.Equal(t, StatsTypeRemoteCandidate, reports[i][pair.RemoteCandidateID].(ICECandidateStats).Type)
			assert.Positive(t, entry[SCTPTransportStats](t, reports[i]).BytesSent)
			paths[i] = path
		}
		assert.NotEqual(t, paths[0].LocalCertificateID, paths[0].RemoteCertificateID)
		assert.Equal(t, paths[0].LocalCertificateID, paths[1].RemoteCertificateID)
		assert.Equal(t, paths[1].LocalCertificateID, paths[0].RemoteCertificateID)
		for i, channel := range []*DataChannel{from, to} {
			stats, ok := reports[i].GetDataChannelStats(channel)
			require.True(t, ok)
			assert.Equal(t, sctpStatsID, stats.TransportID)
			assert.Equal(t, "chat", stats.Label)
			assert.Equal(t, DataChannelStateOpen, stats.State)
			assert.EqualValues(t, 1, stats.MessagesSent)
			assert.EqualValues(t, 1, stats.MessagesReceived)
		}

		before := [2][4]uint32{channelEventsOf(t, a), channelEventsOf(t, b)}
		require.NoError(t, a.Close())
		_, err = b.AwaitState(context.Background(), PeerConnectionStateClosed)
		require.NoError(t, err)
		synctest.Wait()
		for i, pc := range sides {
			report := pc.GetStats()
			assert.Equal(t, map[string]int{
				"peer-connection": 1, "transport": 1, "sctp-transport": 1, "certificate": 2,
				"data-channel": 1,
			}, checkReport(t, report), "after the end")
			path := entry[TransportStats](t, report)
			assert.Equal(t, ICETransportStateClosed, path.ICEState)
			assert.Equal(t, DTLSTransportStateClosed, path.DTLSState)
			assert.GreaterOrEqual(t, path.BytesSent, paths[i].BytesSent)
			assert.Equal(t, paths[i].RemoteCertificateID, path.RemoteCertificateID)
			assert.Positive(t, entry[SCTPTransportStats](t, report).MessagesSent)
			channel := entry[DataChannelStats](t, report)
			assert.Equal(t, DataChannelStateClosed, channel.State)
			assert.EqualValues(t, 1, channel.MessagesReceived)
			after := channelEventsOf(t, pc)
			assert.EqualValues(t, 1, after[3])
			after[3] = 0
			assert.Equal(t, before[i], after)
		}
		requirePeersGone(t, network, a, b)
	})
}

// Requested are channels that we make by whichever way, accepted those that a
// program gets; opened and closed count both.
func TestChannelsOfAConnectionAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.DataChannel.AcceptBacklog = 2
		sides, network := statsPeers(t, settings)
		a, b := sides[0], sides[1]
		never, err := a.CreateDataChannel("never opens", nil)
		require.NoError(t, err)
		require.NoError(t, never.Close())
		_, err = a.CreateDataChannel("refused", &DataChannelInit{MaxRetransmits: new(uint16), MaxPacketLifeTime: new(uint16)})
		require.ErrorIs(t, err, ErrInvalidArgument)
		assert.Equal(t, [4]uint32{1, 0, 0, 0}, channelEventsOf(t, a))
		_, ok := a.GetStats().GetDataChannelStats(never)
		assert.False(t, ok, "it has ended")

		first, err := a.CreateDataChannel("first", nil)
		require.NoError(t, err)
		agreed, id := true, uint16(100)
		_, err = a.CreateDataChannel("agreed", &DataChannelInit{Negotiated: &agreed, ID: &id})
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		synctest.Wait()
		time.Sleep(time.Second)
		assert.Equal(t, [4]uint32{3, 0, 2, 0}, channelEventsOf(t, a))
		assert.Equal(t, [4]uint32{0, 1, 1, 0}, channelEventsOf(t, b))

		ctx := context.Background()
		_, err = a.SCTP().OpenDataChannel(ctx, &DataChannelParameters{Label: "second"})
		require.NoError(t, err)
		_, err = a.SCTP().OpenDataChannel(ctx, &DataChannelParameters{Label: "no room"})
		require.Error(t, err)
		time.Sleep(time.Second)
		assert.Equal(t, [4]uint32{5, 0, 4, 1}, channelEventsOf(t, a))
		assert.Equal(t, [4]uint32{0, 2, 2, 0}, channelEventsOf(t, b), "no room for a third")

		other, err := b.SCTP().AcceptDataChannel(ctx)
		require.NoError(t, err)
		assert.Equal(t, "first", other.Label())
		require.NoError(t, first.Shutdown(ctx))
		time.Sleep(time.Second)
		assert.Equal(t, [4]uint32{5, 0, 4, 2}, channelEventsOf(t, a))
		assert.Equal(t, [4]uint32{0, 2, 2, 1}, channelEventsOf(t, b), "by the peer")
		assert.Equal(t, 2, checkReport(t, a.GetStats())["data-channel"], "agreed and second")
		assert.Equal(t, 1, checkReport(t, b.GetStats())["data-channel"])

		require.NoError(t, a.Shutdown(ctx))
		synctest.Wait()
		time.Sleep(time.Second)
		assert.Equal(t, [4]uint32{5, 0, 4, 4}, channelEventsOf(t, a))
		assert.Equal(t, [4]uint32{0, 2, 2, 2}, channelEventsOf(t, b))
		assert.Equal(t, 2, checkReport(t, a.GetStats())["data-channel"], "ended with the association")
		requirePeersGone(t, network, a, b)
	})
}

func TestGettersOfAReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sides, network := statsPeers(t, SettingEngine{})
		a, b := sides[0], sides[1]
		told := make(chan *ICECandidatePair, 8)
		a.SCTP().Transport().ICETransport().OnSelectedCandidatePairChange(func(pair *ICECandidatePair) { told <- pair })
		channel, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		gathered := make(chan *ICECandidate, 8)
		a.OnICECandidate(func(candidate *ICECandidate) { gathered <- candidate })
		negotiate(t, a, b)
		connectPeers(t, a, b)
		report := a.GetStats()

		connection, ok := report.GetConnectionStats(a)
		require.True(t, ok)
		assert.Equal(t, a.ID(), connection.ID)
		_, ok = report.GetConnectionStats(b)
		assert.False(t, ok)

		stats, ok := report.GetDataChannelStats(channel)
		require.True(t, ok)
		assert.Equal(t, "chat", stats.Label)
		accepted, err := b.SCTP().AcceptDataChannel(context.Background())
		require.NoError(t, err)
		_, ok = report.GetDataChannelStats(accepted)
		assert.False(t, ok, "of the other connection")

		local := <-gathered
		candidate, ok := report.GetICECandidateStats(local)
		require.True(t, ok)
		assert.Equal(t, StatsTypeLocalCandidate, candidate.Type)
		assert.Equal(t, local.Address, candidate.IP)
		assert.EqualValues(t, local.Port, candidate.Port)
		signaled, err := b.SCTP().Transport().ICETransport().gatherer.GetLocalCandidates()
		require.NoError(t, err)
		parsed, err := ParseICECandidate(signaled[0].String())
		require.NoError(t, err)
		candidate, ok = report.GetICECandidateStats(&parsed)
		require.True(t, ok, "by its address")
		assert.Equal(t, StatsTypeRemoteCandidate, candidate.Type)
		parsed.Port++
		_, ok = report.GetICECandidateStats(&parsed)
		assert.False(t, ok)

		selected := entry[TransportStats](t, report).SelectedCandidatePairID
		pair, ok := report.GetICECandidatePairStats(<-told)
		require.True(t, ok)
		assert.Equal(t, selected, pair.ID)
		asked, err := a.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
		require.NoError(t, err)
		pair, ok = report.GetICECandidatePairStats(asked)
		require.True(t, ok)
		assert.Equal(t, selected, pair.ID)
		_, ok = report.GetICECandidatePairStats(NewICECandidatePair(asked.Remote, asked.Local))
		assert.False(t, ok)

		for i, pc := range sides {
			certificate := pc.GetConfiguration().Certificates[0]
			shown, ok := report.GetCertificateStats(&certificate)
			require.True(t, ok)
			path := entry[TransportStats](t, report)
			assert.Equal(t, []string{path.LocalCertificateID, path.RemoteCertificateID}[i], shown.ID)
		}
		stranger := bubbleCertificate(t)
		_, ok = report.GetCertificateStats(&stranger)
		assert.False(t, ok)

		for _, r := range []StatsReport{nil, {}, report} {
			_, ok = r.GetConnectionStats(nil)
			assert.False(t, ok)
			_, ok = r.GetConnectionStats(&PeerConnection{})
			assert.False(t, ok)
			_, ok = r.GetDataChannelStats(nil)
			assert.False(t, ok)
			_, ok = r.GetDataChannelStats(&DataChannel{})
			assert.False(t, ok)
			_, ok = r.GetICECandidateStats(nil)
			assert.False(t, ok)
			_, ok = r.GetICECandidateStats(&ICECandidate{})
			assert.False(t, ok)
			_, ok = r.GetICECandidatePairStats(nil)
			assert.False(t, ok)
			_, ok = r.GetICECandidatePairStats(&ICECandidatePair{})
			assert.False(t, ok)
			_, ok = r.GetCertificateStats(nil)
			assert.False(t, ok)
			_, ok = r.GetCertificateStats(&Certificate{})
			assert.False(t, ok)
		}
		requirePeersGone(t, network, a, b)
	})
}

// Two candidates with one address are told apart in a pair, and not without it.
func TestCandidatesWithOneAddress(t *testing.T) {
	same := ICECandidate{Typ: ICECandidateTypeHost, Protocol: ICEProtocolUDP, Address: "192.0.2.1", Port: 9}
	in := ICECandidateStats{CandidateType: same.Typ, Protocol: "udp", IP: same.Address, Port: 9}
	local, remote := in, in
	local.ID, local.Type = "L", StatsTypeLocalCandidate
	remote.ID, remote.Type = "R", StatsTypeRemoteCandidate
	report := StatsReport{"L": local, "R": remote, "L-R": ICECandidatePairStats{ID: "L-R"}}
	_, ok := report.GetICECandidateStats(&same)
	assert.False(t, ok)
	pair, ok := report.GetICECandidatePairStats(NewICECandidatePair(&same, &same))
	assert.True(t, ok)
	assert.Equal(t, "L-R", pair.ID)
	delete(report, "L")
	found, ok := report.GetICECandidateStats(&same)
	assert.True(t, ok)
	assert.Equal(t, "R", found.ID)
}

func TestStatsOfNoConnection(t *testing.T) {
	for name, pc := range map[string]*PeerConnection{"nil": nil, "zero": {}} {
		report := pc.GetStats()
		assert.NotNil(t, report, name)
		assert.Empty(t, report, name)
	}
}

// What an agent replaces while it is asked is not named without being there.
func TestAgentStatsNameNothingThatIsNotThere(t *testing.T) {
	pair := func(local, remote string) ICECandidatePairStats {
		return ICECandidatePairStats{
			ID: candidatePairStatsID(local, remote), LocalCandidateID: local, RemoteCandidateID: remote,
		}
	}
	told := func(selected string) *agentStats {
		return &agentStats{
			pairs:      []ICECandidatePairStats{pair("L", "R"), pair("L", "old"), pair("gone", "R")},
			candidates: []ICECandidateStats{{ID: "L"}, {ID: "R"}},
			selected:   selected,
		}
	}
	for selected, want := range map[string]string{"L-R": "L-R", "L-old": "", "none": "", "": ""} {
		s := told(selected)
		assert.False(t, s.prune())
		assert.Equal(t, []ICECandidatePairStats{pair("L", "R")}, s.pairs)
		assert.Equal(t, want, s.selected, selected)
		assert.True(t, s.prune())
	}
	assert.True(t, new(agentStats).prune())
	assert.False(t, (&agentStats{selected: "L-R"}).prune())
}

// A handler that never returns holds up no report.
func TestStatsWaitForNoHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sides, network := statsPeers(t, SettingEngine{})
		a, b := sides[0], sides[1]
		release := make(chan struct{})
		defer close(release)
		var blocked atomic.Int32
		block := func() {
			blocked.Add(1)
			<-release
		}
		channel, err := a.CreateDataChannel("chat", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		for _, pc := range sides {
			pc.OnConnectionStateChange(func(PeerConnectionState) { block() })
			pc.OnDataChannel(func(c *DataChannel) {
				c.OnMessage(func(DataChannelMessage) { block() })
				c.OnClose(block)
				block()
			})
		}
		channel.OnOpen(block)
		channel.OnMessage(func(DataChannelMessage) { block() })
		connectPeers(t, a, b)
		time.Sleep(time.Second) // it opens
		require.NoError(t, channel.SendText("one"))
		time.Sleep(time.Second)
		require.EqualValues(t, 2+1+1+1, blocked.Load(), "states, OnDataChannel, OnOpen, OnMessage")
		before := time.Now()
		for _, pc := range sides {
			assert.Equal(t, 1, checkReport(t, pc.GetStats())["data-channel"])
		}
		require.NoError(t, a.Close())
		for _, pc := range sides {
			checkReport(t, pc.GetStats())
		}
		assert.Zero(t, time.Since(before))
		requirePeersGone(t, network, a, b)
	})
}

// Many ask at once, from before the connection to after its end, while
// channels come and go and data flows.
func TestManyAskForStatsAtOnce(t *testing.T) {
	const askers = 100
	synctest.Test(t, func(t *testing.T) {
		sides, network := statsPeers(t, SettingEngine{})
		a, b := sides[0], sides[1]
		ctx := context.Background()
		over := make(chan struct{})
		var asking sync.WaitGroup
		for i := range askers {
			asking.Go(func() {
				for pc := sides[i%2]; ; {
					report := pc.GetStats()
					if missing := missingEntries(report); missing != nil {
						t.Error("not in the report:", missing)
					}
					stats, ok := report.GetConnectionStats(pc)
					if !ok || stats.DataChannelsClosed > stats.DataChannelsOpened {
						t.Error("closed without being opened", stats)
					}
					select {
					case <-over:
						return
					case <-time.After(time.Duration(i+20) * time.Millisecond):
					}
				}
			})
		}
		b.OnDataChannel(func(c *DataChannel) {
			for {
				m, err := c.ReceiveContext(ctx)
				if err != nil || c.SendContext(ctx, m.Data) != nil {
					return
				}
			}
		})
		first, err := a.CreateDataChannel("first", nil)
		require.NoError(t, err)
		negotiate(t, a, b)
		connectPeers(t, a, b)
		for range 5 {
			c, err := a.SCTP().OpenDataChannel(ctx, &DataChannelParameters{Ordered: true})
			require.NoError(t, err)
			for range 5 {
				for _, channel := range []*DataChannel{first, c} {
					require.NoError(t, channel.SendContext(ctx, make([]byte, 20_000)))
				}
				for _, channel := range []*DataChannel{first, c} {
					_, err = channel.ReceiveContext(ctx)
					require.NoError(t, err)
				}
			}
			require.NoError(t, c.Close())
		}
		require.NoError(t, a.Close())
		time.Sleep(200 * time.Millisecond)
		close(over)
		asking.Wait()
		for _, pc := range sides {
			events := channelEventsOf(t, pc)
			assert.Equal(t, [2]uint32{6, 6}, [2]uint32{events[2], events[3]})
		}
		requirePeersGone(t, network, a, b)
	})
}
