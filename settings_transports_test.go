package webrtc

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	dtlselliptic "github.com/pion/dtls/v3/pkg/crypto/elliptic"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/sctp"
	"github.com/pion/transport/v5/dpipe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packets notes the records that one end writes.
type packets struct {
	net.Conn

	mu    sync.Mutex
	times []time.Duration
	sent  [][]byte
	start time.Time
}

func (p *packets) Write(b []byte) (int, error) {
	p.mu.Lock()
	p.times = append(p.times, time.Since(p.start))
	p.sent = append(p.sent, append([]byte(nil), b...))
	p.mu.Unlock()

	return p.Conn.Write(b)
}

// sentHandshake is the body of a handshake message that began a record in the
// clear, or nil.
func (p *packets) sentHandshake(kind handshake.Type) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.sent {
		for len(b) > 13 {
			if b[0] == 22 && b[3] == 0 && b[4] == 0 && b[13] == byte(kind) {
				return b[min(len(b), 25):]
			}
			b = b[min(len(b), 13+int(binary.BigEndian.Uint16(b[11:13]))):]
		}
	}

	return nil
}

// testCertificate is a new one, and the pool of authorities that it is in.
func testCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	c, err := generateDefaultCertificate()
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(c.x509Cert)

	return c.tlsCertificate(), pool
}

// shake makes a handshake between two ends with the options of their settings.
func shake(t *testing.T, client, server SettingEngine) (clientState, serverState dtls.State, wire *packets, err error) {
	t.Helper()
	clientCertificate, _ := testCertificate(t)
	serverCertificate, _ := testCertificate(t)

	return shakeWith(t, client, clientCertificate, server, serverCertificate)
}

func shakeWith(
	t *testing.T, client SettingEngine, clientCertificate tls.Certificate,
	server SettingEngine, serverCertificate tls.Certificate,
) (clientState, serverState dtls.State, wire *packets, err error) {
	t.Helper()
	settings := func(e SettingEngine) *SettingEngine {
		api := NewAPI(WithSettingEngine(e))
		require.NoError(t, api.ready("test"))

		return api.settings
	}
	near, far := dpipe.Pipe()
	wire = &packets{Conn: far, start: time.Now()}
	serverConn, err := dtls.ServerWithOptions(dtlsnet.PacketConnFromConn(wire), far.RemoteAddr(),
		settings(server).dtlsServerOptions(serverCertificate)...)
	require.NoError(t, err)
	clientConn, err := dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(near), near.RemoteAddr(),
		settings(client).dtlsClientOptions(clientCertificate)...)
	require.NoError(t, err)
	defer func() {
		_ = clientConn.Close()
		_ = serverConn.Close()
	}()

	served := make(chan error, 1)
	go func() { served <- serverConn.HandshakeContext(t.Context()) }()
	err = clientConn.HandshakeContext(t.Context())
	if err != nil {
		_ = clientConn.Close()
		_ = near.Close()
	}
	if err = errors.Join(err, <-served); err != nil {
		return clientState, serverState, wire, err
	}
	clientState, _ = clientConn.ConnectionState()
	serverState, _ = serverConn.ConnectionState()
	profile, ok := clientConn.SelectedSRTPProtectionProfile()
	require.True(t, ok)
	assert.Equal(t, dtls.SRTP_AEAD_AES_128_GCM, profile)

	return clientState, serverState, wire, nil
}

func TestDTLSOptionsByDefault(t *testing.T) {
	client, server, wire, err := shake(t, SettingEngine{}, SettingEngine{})
	require.NoError(t, err)
	assert.Len(t, client.PeerCertificates, 1)
	assert.Len(t, server.PeerCertificates, 1, "the client's certificate is required")
	assert.NotNil(t, wire.sentHandshake(handshake.TypeCertificateRequest))
	assert.Equal(t, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, client.CipherSuiteID)
}

func TestD6_HelloVerify(t *testing.T) {
	for _, verify := range []bool{false, true} {
		var server SettingEngine
		server.DTLS.HelloVerify = verify
		_, _, wire, err := shake(t, SettingEngine{}, server)
		require.NoError(t, err)
		assert.Equal(t, verify, wire.sentHandshake(handshake.TypeHelloVerifyRequest) != nil)
	}
}

func TestDTLSOptionsFromSettings(t *testing.T) {
	var noCertificate, suite, requires, disables SettingEngine
	noCertificate.SetDTLSClientAuth(dtls.NoClientCert)
	suite.SetDTLSCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)
	requires.DTLS.RequireExtendedMasterSecret = true
	disables.DTLS.InsecureDisableExtendedMasterSecret = true

	_, server, _, err := shake(t, SettingEngine{}, noCertificate)
	require.NoError(t, err)
	assert.Empty(t, server.PeerCertificates)

	client, _, _, err := shake(t, suite, SettingEngine{})
	require.NoError(t, err)
	assert.Equal(t, dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, client.CipherSuiteID)

	_, _, _, err = shake(t, disables, requires)
	require.Error(t, err)
	_, _, _, err = shake(t, disables, SettingEngine{})
	require.NoError(t, err)

	var log bytes.Buffer
	var logged SettingEngine
	logged.SetDTLSKeyLogWriter(&log)
	_, _, _, err = shake(t, logged, SettingEngine{})
	require.NoError(t, err)
	assert.Contains(t, log.String(), "CLIENT_RANDOM")

	var protocols, curve, custom SettingEngine
	protocols.SetDTLSSupportedProtocols("c-webrtc", "webrtc")
	client, _, _, err = shake(t, protocols, protocols)
	require.NoError(t, err)
	assert.Equal(t, "c-webrtc", client.NegotiatedProtocol)

	curve.SetDTLSEllipticCurves(dtlselliptic.P384)
	_, _, wire, err := shake(t, SettingEngine{}, curve)
	require.NoError(t, err)
	exchange := wire.sentHandshake(handshake.TypeServerKeyExchange)
	require.Greater(t, len(exchange), 3)
	assert.Equal(t, uint16(dtlselliptic.P384), binary.BigEndian.Uint16(exchange[1:]))

	var asked atomic.Int32
	custom.SetDTLSCustomerCipherSuites(func() []dtls.CipherSuite {
		asked.Add(1)

		return nil
	})
	_, _, _, err = shake(t, custom, SettingEngine{})
	require.NoError(t, err)
	assert.Positive(t, asked.Load())
}

func TestDTLSChains(t *testing.T) {
	ours, oursPool := testCertificate(t)
	theirs, theirsPool := testCertificate(t)
	for _, tc := range []struct {
		name        string
		roots, ours *x509.CertPool
		ok          bool
	}{
		{"both known", theirsPool, oursPool, true},
		{"server unknown", oursPool, oursPool, false},
		{"client unknown", theirsPool, theirsPool, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var client, server SettingEngine
			client.SetDTLSDisableInsecureSkipVerify(true)
			client.SetDTLSRootCAs(tc.roots)
			server.SetDTLSClientAuth(dtls.RequireAndVerifyClientCert)
			server.SetDTLSClientCAs(tc.ours)
			_, _, _, err := shakeWith(t, client, ours, server, theirs)
			assert.Equal(t, tc.ok, err == nil, "%v", err)
		})
	}
}

// What a handshake does not show is read from the connection.
func TestDTLSSizes(t *testing.T) {
	certificate, _ := testCertificate(t)
	for _, tc := range []struct {
		name        string
		change      func(*SettingEngine)
		mtu, window int
	}{
		{"default", func(*SettingEngine) {}, 1200, 64},
		{"set", func(e *SettingEngine) { e.DTLS.MTU = 500; e.SetDTLSReplayProtectionWindow(128) }, 500, 128},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var e SettingEngine
			tc.change(&e)
			settings := NewAPI(WithSettingEngine(e)).settings
			near, far := dpipe.Pipe()
			defer func() { _ = errors.Join(near.Close(), far.Close()) }()
			client, err := dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(near), near.RemoteAddr(),
				settings.dtlsClientOptions(certificate)...)
			require.NoError(t, err)
			server, err := dtls.ServerWithOptions(dtlsnet.PacketConnFromConn(far), far.RemoteAddr(),
				settings.dtlsServerOptions(certificate)...)
			require.NoError(t, err)
			for _, conn := range []*dtls.Conn{client, server} {
				v := reflect.ValueOf(conn).Elem()
				assert.EqualValues(t, tc.mtu, v.FieldByName("maximumTransmissionUnit").Int())
				assert.EqualValues(t, tc.window, v.FieldByName("replayProtectionWindow").Uint())
			}
		})
	}
}

func TestDTLSHooks(t *testing.T) {
	calls := map[string]int{}
	var client, server SettingEngine
	client.SetDTLSClientHelloMessageHook(func(m handshake.MessageClientHello) handshake.Message {
		calls["client hello"]++

		return &m
	})
	server.SetDTLSServerHelloMessageHook(func(m handshake.MessageServerHello) handshake.Message {
		calls["server hello"]++

		return &m
	})
	server.SetDTLSCertificateRequestMessageHook(func(m handshake.MessageCertificateRequest) handshake.Message {
		calls["certificate request"]++

		return &m
	})
	_, _, _, err := shake(t, client, server)
	require.NoError(t, err)
	assert.Len(t, calls, 3)
}

// Against a silent peer the first flight is sent again after the interval, and
// then after twice that.
func TestD5_FirstRetransmission(t *testing.T) {
	for _, tc := range []struct {
		name     string
		interval time.Duration
		want     []time.Duration
	}{
		{"default", 0, []time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond}},
		{"set", 20 * time.Millisecond, []time.Duration{0, 20 * time.Millisecond, 60 * time.Millisecond}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var e SettingEngine
				e.SetDTLSRetransmissionInterval(tc.interval)
				certificate, err := generateDefaultCertificate()
				require.NoError(t, err)
				near, far := dpipe.Pipe()
				wire := &packets{Conn: near, start: time.Now()}
				conn, err := dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(wire), near.RemoteAddr(),
					NewAPI(WithSettingEngine(e)).settings.dtlsClientOptions(certificate.tlsCertificate())...)
				require.NoError(t, err)
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = conn.HandshakeContext(t.Context())
				}()
				time.Sleep(tc.want[2] + time.Millisecond) // virtual
				require.NoError(t, conn.Close())
				_ = near.Close()
				_ = far.Close()
				<-done
				require.GreaterOrEqual(t, len(wire.times), 3)
				assert.Equal(t, tc.want, wire.times[:3])
			})
		})
	}
}

// initParameters reads the INIT chunk that the options make: its window and
// the types of its parameters.
func initParameters(t *testing.T, e SettingEngine) (window uint32, parameters map[uint16][]byte) {
	t.Helper()
	api := NewAPI(WithSettingEngine(e))
	require.NoError(t, api.ready("test"))
	chunk, err := sctp.GenerateOutOfBandToken(api.settings.sctpClientOptions()...)
	require.NoError(t, err)
	parameters = map[uint16][]byte{}
	for rest := chunk[20:]; len(rest) >= 4; {
		size := int(binary.BigEndian.Uint16(rest[2:]))
		require.GreaterOrEqual(t, size, 4)
		parameters[binary.BigEndian.Uint16(rest)] = rest[4:size]
		rest = rest[min(len(rest), (size+3)&^3):]
	}

	return binary.BigEndian.Uint32(chunk[8:]), parameters
}

func TestS6_SCTPOffers(t *testing.T) {
	const zeroChecksum, extensions, iData = 0x8001, 0x8008, 64

	window, parameters := initParameters(t, SettingEngine{})
	assert.EqualValues(t, 6<<20, window)
	assert.Contains(t, parameters, uint16(zeroChecksum))
	assert.Contains(t, parameters[extensions], byte(iData))

	var e SettingEngine
	e.EnableSCTPZeroChecksum(false)
	e.SCTP.DisableInterleaving = true
	e.SetSCTPMaxReceiveBufferSize(123_456)
	window, parameters = initParameters(t, e)
	assert.EqualValues(t, 123_456, window)
	assert.NotContains(t, parameters, uint16(zeroChecksum))
	assert.NotContains(t, parameters[extensions], byte(iData))
}

// What the handshake does not show is read from an association.
func TestSCTPOptions(t *testing.T) {
	options := func(change func(*SettingEngine)) []sctp.ClientOption {
		var e SettingEngine
		change(&e)
		api := NewAPI(WithSettingEngine(e))
		require.NoError(t, api.ready("test"))

		return api.settings.sctpClientOptions()
	}
	for _, tc := range []struct {
		name   string
		change func(*SettingEngine)
		want   map[string]any
	}{
		{"defaults", func(*SettingEngine) {}, map[string]any{
			"mtu": 1191, "minCwnd": 0, "fastRtxWnd": 0, "cwndCAStep": 0, "blockWrite": false,
			"maxReceiveBufferSize": 6 << 20, "rtoMgr.rtoMax": 60_000.0, "maxReassemblyQueueEntries": 0,
			"rack.rackMinRTTWnd.rackMinRTTWnd": 30 * time.Second,
			"rack.rackReoWndFloor":             0, "rack.rackWCDelAck": 200 * time.Millisecond,
		}},
		{"MTU", func(e *SettingEngine) { e.SCTP.MTU = 1000 }, map[string]any{"mtu": 1000}},
		{"congestion", func(e *SettingEngine) {
			e.SetSCTPMinCwnd(5000)
			e.SetSCTPFastRtxWnd(6000)
			e.SetSCTPCwndCAStep(7000)
		}, map[string]any{"minCwnd": 5000, "fastRtxWnd": 6000, "cwndCAStep": 7000}},
		{"RTO", func(e *SettingEngine) { e.SetSCTPRTOMax(1500 * time.Microsecond) }, map[string]any{"rtoMgr.rtoMax": 1.5}},
		{"RACK", func(e *SettingEngine) {
			e.SCTP.RACKMinRTTWindow = time.Minute
			e.SCTP.RACKReorderingWindowFloor = 7 * time.Millisecond
			e.SCTP.RACKWorstCaseDelayedAck = 8 * time.Millisecond
		}, map[string]any{
			"rack.rackMinRTTWnd.rackMinRTTWnd": time.Minute,
			"rack.rackReoWndFloor":             7 * time.Millisecond, "rack.rackWCDelAck": 8 * time.Millisecond,
		}},
		{"block write, detached", func(e *SettingEngine) {
			e.DetachDataChannels()
			e.EnableDataChannelBlockWrite(true)
		}, map[string]any{"blockWrite": true}},
		{"block write alone", func(e *SettingEngine) {
			e.EnableDataChannelBlockWrite(true)
		}, map[string]any{"blockWrite": false}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			near, far := dpipe.Pipe()
			other := make(chan *sctp.Association, 1)
			go func() {
				a, err := sctp.ClientWithOptions(append(options(func(*SettingEngine) {}), sctp.WithNetConn(far))...)
				assert.NoError(t, err)
				other <- a
			}()
			association, err := sctp.ClientWithOptions(append(options(tc.change), sctp.WithNetConn(near))...)
			require.NoError(t, err)
			peer := <-other
			for name, want := range tc.want {
				field := reflect.ValueOf(association)
				for part := range strings.SplitSeq(name, ".") {
					field = reflect.Indirect(field).FieldByName(part)
				}
				switch {
				case field.CanInt():
					assert.EqualValues(t, want, field.Int(), name)
				case field.CanUint():
					assert.EqualValues(t, want, field.Uint(), name)
				case field.CanFloat():
					assert.InDelta(t, want, field.Float(), 1e-9, name)
				default:
					assert.Equal(t, want, field.Bool(), name)
				}
			}
			require.NoError(t, association.Close())
			require.NoError(t, peer.Close())
		})
	}
}
