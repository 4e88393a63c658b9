package webrtc

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Stop is immediate, also while a name's turn waits for the program's Interfaces.
func TestL11_StopWhileInterfacesBlock(t *testing.T) {
	known := newName()
	answerForName(t, known)
	machine, err := stdnet.NewNet()
	require.NoError(t, err)
	own := &answeringNet{Net: machine}
	settings := SettingEngine{}
	settings.LoggerFactory = quietLogs
	settings.SetNet(own)
	s := newStack(t, ICERoleControlling, onLoopback(settings))
	add := func(name string) {
		c := ICECandidate{Foundation: "1", Priority: 1, Address: name, Protocol: ICEProtocolUDP, Port: 9, Typ: ICECandidateTypeHost, Component: 1}
		require.NoError(t, s.ice.AddRemoteCandidate(&c))
	}
	lookups := func() (n int) { s.gatherer.life.set(func() { n = s.gatherer.newest.lookups }); return n }
	add(known)
	require.Eventually(t, func() bool { return lookups() == 0 }, 5*time.Second, 10*time.Millisecond)
	block := make(chan struct{})
	var blocked atomic.Int32
	own.set(func() {
		own.interfaces = func(all []*transport.Interface) []*transport.Interface {
			blocked.Add(1)
			<-block

			return all
		}
	})
	add(newName())
	require.Eventually(t, func() bool { return blocked.Load() > 0 }, 5*time.Second, 10*time.Millisecond)
	stopped := make(chan struct{})
	go func() { _ = s.ice.Stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(3 * time.Second):
		t.Error("Stop has not returned in 3 s")
	}
	close(block)
	<-stopped
}

// No socket is opened after Stop, and Run waits for what looks at the addresses.
func TestL11_NoSocketsAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, own := roamingOver(t, 4, ICERoleControlling)
		connect(t, a, b)
		var over atomic.Bool
		var after, running atomic.Int32
		own.set(func() {
			own.listen = func(_ string, local *net.UDPAddr) error {
				if over.Load() {
					after.Add(1)
				}
				running.Add(1)
				defer running.Add(-1)
				time.Sleep(100 * time.Millisecond)

				return nil
			}
		})
		network.Move(0, 0, 1, 2, 3)
		for a.gatherer.State() != ICEGathererStateGathering {
			time.Sleep(10 * time.Millisecond)
		}
		run := make(chan struct{})
		go func() { _ = a.ice.Run(context.Background()); close(run) }()
		require.NoError(t, a.ice.Stop())
		over.Store(true)
		<-run
		assert.Zero(t, running.Load(), "as Run returns")
		time.Sleep(time.Second)
		assert.Zero(t, after.Load(), "sockets opened after Stop")
		requireNothingLeft(t, network, a, b)
	})
}

// MaxCandidatePairs holds for a roamer too.
func TestX1_PairsOfARoamer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network, _ := roamingOver(t, 17, ICERoleControlling)
		connect(t, a, b)
		for i := 1; i < 17; i++ {
			network.Move(0, 0, i)
			time.Sleep(2 * defaultNetworkMonitorInterval)
		}
		taken := 0
		for i := range 100 {
			c := ICECandidate{Foundation: "1", Priority: 1, Address: fmt.Sprintf("10.200.0.%d", i+1), Protocol: ICEProtocolUDP, Port: 9, Typ: ICECandidateTypeHost, Component: 1}
			if a.ice.AddRemoteCandidate(&c) == nil {
				taken++
			}
		}
		time.Sleep(100 * time.Millisecond)
		pairs := len(agentOf(a).GetCandidatePairsStats())
		assert.LessOrEqual(t, pairs, defaultMaxCandidatePairs)
		requireNothingLeft(t, network, a, b)
	})
}
