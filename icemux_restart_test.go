package webrtc

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// Restarts of ICE between two ports: old and new agents of both sides have the
// same addresses. No packet of a stream is late by more than a few round trips,
// and nothing is left of the old agents.
func TestX3_RestartsOnOnePort(t *testing.T) {
	for name, ports := range map[string]int{"one side": 1, "both sides": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(pathDelay))
				var settings [2]SettingEngine
				var muxes []*UDPMux
				for i := range settings {
					settings[i] = SettingEngine{Net: network.Net(i)}
					if i >= 2-ports {
						mux := virtualMux(t, network, i)
						muxes = append(muxes, mux)
						settings[i].SetICEUDPMux(mux)
					}
				}
				a, b := newStack(t, ICERoleControlling, settings[0]), newStack(t, ICERoleControlled, settings[1])
				connect(t, a, b)
				from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
				ctx := limited(t, time.Hour)
				stop, done := make(chan struct{}), make(chan error, 2)
				go func() {
					for n := 0; ; n++ {
						select {
						case <-stop:
							done <- from.SendTextContext(ctx, "end")

							return
						default:
						}
						if err := from.SendTextContext(ctx, fmt.Sprint(time.Now().UnixNano())); err != nil {
							done <- err

							return
						}
						time.Sleep(5 * time.Millisecond)
					}
				}()
				slowest := time.Duration(0)
				go func() {
					for {
						m, err := to.ReceiveContext(ctx)
						if err != nil || string(m.Data) == "end" {
							done <- err

							return
						}
						var at int64
						_, _ = fmt.Sscan(string(m.Data), &at)
						slowest = max(slowest, time.Since(time.Unix(0, at)))
					}
				}()
				for range 10 {
					before := agentOf(b)
					restart(t, a, b)
					awaitSwitch(t, b, before)
					time.Sleep(500 * time.Millisecond)
				}
				time.Sleep(10 * time.Second) // the old agents have gone
				for _, mux := range muxes {
					s := mux.Stats()
					t.Logf("%+v", s)
					require.Equal(t, 1, s.Sessions)
					require.Equal(t, 1, s.Addresses)
				}
				close(stop)
				require.NoError(t, <-done)
				require.NoError(t, <-done)
				t.Logf("slowest message: %v", slowest)
				require.Less(t, slowest, 500*time.Millisecond)
				stopped(t, nil, a, b)
				for _, mux := range muxes {
					requireEmpty(t, mux)
					require.NoError(t, mux.Close())
				}
			})
		})
	}
}
