package webrtc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// iceOf is a pair whose ICE is connected, and DTLS not started.
func iceOf(t *testing.T, forA, forB SettingEngine, opts ...testnet.Option) (a, b *stack, network *testnet.Network) {
	t.Helper()
	network = testnet.Pair(t, opts...)
	a = quickStack(t, ICERoleControlling, forA, network, 0)
	b = quickStack(t, ICERoleControlled, forB, network, 1)
	connectBelow(t, a, b, 1)

	return a, b, network
}

// fingerprintOf is one of a stack's certificate by any algorithm.
func fingerprintOf(t *testing.T, s *stack, hash crypto.Hash) DTLSFingerprint {
	t.Helper()
	name, err := fingerprint.StringFromHash(hash)
	require.NoError(t, err)
	value, err := fingerprint.Fingerprint(s.dtls.certificates[0].x509Cert, hash)
	require.NoError(t, err)

	return DTLSFingerprint{Algorithm: name, Value: value}
}

// wrong is a fingerprint of the same form with another value.
func wrong(f DTLSFingerprint) DTLSFingerprint {
	f.Value = strings.Map(func(r rune) rune {
		if r == ':' {
			return r
		}

		return 'A'
	}, f.Value)

	return f
}

func TestD1_Fingerprints(t *testing.T) {
	for name, c := range map[string]struct {
		signaled func(sha1, sha256, sha384, sha512 DTLSFingerprint) []DTLSFingerprint
		matches  bool
	}{
		"sha-256": {func(_, f, _, _ DTLSFingerprint) []DTLSFingerprint { return []DTLSFingerprint{f} }, true},
		"sha-384": {func(_, _, f, _ DTLSFingerprint) []DTLSFingerprint { return []DTLSFingerprint{f} }, true},
		"sha-512": {func(_, _, _, f DTLSFingerprint) []DTLSFingerprint { return []DTLSFingerprint{f} }, true},
		"wrong":   {func(_, f, _, _ DTLSFingerprint) []DTLSFingerprint { return []DTLSFingerprint{wrong(f)} }, false},
		"sha-1 alone": {
			func(f, _, _, _ DTLSFingerprint) []DTLSFingerprint { return []DTLSFingerprint{f} }, false,
		},
		"unknown alone": {func(_, f, _, _ DTLSFingerprint) []DTLSFingerprint {
			return []DTLSFingerprint{{"sha3-256", f.Value}}
		}, false},
		"unknown is skipped": {func(_, f, _, _ DTLSFingerprint) []DTLSFingerprint {
			return []DTLSFingerprint{{"sha3-256", wrong(f).Value}, f}
		}, true},
		"sha-1 cannot help": {func(sha1, f, _, _ DTLSFingerprint) []DTLSFingerprint {
			return []DTLSFingerprint{sha1, wrong(f)}
		}, false},
		"sha-1 cannot harm": {func(sha1, f, _, _ DTLSFingerprint) []DTLSFingerprint {
			return []DTLSFingerprint{wrong(sha1), f}
		}, true},
		"the strongest decides against": {func(_, sha256, _, sha512 DTLSFingerprint) []DTLSFingerprint {
			return []DTLSFingerprint{sha256, wrong(sha512)}
		}, false},
		"the strongest decides for": {func(_, sha256, _, sha512 DTLSFingerprint) []DTLSFingerprint {
			return []DTLSFingerprint{wrong(sha256), sha512}
		}, true},
		"one of two": {func(_, f, _, _ DTLSFingerprint) []DTLSFingerprint {
			return []DTLSFingerprint{wrong(f), f}
		}, true},
		"lower case": {func(_, f, _, _ DTLSFingerprint) []DTLSFingerprint {
			return []DTLSFingerprint{{strings.ToUpper(f.Algorithm), strings.ToLower(f.Value)}}
		}, true},
		"malformed": {func(_, f, _, _ DTLSFingerprint) []DTLSFingerprint {
			return []DTLSFingerprint{{f.Algorithm, strings.ReplaceAll(f.Value, ":", "")}}
		}, false},
	} {
		for _, role := range []DTLSRole{DTLSRoleClient, DTLSRoleServer} {
			t.Run(fmt.Sprintf("%s, verified by the %s", name, role), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					// a verifies what the table says of b.
					a, b, _ := iceOf(t, SettingEngine{}, SettingEngine{}, testnet.Delay(5*time.Millisecond))
					params := DTLSParameters{Role: DTLSRoleServer, Fingerprints: c.signaled(
						fingerprintOf(t, b, crypto.SHA1), fingerprintOf(t, b, crypto.SHA256),
						fingerprintOf(t, b, crypto.SHA384), fingerprintOf(t, b, crypto.SHA512))}
					ofA, err := a.dtls.GetLocalParameters()
					require.NoError(t, err)
					if ofA.Role = DTLSRoleClient; role == DTLSRoleServer {
						params.Role, ofA.Role = DTLSRoleClient, DTLSRoleServer
					}
					peer := make(chan error, 1)
					go func() { peer <- b.dtls.StartContext(t.Context(), ofA) }()
					begin := time.Now()
					err = a.dtls.StartContext(t.Context(), params)
					if c.matches {
						require.NoError(t, err)
						require.NoError(t, <-peer)
						require.Equal(t, b.dtls.certificates[0].x509Cert.Raw, a.dtls.GetRemoteCertificate())

						return
					}
					require.ErrorIs(t, err, ErrFingerprintMismatch)
					require.Less(t, time.Since(begin), 50*time.Millisecond)
					require.Equal(t, DTLSTransportStateFailed, a.dtls.State())
					require.Empty(t, a.dtls.GetRemoteCertificate(), "not of the peer that was signaled")
					require.ErrorIs(t, context.Cause(a.dtls.Context()), ErrFingerprintMismatch)

					var alert *DTLSAlertError
					err = <-peer
					require.ErrorAs(t, err, &alert, "the peer is told: %v", err)
					require.EqualValues(t, 2, alert.Level)
					require.EqualValues(t, 42, alert.Description, "bad_certificate")
					require.Less(t, time.Since(begin), 50*time.Millisecond)
					require.Equal(t, DTLSTransportStateFailed, b.dtls.State())
				})
			})
		}
	}
}

// Nobody sees the peer's certificate before it was verified, the hook apart,
// and everybody does from the connected event on.
func TestD1_RemoteCertificateIsVisibleOnceVerified(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sides := map[*DTLSTransport]string{}
		check := func(ctx context.Context, _ *x509.Certificate) error {
			transport := ctx.Value(sideKey{}).(*DTLSTransport)
			assert.Empty(t, transport.GetRemoteCertificate(), "while the hook runs")
			_, err := transport.Negotiated()
			assert.ErrorIs(t, err, ErrInvalidState)
			assert.Equal(t, DTLSTransportStateConnecting, transport.State())

			return nil
		}
		settings := SettingEngine{DTLS: DTLSSettings{VerifyPeerCertificate: check}}
		a, b, _ := iceOf(t, settings, settings, testnet.Delay(5*time.Millisecond))
		sides[a.dtls], sides[b.dtls] = "a", "b"
		seen := make(chan string, 9)
		for transport, name := range sides {
			assert.Empty(t, transport.GetRemoteCertificate())
			transport.OnStateChange(func(state DTLSTransportState) {
				if state == DTLSTransportStateConnected {
					assert.NotEmpty(t, transport.GetRemoteCertificate())
					seen <- name
				}
			})
		}
		require.NoError(t, both(a, b, func(s, peer *stack) error {
			return s.startDTLS(context.WithValue(t.Context(), sideKey{}, s.dtls), peer)
		}))
		assert.ElementsMatch(t, []string{"a", "b"}, []string{<-seen, <-seen})
	})
}

type sideKey struct{}

func TestD7_HookSeesAndRefuses(t *testing.T) {
	refusal := errors.New("not on the list")
	for _, refuses := range []bool{false, true} {
		for _, role := range []DTLSRole{DTLSRoleClient, DTLSRoleServer} {
			t.Run(fmt.Sprintf("refuses %v as %s", refuses, role), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					asked := make(chan *x509.Certificate, 9)
					contexts := make(chan context.Context, 9)
					hook := func(ctx context.Context, certificate *x509.Certificate) error {
						asked <- certificate
						contexts <- ctx
						assert.NoError(t, ctx.Err())
						if refuses {
							return refusal
						}

						return nil
					}
					settings := SettingEngine{DTLS: DTLSSettings{VerifyPeerCertificate: hook, AnsweringRole: role}}
					other := SettingEngine{DTLS: DTLSSettings{AnsweringRole: DTLSRoleServer}}
					if role == DTLSRoleServer {
						other.DTLS.AnsweringRole = DTLSRoleClient
					}
					a, b, _ := iceOf(t, settings, other, testnet.Delay(5*time.Millisecond))
					peer := make(chan error, 1)
					go func() { peer <- b.startDTLS(t.Context(), a) }()
					err := a.startDTLS(context.WithValue(t.Context(), sideKey{}, "the start's"), b)

					require.Len(t, asked, 1, "asked once")
					require.Equal(t, b.dtls.certificates[0].x509Cert.Raw, (<-asked).Raw)
					ctx := <-contexts
					require.Equal(t, "the start's", ctx.Value(sideKey{}))
					require.Error(t, ctx.Err(), "it ends with the start")
					if !refuses {
						require.NoError(t, err)
						require.NoError(t, <-peer)

						return
					}
					require.ErrorIs(t, err, refusal)
					require.Equal(t, DTLSTransportStateFailed, a.dtls.State())
					require.Empty(t, a.dtls.GetRemoteCertificate())
					var alert *DTLSAlertError
					require.ErrorAs(t, <-peer, &alert)
				})
			})
		}
	}
}

// The hook is not asked about a certificate that nobody signaled.
func TestD7_HookComesAfterTheFingerprint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settings := SettingEngine{DTLS: DTLSSettings{
			VerifyPeerCertificate: func(context.Context, *x509.Certificate) error {
				t.Error("asked about a certificate that does not match")

				return nil
			},
		}}
		a, b, _ := iceOf(t, settings, SettingEngine{})
		params := DTLSParameters{Fingerprints: []DTLSFingerprint{wrong(fingerprintOf(t, b, crypto.SHA256))}}
		go func() { _ = b.startDTLS(t.Context(), a) }()
		require.ErrorIs(t, a.dtls.StartContext(t.Context(), params), ErrFingerprintMismatch)
	})
}

// A hook may block: the context's end, Stop, and the end of ICE are prompt, and
// it is told by its context.
func TestD7_HookBlocks(t *testing.T) {
	cause := errors.New("enough")
	for name, c := range map[string]struct {
		end  func(a *stack, cancel context.CancelCauseFunc)
		want error
	}{
		"cancel":         {func(_ *stack, cancel context.CancelCauseFunc) { cancel(cause) }, cause},
		"Stop":           {func(a *stack, _ context.CancelCauseFunc) { _ = a.dtls.Stop() }, ErrClosed},
		"Stop of ICE":    {func(a *stack, _ context.CancelCauseFunc) { _ = a.ice.Stop() }, ErrClosed},
		"start timeout":  {func(*stack, context.CancelCauseFunc) { time.Sleep(time.Second) }, ErrHandshakeTimeout},
		"cancel, server": {func(_ *stack, cancel context.CancelCauseFunc) { cancel(cause) }, cause},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				entered, told, leave := make(chan struct{}), make(chan error, 1), make(chan struct{})
				settings := SettingEngine{DTLS: DTLSSettings{StartTimeout: time.Second}}
				settings.DTLS.VerifyPeerCertificate = func(ctx context.Context, _ *x509.Certificate) error {
					close(entered)
					<-ctx.Done()
					told <- context.Cause(ctx)
					<-leave // it does not even listen

					return nil
				}
				settings.DTLS.AnsweringRole = DTLSRoleClient
				other := SettingEngine{DTLS: DTLSSettings{AnsweringRole: DTLSRoleServer}}
				if name == "cancel, server" {
					settings.DTLS.AnsweringRole, other.DTLS.AnsweringRole = DTLSRoleServer, DTLSRoleClient
				}
				a, b, _ := iceOf(t, settings, other, testnet.Delay(time.Millisecond))
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				started := make(chan error, 1)
				go func() { _ = b.startDTLS(t.Context(), a) }()
				go func() { started <- a.startDTLS(ctx, b) }()
				<-entered
				c.end(a, cancel)
				begin := time.Now()
				require.ErrorIs(t, <-started, c.want)
				require.Zero(t, time.Since(begin))
				require.ErrorIs(t, <-told, c.want)

				ran := make(chan error, 1)
				go func() { ran <- a.ice.Run(t.Context()) }()
				require.NoError(t, a.ice.Stop())
				synctest.Wait()
				require.Empty(t, ran, "Run waits for the hook")
				close(leave)
				require.NoError(t, <-ran)
			})
		})
	}
}

// A hook may call whatever it likes, Stop as well.
func TestD7_HookStops(t *testing.T) {
	for name, stop := range map[string]func(s *stack) error{
		"DTLS": func(s *stack) error { return s.dtls.Stop() },
		"ICE":  func(s *stack) error { return s.ice.Stop() },
		"DTLS gracefully": func(s *stack) error {
			return s.dtls.Shutdown(context.Background())
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var settings SettingEngine
				var a *stack
				stopped := make(chan error, 1)
				settings.DTLS.VerifyPeerCertificate = func(context.Context, *x509.Certificate) error {
					stopped <- stop(a)

					return nil
				}
				network := testnet.Pair(t, testnet.Delay(time.Millisecond))
				a = quickStack(t, ICERoleControlling, settings, network, 0)
				b := quickStack(t, ICERoleControlled, SettingEngine{}, network, 1)
				connectBelow(t, a, b, 1)
				go func() { _ = b.startDTLS(t.Context(), a) }()
				begin := time.Now()
				require.ErrorIs(t, a.startDTLS(t.Context(), b), ErrClosed)
				require.Less(t, time.Since(begin), 50*time.Millisecond)
				require.NoError(t, <-stopped)
				require.Equal(t, DTLSTransportStateClosed, a.dtls.State())
			})
		})
	}
}

func TestD8_CertificatesInUse(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys := map[string]crypto.PrivateKey{"RSA": rsaKey, "P-256": p256, "P-384": p384, "Ed25519": edwards}
	for client, clientKey := range keys {
		for server, serverKey := range keys {
			t.Run(client+" to "+server, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, b, _ := iceOf(t, SettingEngine{}, SettingEngine{})
					for s, key := range map[*stack]crypto.PrivateKey{a: serverKey, b: clientKey} {
						certificate, err := GenerateCertificate(key)
						require.NoError(t, err)
						text, err := certificate.PEM()
						require.NoError(t, err)
						read, err := CertificateFromPEM(text)
						require.NoError(t, err)
						s.dtls, err = s.api.NewDTLSTransport(s.ice, []Certificate{*read})
						require.NoError(t, err)
						s.sctp = s.api.NewSCTPTransport(s.dtls)
					}
					carries(t, a, b, 1)
					assert.Equal(t, b.dtls.certificates[0].x509Cert.Raw, a.dtls.GetRemoteCertificate())
				})
			})
		}
	}
}

func TestD8_ExpiredCertificateIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, _ := iceOf(t, SettingEngine{}, SettingEngine{})
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		certificate, err := NewCertificate(key, x509.Certificate{
			SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(10 * time.Second),
		})
		require.NoError(t, err)
		late, err := a.api.NewDTLSTransport(a.ice, []Certificate{*certificate})
		require.NoError(t, err)
		time.Sleep(time.Until(certificate.Expires()) + time.Second)
		_, err = a.api.NewDTLSTransport(a.ice, []Certificate{*certificate})
		require.ErrorIs(t, err, ErrCertificateExpired)

		// Made in time and started too late: refused, and nothing has changed.
		params, err := b.dtls.GetLocalParameters()
		require.NoError(t, err)
		require.ErrorIs(t, late.StartContext(t.Context(), params), ErrCertificateExpired)
		require.Equal(t, DTLSTransportStateNew, late.State())
		carries(t, a, b, 1) // with the certificates that they have
	})
}
