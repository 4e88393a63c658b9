package webrtc

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/srtp/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/mux"
	"github.com/ctxrtc/webrtc/internal/testnet"
)

// At the connected event everything can be read, and SCTP can be started from
// the handler itself, on both sides at once.
func TestD2_ConnectedMeansUsable(t *testing.T) {
	for range cases(20) {
		bubble(t, func(t *testing.T) {
			a, b, _ := iceOf(t, SettingEngine{}, SettingEngine{}, testnet.Delay(5*time.Millisecond))
			started := make(chan error, 2)
			for s, peer := range map[*stack]*stack{a: b, b: a} {
				s.dtls.OnStateChange(func(state DTLSTransportState) {
					if state != DTLSTransportStateConnected {
						return
					}
					assert.Equal(t, state, s.dtls.State())
					assert.NotEmpty(t, s.dtls.GetRemoteCertificate())
					_, err := s.dtls.Negotiated()
					assert.NoError(t, err)
					_, err = s.dtls.ExportKeyingMaterial("EXPORTER_test", nil, 16)
					assert.NoError(t, err)
					_, err = s.dtls.srtpConfig()
					assert.NoError(t, err)
					started <- s.startSCTP(t.Context(), peer)
				})
			}
			require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startDTLS(t.Context(), peer) }))
			require.NoError(t, <-started)
			require.NoError(t, <-started)
			from, to := channelPair(t, a, b, DataChannelParameters{Label: "from a handler", Ordered: true})
			exchange(t, from, to)
		})
	}
}

// messages counts the DTLS messages in plaintext that each side sends, by
// direction and type, and notes when.
type messages struct{ sent [2]map[byte][]time.Time }

func (m *messages) hook(from int, payload []byte) (drop bool) {
	if m.sent[from] == nil {
		m.sent[from] = map[byte][]time.Time{}
	}
	if mux.Classify(payload) != mux.ClassDTLS {
		return false
	}
	for len(payload) >= 13 {
		end := min(len(payload), 13+int(binary.BigEndian.Uint16(payload[11:])))
		if payload[0] == 22 && payload[3] == 0 && payload[4] == 0 && end > 13 {
			m.sent[from][payload[13]] = append(m.sent[from][payload[13]], time.Now())
		}
		payload = payload[end:]
	}

	return false
}

const clientHello, helloVerifyRequest = 1, 3

// Without the round trip of HelloVerifyRequest a handshake takes two.
func TestD6_HelloVerifyRoundTrip(t *testing.T) {
	const oneWay = 20 * time.Millisecond
	for verifies, want := range map[bool]struct {
		hellos, requests int
		took             time.Duration
	}{
		false: {1, 0, 4 * oneWay},
		true:  {2, 1, 6 * oneWay},
	} {
		t.Run(fmt.Sprint(verifies), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				settings := SettingEngine{DTLS: DTLSSettings{HelloVerify: verifies}}
				a, b, network := iceOf(t, settings, settings, testnet.Delay(oneWay))
				var seen messages
				network.OnPacket(seen.hook)
				begin := time.Now()
				require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startDTLS(t.Context(), peer) }))
				took := time.Since(begin)
				network.OnPacket(nil)
				assert.Len(t, seen.sent[1][clientHello], want.hellos)
				assert.Len(t, seen.sent[0][helloVerifyRequest], want.requests)
				assert.Equal(t, want.took, took)
			})
		})
	}
}

// The first flight is sent again 100 ms later, then the wait doubles.
func TestD5_RetransmissionsOfTheFirstFlight(t *testing.T) {
	for _, setting := range []time.Duration{0, 30 * time.Millisecond} {
		t.Run(fmt.Sprint(setting), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				first := cmp.Or(setting, 100*time.Millisecond)
				settings := SettingEngine{DTLS: DTLSSettings{RetransmissionInterval: setting}}
				_, b, network := iceOf(t, SettingEngine{}, settings)
				var seen messages
				network.OnPacket(seen.hook)
				ctx, cancel := context.WithTimeout(t.Context(), 20*first)
				defer cancel()
				params := DTLSParameters{Fingerprints: []DTLSFingerprint{{"sha-256", "00"}}}
				require.ErrorIs(t, b.dtls.StartContext(ctx, params), context.DeadlineExceeded)
				var waits []time.Duration
				hellos := seen.sent[1][clientHello]
				for i := 1; i < len(hellos); i++ {
					waits = append(waits, hellos[i].Sub(hellos[i-1]))
				}
				require.Equal(t, []time.Duration{first, 2 * first, 4 * first, 8 * first}, waits)
			})
		})
	}
}

// A path that loses a tenth of the packets costs a handshake little.
func TestD5_ConnectTimeOnALossyPath(t *testing.T) {
	const oneWay = 25 * time.Millisecond
	n := 400
	if raceEnabled {
		n = 200
	}
	took := make([]time.Duration, 0, n)
	for seed := range uint64(n) {
		bubble(t, func(t *testing.T) {
			a, b, _ := quickPair(t, testnet.Delay(oneWay), testnet.Loss(0.1, seed))
			connectBelow(t, a, b, 1)
			begin := time.Now()
			require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startDTLS(t.Context(), peer) }), seed)
			took = append(took, time.Since(begin))
		})
	}
	slices.Sort(took)
	median, ninth := took[n/2], took[n*9/10]
	t.Logf("%d handshakes at 10%% loss and %v one way: median %v, p90 %v, at most %v", n, oneWay, median, ninth, took[n-1])
	assert.Equal(t, 4*oneWay, took[0], "the best one lost nothing")
	assert.LessOrEqual(t, median, 300*time.Millisecond)
	assert.Less(t, ninth, time.Second)
}

func TestD10_ExportKeyingMaterial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, _ := iceOf(t, SettingEngine{}, SettingEngine{})
		export := func(s *stack, label string, length int) []byte {
			material, err := s.dtls.ExportKeyingMaterial(label, nil, length)
			require.NoError(t, err)
			require.Len(t, material, length)

			return material
		}
		for _, s := range []*stack{a, b} {
			_, err := s.dtls.ExportKeyingMaterial("EXPORTER_one", nil, 32)
			require.ErrorIs(t, err, ErrInvalidState, "before the start")
		}
		require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startDTLS(t.Context(), peer) }))
		for _, length := range []int{1, 20, 32, 1000} {
			require.Equal(t, export(a, "EXPORTER_one", length), export(b, "EXPORTER_one", length))
		}
		require.NotEqual(t, export(a, "EXPORTER_one", 32), export(a, "EXPORTER_two", 32))
		for _, length := range []int{0, -1, 1 << 20} {
			_, err := a.dtls.ExportKeyingMaterial("EXPORTER_one", nil, length)
			require.ErrorIs(t, err, ErrInvalidArgument, length)
		}
		_, err := a.dtls.ExportKeyingMaterial("EXPORTER_one", []byte("context"), 32)
		require.Error(t, err, "a context value is not supported")
		_, err = a.dtls.ExportKeyingMaterial("client finished", nil, 12)
		require.ErrorIs(t, err, ErrInvalidArgument, "a label that TLS itself uses")
	})
}

func TestD10_Negotiated(t *testing.T) {
	for name, c := range map[string]struct {
		a, b  SettingEngine
		suite dtls.CipherSuiteID
		srtp  dtls.SRTPProtectionProfile
	}{
		"by default": {
			SettingEngine{},
			SettingEngine{},
			dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.SRTP_AEAD_AES_128_GCM,
		},
		"as set": {
			SettingEngine{
				DTLS: DTLSSettings{CipherSuites: []dtls.CipherSuiteID{dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}},
				SRTP: SRTPSettings{ProtectionProfiles: []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_256_GCM}},
			},
			SettingEngine{
				DTLS: DTLSSettings{CipherSuites: []dtls.CipherSuiteID{
					dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
				}},
			},
			dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, dtls.SRTP_AEAD_AES_256_GCM,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, _ := iceOf(t, c.a, c.b)
				_, err := a.dtls.Negotiated()
				require.ErrorIs(t, err, ErrInvalidState)
				require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startDTLS(t.Context(), peer) }))
				for s, client := range map[*stack]bool{a: false, b: true} {
					got, err := s.dtls.Negotiated()
					require.NoError(t, err)
					require.Equal(t, DTLSNegotiated{
						Version: 0xfefd, CipherSuite: c.suite, SRTPProtectionProfile: c.srtp, Client: client,
					}, got)
				}
			})
		})
	}
}

// What one side encrypts the other decrypts, and nobody else.
func TestD10_SRTPKeysMatch(t *testing.T) {
	for _, profile := range []dtls.SRTPProtectionProfile{
		dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM,
		dtls.SRTP_AES128_CM_HMAC_SHA1_80, dtls.SRTP_AES128_CM_HMAC_SHA1_32,
	} {
		t.Run(fmt.Sprintf("%#04x", uint16(profile)), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				settings := SettingEngine{SRTP: SRTPSettings{ProtectionProfiles: []dtls.SRTPProtectionProfile{profile}}}
				a, b, _ := iceOf(t, settings, settings)
				_, err := a.dtls.srtpConfig()
				require.ErrorIs(t, err, ErrInvalidState)
				require.NoError(t, both(a, b, func(s, peer *stack) error { return s.startDTLS(t.Context(), peer) }))
				ofA, err := a.dtls.srtpConfig()
				require.NoError(t, err)
				ofB, err := b.dtls.srtpConfig()
				require.NoError(t, err)
				require.EqualValues(t, profile, ofA.Profile)
				require.EqualValues(t, profile, ofB.Profile)
				require.NotEqual(t, ofA.Keys.LocalMasterKey, ofA.Keys.RemoteMasterKey, "a key for each direction")

				for _, d := range [][2]*srtp.Config{{ofA, ofB}, {ofB, ofA}} {
					out, err := srtp.CreateContext(d[0].Keys.LocalMasterKey, d[0].Keys.LocalMasterSalt, d[0].Profile)
					require.NoError(t, err)
					in, err := srtp.CreateContext(d[1].Keys.RemoteMasterKey, d[1].Keys.RemoteMasterSalt, d[1].Profile)
					require.NoError(t, err)
					other, err := srtp.CreateContext(d[1].Keys.LocalMasterKey, d[1].Keys.LocalMasterSalt, d[1].Profile)
					require.NoError(t, err)
					packet := append([]byte{0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}, "a secret"...)
					encrypted, err := out.EncryptRTP(nil, packet, nil)
					require.NoError(t, err)
					require.NotContains(t, string(encrypted), "secret")
					decrypted, err := in.DecryptRTP(nil, encrypted, nil)
					require.NoError(t, err)
					require.Equal(t, packet, decrypted)
					_, err = other.DecryptRTP(nil, encrypted, nil)
					require.Error(t, err)
				}
			})
		})
	}
}

// A peer that offers profiles without encryption gets none of them, unless the
// settings say so by the name of what they do.
func TestD10_NullIsNeverAgreedOn(t *testing.T) {
	null := []dtls.SRTPProtectionProfile{dtls.SRTP_NULL_HMAC_SHA1_80, dtls.SRTP_NULL_HMAC_SHA1_32}
	insecure := SRTPSettings{ProtectionProfiles: null, InsecureAllowNull: true}
	with := SRTPSettings{
		ProtectionProfiles: append(slices.Clone(null), dtls.SRTP_AES128_CM_HMAC_SHA1_80), InsecureAllowNull: true,
	}
	for name, peers := range map[string][2]SRTPSettings{
		"null alone, from the client":        {{}, insecure},
		"null alone, from the server":        {insecure, {}},
		"null beside others, client":         {{}, with},
		"null beside others, server":         {with, {}},
		"null on both sides, without others": {insecure, insecure},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, _ := iceOf(t, SettingEngine{SRTP: peers[0]}, SettingEngine{SRTP: peers[1]})
				err := both(a, b, func(s, peer *stack) error { return s.startDTLS(t.Context(), peer) })
				for i, s := range []*stack{a, b} {
					config, noKeys := s.dtls.srtpConfig()
					if name == "null on both sides, without others" {
						require.NoError(t, err)
						require.NoError(t, noKeys)
						require.Contains(t, null, dtls.SRTPProtectionProfile(config.Profile))

						continue
					}
					if noKeys != nil {
						require.ErrorIs(t, noKeys, ErrInvalidState)

						continue
					}
					require.NoError(t, err)
					require.NotContains(t, null, dtls.SRTPProtectionProfile(config.Profile), i)
				}
			})
		})
	}
	_, err := NewAPI(WithSettingEngine(SettingEngine{SRTP: SRTPSettings{ProtectionProfiles: null}})).
		NewICEGatherer(ICEGatherOptions{})
	require.ErrorContains(t, err, "InsecureAllowNull")
}
