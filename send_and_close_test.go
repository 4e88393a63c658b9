package webrtc

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestC5_SendAndCloseAtOnce: of messages that are sent while the channel is
// closed, each one that Send has accepted arrives, once, and each other one has
// an error that says why.
func TestC5_SendAndCloseAtOnce(t *testing.T) {
	const senders = 4
	rounds := 30
	if raceEnabled {
		rounds = 5
	}
	for _, closer := range []string{"Close", "Shutdown", "the transport's Shutdown"} {
		t.Run(closer, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				for round := range rounds {
					if closer == "the transport's Shutdown" && round > rounds/10 {
						return
					}
					a, b, network := quickPair(t, testnet.Delay(pathDelay))
					connect(t, a, b)
					from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
					var mu sync.Mutex
					var accepted []string
					var begun, over sync.WaitGroup
					for s := range senders {
						begun.Add(1)
						over.Go(func() {
							for n := 0; ; n++ {
								text := fmt.Sprintf("%d of %d", n, s)
								if n == 10 {
									begun.Done()
								}
								err := from.SendText(text)
								if errors.Is(err, ErrBufferFull) {
									time.Sleep(time.Millisecond)

									continue
								}
								if err != nil {
									if !errors.Is(err, ErrClosed) {
										t.Error(err)
									}
									if n < 10 {
										begun.Done()
									}

									return
								}
								mu.Lock()
								accepted = append(accepted, text)
								mu.Unlock()
							}
						})
					}
					begun.Wait()
					ended := result(func() error {
						switch closer {
						case "Close":
							return from.Close()
						case "Shutdown":
							return from.Shutdown(limited(t, time.Hour))
						}

						return a.sctp.Shutdown(limited(t, time.Hour))
					})
					var got []string
					for {
						m, err := to.ReceiveContext(limited(t, time.Hour))
						if err != nil {
							require.Equal(t, io.EOF, err, "%v", err)

							break
						}
						got = append(got, string(m.Data))
					}
					require.NoError(t, <-ended)
					over.Wait()
					slices.Sort(accepted)
					slices.Sort(got)
					require.Equal(t, accepted, got)
					requireNothingLeft(t, network, a, b)
				}
			})
		})
	}
}
