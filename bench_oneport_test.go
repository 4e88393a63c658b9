package webrtc

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/stretchr/testify/require"
)

const (
	benchSessions  = 1000
	benchStrangers = 10000
)

// openFiles is how many file descriptors the process has, where the system
// tells.
func openFiles() int {
	open, _ := os.ReadDir("/proc/self/fd")

	return len(open)
}

// BenchmarkOnePort is a server with 1,000 live connections on one UDP port, each
// with one open channel, whose peers have a socket each in the same process.
// Connecting is timed as in BenchmarkConnect, with all that came before still
// live; own-socket is the same where the server has a socket each. Closing is the server's ICETransport.Stop while the others are there.
// What a session holds is the server's side of it: what both sides hold, less
// half of what a pair with a socket each holds.
func BenchmarkOnePort(b *testing.B) {
	settings := onLoopback(SettingEngine{LoggerFactory: quietLogs})
	settings.SetNetworkTypes([]NetworkType{NetworkTypeUDP4})
	own := NewAPI(WithSettingEngine(settings))
	live := func(server *API) (clients, servers []*stack, times []time.Duration) {
		for range benchSessions {
			one, two := benchStackOn(b, ICERoleControlling, own), benchStackOn(b, ICERoleControlled, server)
			begin := time.Now()
			connect(b, one, two)
			channelPair(b, one, two, DataChannelParameters{Ordered: true})
			times = append(times, time.Since(begin))
			clients, servers = append(clients, one), append(servers, two)
		}

		return clients, servers, times
	}
	end := func(clients, servers []*stack) {
		gone(b, clients...)
		gone(b, servers...)
		clear(clients)
		clear(servers)
	}
	for b.Loop() {
		clients, servers, _ := live(own) // the runtime keeps what describes goroutines
		end(clients, servers)
		before, filesBefore := settled(footprint{}), openFiles()
		clients, servers, ownTimes := live(own)
		apart, filesApart := measure(), openFiles()
		end(clients, servers)
		half := func(with, without float64) float64 { return (with - without) / (2 * benchSessions) }
		goroutines := half(float64(apart.goroutines), float64(before.goroutines))
		heap := half(float64(apart.heap), float64(before.heap))
		files := half(float64(filesApart), float64(filesBefore))

		mux, err := ListenUDPMux(0, UDPMuxSettings{
			IncludeLoopback: true, LoggerFactory: quietLogs, InterfaceFilter: isLoopbackInterface,
			NetworkTypes: []NetworkType{NetworkTypeUDP4},
		})
		require.NoError(b, err)
		before = settled(before)
		var times []time.Duration
		clients, servers, times = live(NewAPI(WithSettingEngine(onPort(mux, settings))))
		during, filesDuring := measure(), openFiles()
		require.Equal(b, benchSessions, mux.Stats().Addresses)
		each := func(with, without float64) float64 { return (with - without) / benchSessions }
		b.ReportMetric(each(float64(during.goroutines), float64(before.goroutines))-goroutines, "goroutines/session")
		b.ReportMetric((each(float64(during.heap), float64(before.heap))-heap)/1024, "heap-KB/session")
		b.ReportMetric(heap/1024, "heap-KB/own-socket")
		b.ReportMetric(each(float64(filesDuring), float64(filesBefore))-files, "files/session")

		closes := make([]time.Duration, 0, benchConnections)
		for _, s := range servers[:benchConnections] {
			begin := time.Now()
			require.NoError(b, s.ice.Stop())
			closes = append(closes, time.Since(begin))
		}
		for name, measured := range map[string][]time.Duration{"close-": closes, "own-socket-": ownTimes} {
			slices.Sort(measured)
			for quantile, part := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99, "max-ms": 1} {
				at := measured[int(part*float64(len(measured)-1))]
				b.ReportMetric(float64(at)/float64(time.Millisecond), name+quantile)
			}
		}
		reportTimes(b, times)
		end(clients, servers)
		require.Zero(b, mux.Stats().Sessions)
		require.NoError(b, mux.Close())
		after := settled(before)
		b.ReportMetric(float64(after.goroutines-before.goroutines), "left-goroutines")
		b.ReportMetric(kilobytes(after.heap, before.heap, 1), "left-KB")
	}
}

// BenchmarkOnePortStrangers is what 10,000 checks for sessions that do not exist
// leave in the heap, and the time that one of them takes, its sending included.
func BenchmarkOnePortStrangers(b *testing.B) {
	for b.Loop() {
		mux, err := NewUDPMux(benchSocket(b), UDPMuxSettings{LoggerFactory: quietLogs})
		require.NoError(b, err)
		socket, to := benchSocket(b), mux.GetListenAddresses()[0]
		packets := make([][]byte, benchStrangers)
		for i := range packets {
			packets[i] = strangersCheck(b, fmt.Sprintf("nobody%d", i))
		}
		before := measure()
		begin := time.Now()
		for i, p := range packets {
			_, err := socket.WriteTo(p, to)
			require.NoError(b, err)
			for mux.Stats().DroppedUnknownUfrag < uint64(max(0, i-50)) { // no more than the socket has room for
				time.Sleep(10 * time.Microsecond)
			}
		}
		require.Eventually(b, func() bool { return mux.Stats().DroppedUnknownUfrag == benchStrangers },
			testTimeout, time.Millisecond)
		took := time.Since(begin)
		after := measure()
		b.ReportMetric(kilobytes(after.heap, before.heap, 1), "left-KB")
		b.ReportMetric(float64(took.Microseconds())/benchStrangers, "us/check")
		require.Len(b, packets, benchStrangers) // they are not garbage yet
		require.NoError(b, mux.Close())
		require.NoError(b, socket.Close())
	}
	b.ReportMetric(0, "ns/op")
}

func benchSocket(b *testing.B) *net.UDPConn {
	b.Helper()
	socket, err := new(net.ListenConfig).ListenPacket(b.Context(), "udp4", "127.0.0.1:0")
	require.NoError(b, err)
	udp := socket.(*net.UDPConn)
	_ = udp.SetReadBuffer(defaultMuxReadBuffer)

	return udp
}

// addrPortConn reads and writes without allocating addresses.
type addrPortConn interface {
	net.PacketConn
	ReadFromAddrPort(p []byte) (int, netip.AddrPort, error)
	WriteToAddrPort(p []byte, to netip.AddrPort) (int, error)
}

type plainConn struct{ *net.UDPConn }

func (c plainConn) ReadFromAddrPort(p []byte) (int, netip.AddrPort, error) {
	return c.ReadFromUDPAddrPort(p)
}

func (c plainConn) WriteToAddrPort(p []byte, to netip.AddrPort) (int, error) {
	return c.WriteToUDPAddrPort(p, to)
}

// echo sends back what comes.
func echo(server addrPortConn) {
	buf := make([]byte, 8192)
	for {
		n, from, err := server.ReadFromAddrPort(buf)
		if err != nil {
			return
		}
		_, _ = server.WriteToAddrPort(buf[:n], from)
	}
}

// BenchmarkOnePortPackets is how many packets of 1,200 bytes a server takes and
// sends back in a second, from 16 peers: through the mux, through that of pion,
// and with a socket for each peer.
func BenchmarkOnePortPackets(b *testing.B) {
	const peers, window, size = 16, 4, 1200
	ours := NewICEUDPMux(quietLogs.NewLogger("ice"), benchSocket(b))
	pions := ice.NewUDPMuxDefault(ice.UDPMuxParams{Logger: quietLogs.NewLogger("ice"), UDPConn: benchSocket(b)})
	for _, way := range []struct {
		name string
		mux  ice.UDPMux
	}{{"mux", ours}, {"pion", pions}, {"sockets", nil}} {
		b.Run(way.name, func(b *testing.B) {
			var all sync.WaitGroup
			var closing []net.PacketConn
			share := b.N/peers + 1
			start := make(chan struct{})
			for i := range peers {
				client := benchSocket(b)
				var server addrPortConn = plainConn{benchSocket(b)}
				if way.mux != nil {
					require.NoError(b, server.Close())
					conn, err := way.mux.GetConn(fmt.Sprintf("ufrag%d", i), way.mux.GetListenAddresses()[0])
					require.NoError(b, err)
					server = conn.(addrPortConn)
				}
				closing = append(closing, client, server)
				// The address belongs to the session as with two lite agents.
				_, err := server.WriteToAddrPort([]byte("hello"), client.LocalAddr().(*net.UDPAddr).AddrPort())
				require.NoError(b, err)
				_, _, err = client.ReadFromUDPAddrPort(make([]byte, size))
				require.NoError(b, err)
				to := server.LocalAddr().(*net.UDPAddr).AddrPort()
				go echo(server)
				all.Go(func() {
					packet, buf := make([]byte, size), make([]byte, size)
					packet[0] = 0x17
					<-start
					for sent, back := 0, 0; back < share; {
						for sent < share && sent-back < window {
							_, _ = client.WriteToUDPAddrPort(packet, to)
							sent++
						}
						_ = client.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
						if _, _, err := client.ReadFromUDPAddrPort(buf); err != nil {
							sent = back // lost on the way
						} else {
							back++
						}
					}
				})
			}
			cpu, known := processCPU()
			b.ResetTimer()
			close(start)
			all.Wait()
			elapsed := b.Elapsed()
			used, _ := processCPU()
			b.StopTimer()
			for _, c := range closing {
				require.NoError(b, c.Close())
			}
			packets := float64(share * peers)
			b.ReportMetric(packets/elapsed.Seconds(), "packets/s")
			if known {
				b.ReportMetric(float64((used-cpu).Microseconds())/packets, "cpu-us/packet")
			}
		})
	}
	require.NoError(b, ours.Close())
	require.NoError(b, pions.Close())
}
