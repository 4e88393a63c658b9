package webrtc

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// silentServer is the URL of a TURN server on 127.0.0.1 that takes everything
// and says nothing.
func silentServer(tb testing.TB) string {
	tb.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(tb.Context(), "udp4", "127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })

	return "turn:" + conn.LocalAddr().String()
}

// useServersForBench replaces the gatherer of a side.
func useServersForBench(tb testing.TB, s *stack, urls ...string) {
	tb.Helper()
	require.NoError(tb, s.ice.Stop())
	var err error
	s.gatherer, err = s.api.NewICEGatherer(ICEGatherOptions{ICEServers: []ICEServer{
		{URLs: urls, Username: turnUser, Credential: turnPassword},
	}})
	require.NoError(tb, err)
	s.ice = s.api.NewICETransport(s.gatherer)
	s.dtls, err = s.api.NewDTLSTransport(s.ice, nil)
	require.NoError(tb, err)
	s.sctp = s.api.NewSCTPTransport(s.dtls)
}

// BenchmarkSilentTURN is the time until a pair on loopback is connected, with
// trickle, and that of Stop right after, without a server and beside a TURN
// server that is silent.
func BenchmarkSilentTURN(b *testing.B) {
	for _, name := range []string{"none", "silent"} {
		var connects, stops []time.Duration
		run := func(b *testing.B) {
			one, two := benchPair(b)
			if name == "silent" {
				useServersForBench(b, one, silentServer(b))
			}
			for _, p := range [][2]*stack{{one, two}, {two, one}} {
				p[0].gatherer.OnLocalCandidate(func(c *ICECandidate) { _ = p[1].ice.AddRemoteCandidate(c) })
			}
			begin := time.Now()
			require.NoError(b, one.gatherer.Gather())
			require.NoError(b, two.gatherer.Gather())
			require.NoError(b, both(one, two, func(s, peer *stack) error { return s.startICE(b.Context(), peer) }))
			connects = append(connects, time.Since(begin))
			begin = time.Now()
			require.NoError(b, one.ice.Stop())
			stops = append(stops, time.Since(begin))
			gone(b, one, two)
		}
		for _, what := range []string{"connect", "stop"} {
			b.Run(what+"/"+name, func(b *testing.B) {
				connects, stops = nil, nil
				for b.Loop() {
					run(b)
				}
				for len(stops) < benchConnects {
					run(b)
				}
				if what == "connect" {
					reportTimes(b, connects)
				} else {
					reportTimes(b, stops)
				}
			})
		}
	}
}

// BenchmarkGatherServers is the time until all candidates of the servers that
// answer are told, of TURN servers on loopback of which every second one is
// silent: of a single one none.
func BenchmarkGatherServers(b *testing.B) {
	for _, count := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			urls := make([]string, count)
			answering := 0
			for i := range urls {
				if i%2 == 1 {
					urls[i] = silentServer(b)
				} else {
					urls[i] = fmt.Sprintf("turn:127.0.0.1:%d", newTURNServer(b).udp)
					answering++
				}
			}
			var times []time.Duration
			once := func() {
				one := benchStack(b, ICERoleControlling)
				useServersForBench(b, one, urls...)
				found := make(chan *ICECandidate, 3*count)
				one.gatherer.OnLocalCandidate(func(c *ICECandidate) { found <- c })
				begin := time.Now()
				require.NoError(b, one.gatherer.Gather())
				for range 1 + 2*answering {
					require.NotNil(b, <-found)
				}
				times = append(times, time.Since(begin))
				gone(b, one)
			}
			for b.Loop() {
				once()
			}
			for len(times) < benchConnects/4 {
				once()
			}
			reportTimes(b, times)
		})
	}
}
