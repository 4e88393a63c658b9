package webrtc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// TestL6_ICEStartReturnsWhenTheAgentFails, in the instant of the state, with
// every grace; what was failed stays so and cannot be started again.
func TestL6_ICEStartReturnsWhenTheAgentFails(t *testing.T) {
	for name, grace := range map[string]time.Duration{"no grace": 0, "some": time.Hour, "for ever": -1} {
		for _, candidates := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", candidates ", candidates), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					settings := SettingEngine{}
					settings.SetICETimeouts(time.Second, 2*time.Second, 200*time.Millisecond)
					settings.ICE.FailedGrace = grace
					a, b, network := virtualPairWith(t, settings, settings, testnet.Delay(pathDelay))
					if candidates {
						signal(t, a, b)
					}
					network.Cut(true)
					failed := make(chan time.Time, 1)
					a.ice.OnConnectionStateChange(func(s ICETransportState) {
						if s == ICETransportStateFailed {
							failed <- time.Now()
						}
					})
					begin := time.Now()
					err := a.startICE(context.Background(), b)
					require.ErrorIs(t, err, ErrICEFailed)
					synctest.Wait()
					require.Equal(t, <-failed, time.Now())
					require.Less(t, time.Since(begin), 10*time.Second)
					require.Equal(t, ICETransportStateFailed, a.ice.State())
					again := a.startICE(context.Background(), b)
					require.ErrorIs(t, again, ErrInvalidState)
					require.ErrorIs(t, again, ErrICEFailed)
					if grace == 0 {
						require.ErrorIs(t, context.Cause(a.ice.Context()), ErrICEFailed)
						require.Zero(t, network.OpenSockets(0))
					} else {
						require.NoError(t, a.ice.Context().Err())
					}
					stopped(t, network, a, b)
				})
			})
		}
	}
}

// otherParameters have a fingerprint that was not signaled.
func otherParameters(t *testing.T) DTLSParameters {
	t.Helper()
	made := testnet.Certificate(t)
	c := CertificateFromX509(made.PrivateKey, made.Leaf)
	fingerprints, err := c.GetFingerprints()
	require.NoError(t, err)

	return DTLSParameters{Role: DTLSRoleAuto, Fingerprints: fingerprints}
}

// TestL6_DTLSStartReturnsOnAnAlert: whatever the peer refuses, the start ends
// when the alert arrives, with its number.
func TestL6_DTLSStartReturnsOnAnAlert(t *testing.T) {
	ciphers := func(ids ...dtls.CipherSuiteID) (s SettingEngine) {
		s.DTLS.CipherSuites = ids

		return s
	}
	profiles := func(ids ...dtls.SRTPProtectionProfile) (s SettingEngine) {
		s.SRTP.ProtectionProfiles = ids

		return s
	}
	for name, row := range map[string]struct {
		forA, forB SettingEngine
		wrong      int // whose idea of the peer's certificate is wrong: 1 a's, 2 b's
	}{
		"no common cipher suite": {
			forA: ciphers(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
			forB: ciphers(dtls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA),
		},
		"no common SRTP profile": {
			forA: profiles(dtls.SRTP_AEAD_AES_256_GCM),
			forB: profiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		},
		"fingerprint of the server": {wrong: 1},
		"fingerprint of the client": {wrong: 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := virtualPairWith(t, row.forA, row.forB, testnet.Delay(pathDelay))
				signal(t, a, b)
				require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startICE(limited(t, testTimeout), peer) }))
				var errs [2]error
				var at [2]time.Duration
				begin := time.Now()
				_ = both(a, b, func(s, peer *stack) error {
					i := 0
					if s == b {
						i = 1
					}
					params, err := peer.dtls.GetLocalParameters()
					if row.wrong == i+1 {
						params = otherParameters(t)
					}
					errs[i] = errors.Join(err, s.dtls.StartContext(context.Background(), params))
					at[i] = time.Since(begin)

					return nil
				})
				alerts := 0
				for i, s := range []*stack{a, b} {
					var alert *DTLSAlertError
					require.Error(t, errs[i])
					require.Less(t, at[i], 6*pathDelay)
					require.Equal(t, DTLSTransportStateFailed, s.dtls.State())
					if errors.As(errs[i], &alert) {
						require.EqualValues(t, 2, alert.Level)
						alerts++
					}
					require.Equal(t, row.wrong == i+1, errors.Is(errs[i], ErrFingerprintMismatch))
					require.Empty(t, s.dtls.GetRemoteCertificate())
					require.Equal(t, ICETransportStateConnected, s.ice.State())
				}
				require.Equal(t, 1, alerts, "the other side is told why")
				stopped(t, network, a, b)
			})
		})
	}
}

// TestL6_SCTPStartReturnsOnAnAbort with its cause, when it arrives.
func TestL6_SCTPStartReturnsOnAnAbort(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := overDTLS(t)
		ctx, cancel := context.WithTimeout(context.Background(), pathDelay/2)
		defer cancel()
		begin := time.Now()
		_ = both(a, b, func(s, peer *stack) error {
			if s == b {
				return b.startSCTP(ctx, a)
			}
			err := a.startSCTP(context.Background(), b)
			var abort *SCTPAbortError
			require.ErrorAs(t, err, &abort)
			require.True(t, abort.Remote)
			require.NotEmpty(t, abort.Causes)
			require.EqualValues(t, 12, abort.Causes[0].Code)
			require.Equal(t, pathDelay/2+pathDelay, time.Since(begin))
			require.Equal(t, SCTPTransportStateClosed, a.sctp.State())
			require.Equal(t, DTLSTransportStateConnected, a.dtls.State())

			return nil
		})
		stopped(t, network, a, b)
	})
}

// TestL8_WhatCannotBeStarted: an error at once for every layer that is not
// there, not ready or over; nothing panics, hangs or changes.
func TestL8_WhatCannotBeStarted(t *testing.T) {
	ctx := context.Background()
	good := func(s, peer *stack) DTLSParameters {
		params, _ := peer.dtls.GetLocalParameters()

		return params
	}
	gone := func(t *testing.T, s *stack, layer interface{ Stop() error }) {
		t.Helper()
		require.NoError(t, layer.Stop())
	}
	for name, call := range map[string]func(t *testing.T, a, b *stack) error{
		"DTLS over ICE that was never started": func(_ *testing.T, a, b *stack) error {
			return a.dtls.StartContext(ctx, good(a, b))
		},
		"DTLS over stopped ICE": func(t *testing.T, a, b *stack) error {
			gone(t, a, a.ice)

			return a.dtls.StartContext(ctx, good(a, b))
		},
		"DTLS made over stopped ICE": func(t *testing.T, a, b *stack) error {
			gone(t, a, a.ice)
			d, err := a.api.NewDTLSTransport(a.ice, nil)
			require.NoError(t, err)
			require.Equal(t, DTLSTransportStateClosed, d.State())

			return d.StartContext(ctx, good(a, b))
		},
		"SCTP over DTLS that was never started": func(_ *testing.T, a, _ *stack) error {
			return a.sctp.StartContext(ctx, SCTPCapabilities{})
		},
		"SCTP over stopped DTLS": func(t *testing.T, a, _ *stack) error {
			gone(t, a, a.dtls)

			return a.sctp.StartContext(ctx, SCTPCapabilities{})
		},
		"SCTP made over stopped DTLS": func(t *testing.T, a, _ *stack) error {
			gone(t, a, a.dtls)

			return a.api.NewSCTPTransport(a.dtls).StartContext(ctx, SCTPCapabilities{})
		},
		"SCTP over nil DTLS": func(_ *testing.T, a, _ *stack) error {
			return a.api.NewSCTPTransport(nil).StartContext(ctx, SCTPCapabilities{})
		},
		"SCTP over zero DTLS": func(_ *testing.T, a, _ *stack) error {
			return a.api.NewSCTPTransport(new(DTLSTransport)).StartContext(ctx, SCTPCapabilities{})
		},
		"SCTP of a nil API": func(_ *testing.T, a, _ *stack) error {
			return (*API)(nil).NewSCTPTransport(a.dtls).StartContext(ctx, SCTPCapabilities{})
		},
		"channel over nil SCTP": func(_ *testing.T, a, _ *stack) error {
			_, err := a.api.NewDataChannel(nil, &DataChannelParameters{})

			return err
		},
		"channel over stopped SCTP": func(t *testing.T, a, _ *stack) error {
			gone(t, a, a.sctp)
			_, err := a.sctp.OpenDataChannel(ctx, &DataChannelParameters{})

			return err
		},
		"DTLS over nil ICE": func(_ *testing.T, a, _ *stack) error {
			_, err := a.api.NewDTLSTransport(nil, nil)

			return err
		},
		"DTLS over zero ICE": func(_ *testing.T, a, _ *stack) error {
			_, err := a.api.NewDTLSTransport(new(ICETransport), nil)

			return err
		},
		"DTLS of a nil API": func(_ *testing.T, a, _ *stack) error {
			_, err := (*API)(nil).NewDTLSTransport(a.ice, nil)

			return err
		},
		"gatherer of a nil API": func(*testing.T, *stack, *stack) error {
			_, err := (*API)(nil).NewICEGatherer(ICEGatherOptions{})

			return err
		},
		"gatherer of a zero API": func(*testing.T, *stack, *stack) error {
			_, err := new(API).NewICEGatherer(ICEGatherOptions{})

			return err
		},
		"ICE of a nil API": func(_ *testing.T, _, b *stack) error {
			return (*API)(nil).NewICETransport(nil).StartContext(ctx, nil, ICEParameters{UsernameFragment: "abcd", Password: "0123456789012345678901"}, nil)
		},
		"ICE without a gatherer": func(_ *testing.T, a, b *stack) error {
			params, _ := b.gatherer.GetLocalParameters()

			return a.api.NewICETransport(nil).StartContext(ctx, nil, params, nil)
		},
		"ICE with a zero gatherer": func(_ *testing.T, a, b *stack) error {
			params, _ := b.gatherer.GetLocalParameters()

			return a.api.NewICETransport(nil).StartContext(ctx, new(ICEGatherer), params, nil)
		},
		"ICE with another's gatherer": func(_ *testing.T, a, b *stack) error {
			params, _ := b.gatherer.GetLocalParameters()

			return a.api.NewICETransport(nil).StartContext(ctx, b.gatherer, params, nil)
		},
		"ICE made with another's gatherer": func(_ *testing.T, a, b *stack) error {
			params, _ := b.gatherer.GetLocalParameters()

			return a.api.NewICETransport(b.gatherer).StartContext(ctx, nil, params, nil)
		},
		"ICE with a closed gatherer": func(t *testing.T, a, b *stack) error {
			g, err := a.api.NewICEGatherer(ICEGatherOptions{})
			require.NoError(t, err)
			require.NoError(t, g.Close())
			params, _ := b.gatherer.GetLocalParameters()

			return a.api.NewICETransport(nil).StartContext(ctx, g, params, nil)
		},
		"ICE whose gatherer was closed": func(t *testing.T, a, b *stack) error {
			require.NoError(t, a.gatherer.Close())

			return a.startICE(ctx, b)
		},
		"nil ICE":  func(*testing.T, *stack, *stack) error { return (*ICETransport)(nil).Start(nil, ICEParameters{}, nil) },
		"nil DTLS": func(*testing.T, *stack, *stack) error { return (*DTLSTransport)(nil).Start(DTLSParameters{}) },
		"nil SCTP": func(*testing.T, *stack, *stack) error { return (*SCTPTransport)(nil).Start(SCTPCapabilities{}) },
		"zero ICE": func(*testing.T, *stack, *stack) error { return new(ICETransport).Start(nil, ICEParameters{}, nil) },
		"zero DTLS": func(*testing.T, *stack, *stack) error {
			return new(DTLSTransport).Start(DTLSParameters{})
		},
		"zero SCTP": func(*testing.T, *stack, *stack) error { return new(SCTPTransport).Start(SCTPCapabilities{}) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := virtualPair(t)
				begin := time.Now()
				err := call(t, a, b)
				require.Error(t, err)
				require.True(t, errors.Is(err, ErrInvalidState) || errors.Is(err, ErrInvalidArgument), err)
				var named *Error
				require.ErrorAs(t, err, &named)
				require.Zero(t, time.Since(begin))
				if a.sctp.Context().Err() == nil && a.ice.Context().Err() == nil {
					connect(t, a, b) // nothing has changed
					channelPair(t, a, b, DataChannelParameters{})
				}
				stopped(t, network, a, b)
			})
		})
	}
}

// TestL8_SecondLayer over one that carries another is refused, and harms nothing.
func TestL8_SecondLayer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := virtualPair(t)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{})
		d, err := a.api.NewDTLSTransport(a.ice, nil)
		require.NoError(t, err)
		params, err := b.dtls.GetLocalParameters()
		require.NoError(t, err)
		require.ErrorIs(t, d.Start(params), ErrInvalidState)
		require.ErrorIs(t, a.api.NewSCTPTransport(a.dtls).Start(SCTPCapabilities{}), ErrInvalidState)
		require.NoError(t, from.Send(nil))
		require.NoError(t, <-receiving(limited(t, testTimeout), to))
		stopped(t, network, a, b)
	})
}

// TestL8_DTLSStartedWhileICEChecks connects as soon as ICE has a pair.
func TestL8_DTLSStartedWhileICEChecks(t *testing.T) {
	for _, role := range []DTLSRole{DTLSRoleAuto, DTLSRoleClient, DTLSRoleServer} {
		t.Run(role.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				settings := SettingEngine{}
				settings.DTLS.AnsweringRole = role
				a, b, network := virtualPairWith(t, settings, SettingEngine{}, testnet.Delay(pathDelay))
				ctx := limited(t, testTimeout)
				ice := result(func() error {
					return both(a, b, func(s, peer *stack) error { return s.startICE(ctx, peer) })
				})
				synctest.Wait()
				require.Equal(t, ICETransportStateChecking, a.ice.State())
				secured := result(func() error {
					return both(a, b, func(s, peer *stack) error {
						params, err := peer.dtls.GetLocalParameters()
						if s == b && role != DTLSRoleAuto {
							params.Role = role // as a signals it
						}

						return errors.Join(err, s.dtls.StartContext(ctx, params))
					})
				})
				time.Sleep(time.Second)
				require.Equal(t, DTLSTransportStateConnecting, a.dtls.State())
				signal(t, a, b)
				require.NoError(t, <-ice)
				begin := time.Now()
				require.NoError(t, <-secured)
				require.Less(t, time.Since(begin), 10*pathDelay)
				require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startSCTP(ctx, peer) }))
				channelPair(t, a, b, DataChannelParameters{})
				stopped(t, network, a, b)
			})
		})
	}
	t.Run("and ends with it", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a, b, network := virtualPair(t)
			ice := result(func() error { return a.startICE(context.Background(), b) })
			synctest.Wait()
			secured := result(func() error { return a.startDTLS(context.Background(), b) })
			synctest.Wait()
			begin := time.Now()
			require.NoError(t, a.ice.Stop())
			require.ErrorIs(t, <-ice, ErrClosed)
			require.ErrorIs(t, <-secured, ErrClosed)
			require.Zero(t, time.Since(begin))
			stopped(t, network, a, b)
		})
	})
}

// A DTLS start ends by its timeout also while ICE, which has failed, waits for
// a restart for ever.
func TestL6_DTLSStartDoesNotWaitForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{}
		settings.ICE.FailedGrace = -1
		a, b, network := virtualPairWith(t, settings, settings)
		signal(t, a, b)
		network.Cut(true)
		iceErr := make(chan error, 1)
		go func() { iceErr <- a.startICE(context.Background(), b) }()
		synctest.Wait()
		begin := time.Now()
		require.ErrorIs(t, a.startDTLS(context.Background(), b), ErrHandshakeTimeout)
		require.Equal(t, defaultStartTimeout, time.Since(begin))
		require.ErrorIs(t, <-iceErr, ErrICEFailed)
		require.NoError(t, a.ice.Stop())
	})
}
