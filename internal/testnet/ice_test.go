package testnet

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The layer that all others stand on works on this network, inside a bubble,
// and leaves neither a goroutine nor a socket.
func TestICEConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := Pair(t, Delay(20*time.Millisecond))
		agents := [2]*ice.Agent{}
		for i := range agents {
			quiet := logging.NewDefaultLoggerFactory()
			quiet.DefaultLogLevel = logging.LogLevelDisabled
			agent, err := ice.NewAgentWithOptions(
				ice.WithNet(n.Net(i)),
				ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}),
				ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
				ice.WithLoggerFactory(quiet),
			)
			require.NoError(t, err)
			agents[i] = agent
		}
		for i, agent := range agents {
			done := make(chan struct{})
			require.NoError(t, agent.OnCandidate(func(c ice.Candidate) {
				if c == nil {
					close(done)

					return
				}
				remote, err := ice.UnmarshalCandidate(c.Marshal())
				assert.NoError(t, err)
				assert.NoError(t, agents[1-i].AddRemoteCandidate(remote))
			}))
			require.NoError(t, agent.GatherCandidates())
			<-done
		}
		conns := make(chan net.Conn, 2)
		for i, agent := range agents {
			ufrag, pwd, err := agents[1-i].GetLocalUserCredentials()
			require.NoError(t, err)
			connect := agent.Dial
			if i == 1 {
				connect = agent.Accept
			}
			go func() {
				conn, err := connect(t.Context(), ufrag, pwd)
				assert.NoError(t, err)
				conns <- conn
			}()
		}
		began := time.Now()
		first, second := <-conns, <-conns
		require.NotNil(t, first)
		require.NotNil(t, second)
		assert.Less(t, time.Since(began), 5*time.Second)
		_, err := first.Write([]byte("hello"))
		require.NoError(t, err)
		buf := make([]byte, 64)
		m, err := second.Read(buf)
		require.NoError(t, err)
		assert.Equal(t, "hello", string(buf[:m]))
		assert.NotZero(t, n.Sent(0)*n.Sent(1))
		for i, agent := range agents {
			require.NoError(t, agent.Close())
			assert.Zero(t, n.OpenSockets(i))
		}
	})
}
