package webrtc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/turn/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// turnServer is a TURN server on 127.0.0.1, over UDP, TCP, TLS and DTLS.
type turnServer struct {
	server              *turn.Server
	udp, tcp, tls, dtls int // ports
	authority           *x509.CertPool
}

const turnUser, turnPassword, turnRealm = "user", "secret", "test"

func newTURNServer(t testing.TB) *turnServer {
	t.Helper()
	s := &turnServer{authority: x509.NewCertPool()}
	relays := func() turn.RelayAddressGenerator {
		return &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"}
	}
	var listen net.ListenConfig
	packets, err := listen.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	require.NoError(t, err)
	s.udp = packets.LocalAddr().(*net.UDPAddr).Port
	listeners := make([]net.Listener, 2)
	for i := range listeners {
		listener, err := listen.Listen(t.Context(), "tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		listeners[i] = &tidyListener{Listener: listener}
	}
	s.tcp = listeners[0].Addr().(*net.TCPAddr).Port
	s.tls = listeners[1].Addr().(*net.TCPAddr).Port
	certificate := serverCertificate(t)
	s.authority.AddCert(certificate.Leaf)
	listeners[1] = tls.NewListener(listeners[1], &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
	})
	secured, err := dtls.ListenWithOptions("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)},
		dtls.WithCertificates(certificate), dtls.WithLoggerFactory(quietLogs))
	require.NoError(t, err)
	s.dtls = secured.Addr().(*net.UDPAddr).Port
	s.server, err = turn.NewServer(turn.ServerConfig{
		Realm: turnRealm, LoggerFactory: quietLogs,
		AuthHandler: func(ra *turn.RequestAttributes) (string, []byte, bool) {
			return ra.Username, turn.GenerateAuthKey(turnUser, turnRealm, turnPassword), ra.Username == turnUser
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: packets, RelayAddressGenerator: relays()}},
		ListenerConfigs: []turn.ListenerConfig{
			{Listener: listeners[0], RelayAddressGenerator: relays()},
			{Listener: listeners[1], RelayAddressGenerator: relays()},
			{Listener: &tidyListener{Listener: secured}, RelayAddressGenerator: relays()},
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.server.Close()) })

	return s
}

// tidyListener closes with itself what it has accepted: of a connection whose
// handshake fails the server's module forgets to.
type tidyListener struct {
	net.Listener

	mu       sync.Mutex
	accepted []net.Conn
}

func (l *tidyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.accepted = append(l.accepted, conn)
	}

	return conn, err
}

func (l *tidyListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.accepted {
		_ = conn.Close()
	}

	return l.Listener.Close()
}

// serverCertificate is its own authority, for 127.0.0.1.
func serverCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)

	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// servedStack is a stack on loopback that gathers with a server.
func servedStack(
	t *testing.T, role ICERole, settings SettingEngine, policy ICETransportPolicy, url string,
) *stack {
	t.Helper()
	settings = onLoopback(settings)
	settings.SetNetworkTypes([]NetworkType{NetworkTypeUDP4})
	s := newStack(t, role, settings)
	require.NoError(t, s.ice.Stop()) // another gatherer takes its place
	var err error
	s.gatherer, err = s.api.NewICEGatherer(ICEGatherOptions{
		ICEGatherPolicy: policy,
		ICEServers:      []ICEServer{{URLs: []string{url}, Username: turnUser, Credential: turnPassword}},
	})
	require.NoError(t, err)
	s.ice = s.api.NewICETransport(s.gatherer)
	s.dtls, err = s.api.NewDTLSTransport(s.ice, nil)
	require.NoError(t, err)
	s.sctp = s.api.NewSCTPTransport(s.dtls)

	return s
}

// countingProxy is a proxy that counts, and whose addresses are of its own.
type countingProxy struct{ dialled atomic.Int32 }

type proxyAddr struct{}

func (proxyAddr) Network() string { return "proxy" }
func (proxyAddr) String() string  { return "proxy" }

type proxyConn struct{ net.Conn }

func (proxyConn) LocalAddr() net.Addr { return proxyAddr{} }

func (p *countingProxy) Dial(network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	p.dialled.Add(1)

	return proxyConn{conn}, nil
}

// A relayed candidate of each kind of server carries messages, and what was
// allocated is gone after Stop.
func TestI10_TURN(t *testing.T) {
	testnet.Leaks(t)
	server := newTURNServer(t)
	proxied := &countingProxy{}
	trusting := ICESettings{TURNRootCAs: server.authority}
	configured := ICESettings{TURNTLSConfig: &tls.Config{RootCAs: server.authority, MinVersion: tls.VersionTLS13}}
	named := ICESettings{
		TURNTLSConfig: &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12}, TURNRootCAs: server.authority,
	}
	for name, c := range map[string]struct {
		url      string
		settings ICESettings
		protocol string
	}{
		"UDP":                   {fmt.Sprintf("turn:127.0.0.1:%d", server.udp), ICESettings{}, "udp"},
		"TCP":                   {fmt.Sprintf("turn:127.0.0.1:%d?transport=tcp", server.tcp), ICESettings{}, "tcp"},
		"TCP, by name":          {fmt.Sprintf("turn:localhost:%d?transport=tcp", server.tcp), ICESettings{}, "tcp"},
		"TLS":                   {fmt.Sprintf("turns:127.0.0.1:%d", server.tls), trusting, "tls"},
		"TLS, by transport":     {fmt.Sprintf("turns:127.0.0.1:%d?transport=tcp", server.tls), trusting, "tls"},
		"TLS, by configuration": {fmt.Sprintf("turns:127.0.0.1:%d", server.tls), configured, "tls"},
		"TLS, by another name":  {fmt.Sprintf("turns:127.0.0.1:%d", server.tls), named, "tls"},
		"DTLS":                  {fmt.Sprintf("turns:127.0.0.1:%d?transport=udp", server.dtls), trusting, "dtls"},
		"TCP through a proxy": {
			fmt.Sprintf("turn:127.0.0.1:%d?transport=tcp", server.tcp), ICESettings{ProxyDialer: proxied}, "tcp",
		},
		"TLS through a proxy": {
			fmt.Sprintf("turns:127.0.0.1:%d", server.tls),
			ICESettings{ProxyDialer: proxied, TURNRootCAs: server.authority},
			"tls",
		},
	} {
		t.Run(name, func(t *testing.T) {
			testnet.Leaks(t)
			before := proxied.dialled.Load()
			c.settings.RelayAcceptanceMinWait = -1
			a := servedStack(t, ICERoleControlling, SettingEngine{ICE: c.settings}, ICETransportPolicyRelay, c.url)
			b := newStack(t, ICERoleControlled, onLoopback(SettingEngine{}))
			connect(t, a, b)
			candidates, err := a.gatherer.GetLocalCandidates()
			require.NoError(t, err)
			for _, candidate := range candidates {
				require.Equal(t, ICECandidateTypeRelay, candidate.Typ, "nothing else is told: %s", candidate)
			}
			pair, err := a.ice.GetSelectedCandidatePair()
			require.NoError(t, err)
			require.Equal(t, ICECandidateTypeRelay, pair.Local.Typ)
			assert.Equal(t, c.settings.ProxyDialer != nil, proxied.dialled.Load() > before)
			assert.Equal(t, 1, server.server.AllocationCount())
			from, to := channelPair(t, a, b, DataChannelParameters{Label: "relayed", Ordered: true})
			exchange(t, from, to)
			_, stats := a.ice.report()
			for _, candidate := range stats.candidates {
				if candidate.Type == StatsTypeLocalCandidate {
					assert.Equal(t, c.protocol, candidate.RelayProtocol)
					assert.Equal(t, c.url, candidate.URL)
				}
			}
			require.NoError(t, a.ice.Stop())
			require.NoError(t, b.ice.Stop())
			require.NoError(t, a.ice.Run(t.Context()), "returns when it is released")
			require.Eventually(t, func() bool { return server.server.AllocationCount() == 0 },
				testTimeout, time.Millisecond)
		})
	}
}

// A server over TLS whose authority is not known gets no credentials.
func TestI10_TURNServerIsVerified(t *testing.T) {
	testnet.Leaks(t)
	server := newTURNServer(t)
	overTLS := fmt.Sprintf("turns:127.0.0.1:%d", server.tls)
	overDTLS := fmt.Sprintf("turns:127.0.0.1:%d?transport=udp", server.dtls)
	for name, c := range map[string]struct {
		settings ICESettings
		url      string
	}{
		"the machine's authorities": {ICESettings{}, overTLS},
		"another authority":         {ICESettings{TURNRootCAs: x509.NewCertPool()}, overTLS},
		"through a proxy":           {ICESettings{ProxyDialer: &countingProxy{}, TURNRootCAs: x509.NewCertPool()}, overTLS},
		"another name": {ICESettings{
			TURNRootCAs: server.authority, TURNTLSConfig: &tls.Config{ServerName: "other", MinVersion: tls.VersionTLS12},
		}, overTLS},
		"DTLS, the machine's authorities": {ICESettings{}, overDTLS},
		"DTLS, another authority":         {ICESettings{TURNRootCAs: x509.NewCertPool()}, overDTLS},
	} {
		t.Run(name, func(t *testing.T) {
			a := servedStack(t, ICERoleControlling, SettingEngine{ICE: c.settings}, ICETransportPolicyRelay, c.url)
			candidates, err := a.gatherer.GatherContext(t.Context())
			require.NoError(t, err)
			require.Empty(t, candidates)
			results, err := a.gatherer.GetServerResults()
			require.NoError(t, err)
			require.Equal(t, ICEGatherStepHandshake, results[0].Step)
			require.Error(t, results[0].Err)
			require.Zero(t, server.server.AllocationCount())
			require.NoError(t, a.ice.Stop())
		})
	}
}

// silentProxy is one whose server does not answer.
type silentProxy struct{ entered chan struct{} }

func (p *silentProxy) Dial(network, address string) (net.Conn, error) {
	return p.DialContext(context.Background(), network, address)
}

func (p *silentProxy) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	close(p.entered)
	<-ctx.Done()

	return nil, ctx.Err()
}

// deafProxy is one that does not heed a context either.
type deafProxy struct{ entered, leave chan struct{} }

func (p *deafProxy) Dial(string, string) (net.Conn, error) {
	close(p.entered)
	<-p.leave

	return nil, net.ErrClosed
}

// Stop does not wait for a connection to a server, nor for its TLS or DTLS.
func TestL11_StopWhileATURNServerIsDialled(t *testing.T) {
	testnet.Leaks(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	connected := make(chan struct{})
	go func() { // accepts and says nothing
		if conn, err := listener.Accept(); err == nil {
			close(connected)
			defer func() { _ = conn.Close() }()
			_, _ = conn.Read(make([]byte, 1<<16))
			_, _ = conn.Read(make([]byte, 1))
		}
	}()
	mute, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, mute.Close()) }()
	heard := make(chan struct{})
	go func() {
		if _, _, err := mute.ReadFrom(make([]byte, 1<<16)); err == nil {
			close(heard)
		}
	}()
	proxied, deaf := &silentProxy{make(chan struct{})}, &deafProxy{make(chan struct{}), make(chan struct{})}
	defer close(deaf.leave)
	for name, c := range map[string]struct {
		settings ICESettings
		url      string
		busy     chan struct{}
	}{
		"silent dial": {ICESettings{ProxyDialer: proxied}, "turn:192.0.2.1:3478?transport=tcp", proxied.entered},
		"deaf dial":   {ICESettings{ProxyDialer: deaf}, "turn:192.0.2.1:3478?transport=tcp", deaf.entered},
		"silent TLS":  {ICESettings{}, "turns:" + listener.Addr().String(), connected},
		"silent DTLS": {ICESettings{}, "turns:" + mute.LocalAddr().String() + "?transport=udp", heard},
	} {
		t.Run(name, func(t *testing.T) {
			a := servedStack(t, ICERoleControlling, SettingEngine{ICE: c.settings}, ICETransportPolicyRelay, c.url)
			require.NoError(t, a.gatherer.Gather())
			<-c.busy
			begin := time.Now()
			require.NoError(t, a.ice.Stop())
			require.Less(t, time.Since(begin), time.Second)
			require.Equal(t, ICEGathererStateClosed, a.gatherer.State())
		})
	}
}

// A server-reflexive candidate connects.
func TestI10_STUN(t *testing.T) {
	testnet.Leaks(t)
	server := newTURNServer(t)
	a := servedStack(t, ICERoleControlling, SettingEngine{ICE: ICESettings{SrflxAcceptanceMinWait: -1}},
		ICETransportPolicyNoHost, fmt.Sprintf("stun:127.0.0.1:%d", server.udp))
	b := newStack(t, ICERoleControlled, onLoopback(SettingEngine{}))
	connect(t, a, b)
	pair, err := a.ice.GetSelectedCandidatePair()
	require.NoError(t, err)
	require.Equal(t, ICECandidateTypeSrflx, pair.Local.Typ)
	require.Equal(t, "127.0.0.1", pair.Local.Address)
	from, to := channelPair(t, a, b, DataChannelParameters{Label: "reflexive", Ordered: true})
	exchange(t, from, to)
	require.NoError(t, a.ice.Stop())
	require.NoError(t, b.ice.Stop())
}
