package cases

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

// The names and addresses of the network with two routers.
const (
	OurRouter         = "our-router"
	PeerRouter        = "peer-router"
	Between           = "between"
	OurAddress        = "10.1.0.2"
	PeerAddress       = "10.2.0.2"
	OurRouterAddress  = "203.0.113.1"
	PeerRouterAddress = "203.0.113.2"
	ServerAddress     = "203.0.113.254"

	TURNRealm    = "interop"
	TURNUser     = "user"
	TURNPassword = "password"

	// ServerCertificate is that of the servers with its key, Authorities what peers
	// believe, both in /etc of their namespaces. It is its own authority.
	ServerCertificate = "ssl/turn.pem"
	Authorities       = "ssl/certs/ca-certificates.crt"
)

// The kinds of routers. Mapping and filtering are as in RFC 4787.
const (
	open       = "open"       // routes everything
	cone       = "cone"       // one port for all destinations, open to everybody
	restricted = "restricted" // one port for all destinations, open to those that were sent to
	symmetric  = "symmetric"  // another port for each destination
	blocked    = "blocked"    // like restricted, without UDP
)

// Internet are the cases on the network with two routers.
func Internet() []Case {
	kinds := []string{cone, restricted, symmetric, blocked}
	all := make([]Case, 0, 12+len(kinds)*len(kinds))
	all = append(all, []Case{
		{"relay-udp", 20 * time.Second, relayed("turn:" + ServerAddress + ":3478")},
		{"relay-tcp", 20 * time.Second, relayed("turn:" + ServerAddress + ":3478?transport=tcp")},
		{"relay-tls", 20 * time.Second, relayed("turns:" + ServerAddress + ":5349")},
		{"coturn-udp", 20 * time.Second, coturned("turn:" + ServerAddress + ":3478")},
		{"coturn-tcp", 20 * time.Second, coturned("turn:" + ServerAddress + ":3478?transport=tcp")},
		{"coturn-tls", 20 * time.Second, coturned("turns:" + ServerAddress + ":5349")},
		{"peer-relay-udp", 20 * time.Second, peerRelayed("turn:" + ServerAddress + ":3478")},
		{"peer-relay-tcp", 20 * time.Second, peerRelayed("turn:" + ServerAddress + ":3478?transport=tcp")},
		{"peer-relay-tls", 20 * time.Second, peerRelayed("turns:" + ServerAddress + ":5349?transport=tcp")},
		{"turn-stopped", 60 * time.Second, turnStopped},
		{"rebinding", 60 * time.Second, rebinding},
		{"interface", 60 * time.Second, otherInterface},
	}...)
	for _, ours := range kinds {
		for _, theirs := range kinds {
			all = append(all, Case{"nat-" + ours + "-" + theirs, 30 * time.Second, nats(ours, theirs)})
		}
	}

	return all
}

// router makes one of the routers one of a kind, and forgets its connections.
func (e *Env) router(name, kind string) error {
	host, other, far := OurAddress, "10.2.0.0/24", PeerRouterAddress
	if name == PeerRouter {
		host, other, far = PeerAddress, "10.1.0.0/24", OurRouterAddress
	}
	rules := map[string][]string{
		open:       {"ip route replace " + other + " via " + far},
		cone:       {"iptables -t nat -A POSTROUTING -o out -j MASQUERADE", "iptables -t nat -A PREROUTING -i out -p udp -j DNAT --to-destination " + host},
		restricted: {"iptables -t nat -A POSTROUTING -o out -j MASQUERADE"},
		symmetric:  {"iptables -t nat -A POSTROUTING -o out -j MASQUERADE --random-fully"},
		blocked:    {"iptables -A FORWARD -p udp -j DROP", "iptables -t nat -A POSTROUTING -o out -j MASQUERADE"},
	}[kind]
	if kind != open && kind != cone {
		// What nobody asked for must not get an answer either, or it would take the
		// port that a connection from inside needs.
		rules = append(rules, "iptables -A INPUT -i out -j DROP",
			"iptables -A FORWARD -i out -m state --state ESTABLISHED,RELATED -j ACCEPT", "iptables -A FORWARD -i out -j DROP")
	}
	script := "iptables -F; iptables -t nat -F; iptables -t mangle -F; ip route del " + other + " 2>/dev/null; conntrack -F 2>/dev/null; set -e"
	for _, rule := range rules {
		script += "; " + rule
	}

	return e.Net.In(name, "sh", "-c", script)
}

func (e *Env) routers(ours, theirs string) error {
	err := errors.Join(e.router(OurRouter, ours), e.router(PeerRouter, theirs))
	if ours == open {
		// The servers know the way to hosts that are not hidden.
		err = errors.Join(err, e.Net.In(Between, "sh", "-c", "ip route replace 10.1.0.0/24 via "+OurRouterAddress+
			"; ip route replace 10.2.0.0/24 via "+PeerRouterAddress))
	}

	return err
}

// turn starts a TURN server by pion/turn between the routers.
func (e *Env) turn(ctx context.Context) (*peer.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}

	return peer.Start(ctx, "the TURN server", ".", e.Net.Command(Between, self, "-turn", ServerAddress))
}

// coturn starts the other TURN server.
func (e *Env) coturn(ctx context.Context) (*peer.Process, error) {
	script := fmt.Sprintf(`turnserver -n --listening-ip=%[1]s --relay-ip=%[1]s --listening-port=3478 --min-port=50000 `+
		`--max-port=50100 --realm=%s --user=%s:%s --lt-cred-mech --no-cli --no-dtls --log-file=stdout --simple-log `+
		`--tls-listening-port=5349 --cert=%[5]s --pkey=%[5]s `+
		`--pidfile=/dev/null >&2 & server=$!; until ss -lnu | grep -q :3478 && ss -lnt | grep -q :5349; do sleep 0.05; done; `+
		`echo '{"event":"ready","version":"coturn '$(turnserver --version | head -n 1)'"}'; cat >/dev/null; kill $server`,
		ServerAddress, TURNRealm, TURNUser, TURNPassword, "/etc/"+ServerCertificate)

	return peer.Start(ctx, "coturn", ".", e.Net.Command(Between, "sh", "-c", script))
}

func servers(urls ...string) []peer.Server {
	return []peer.Server{{URLs: urls, Username: TURNUser, Credential: TURNPassword}}
}

// through are the options of a connection of which our side uses a relay alone,
// and the peer nothing but its own addresses.
func through(url string) options {
	return options{trickle: true, servers: servers(url), ourRelay: true, peerServers: []peer.Server{}, settings: trust}
}

// trust makes the certificate of the servers one that we believe.
func trust(s *webrtc.SettingEngine) {
	// Without the file no connection over TLS comes to be, which tells enough.
	authorities, _ := os.ReadFile("/etc/" + Authorities)
	s.ICE.TURNRootCAs = x509.NewCertPool()
	s.ICE.TURNRootCAs.AppendCertsFromPEM(authorities)
}

func relayed(url string) func(context.Context, *Env) error {
	return func(ctx context.Context, e *Env) error { return e.relay(ctx, through(url), e.turn) }
}

func coturned(url string) func(context.Context, *Env) error {
	return func(ctx context.Context, e *Env) error { return e.relay(ctx, through(url), e.coturn) }
}

// peerRelayed is a relay that the peer uses, and we nothing but our own addresses.
func peerRelayed(url string) func(context.Context, *Env) error {
	return func(ctx context.Context, e *Env) error {
		return e.relay(ctx, options{trickle: true, peerServers: servers(url), peerRelay: true}, e.turn)
	}
}

// relay connects through a server and moves some data.
func (e *Env) relay(ctx context.Context, opts options, start func(context.Context) (*peer.Process, error)) error {
	if err := e.routers(open, open); err != nil {
		return err
	}
	server, err := start(ctx)
	if err != nil {
		return err
	}
	defer server.Stop()
	e.note("%s", server.Version())
	begin := time.Now()
	s, err := e.connect(ctx, opts)
	if err != nil {
		return err
	}
	e.note("first echo after %d ms", time.Since(begin).Milliseconds())
	how, err := s.path()
	if err == nil && how != viaRelay {
		err = errors.New("the path is direct")
	}
	if err == nil {
		err = s.bulk(ctx, 1<<20)
	}

	return errors.Join(err, s.end(ctx))
}

const (
	direct   = "direct"
	viaRelay = "relay"
)

// path tells whether the pair in use has a relay in it. A peer's relayed address
// may have shown itself before it was signaled, so that the address tells more
// than the type.
func (s *session) path() (string, error) {
	pair, err := s.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil {
		return "", err
	}
	switch {
	case pair == nil:
		return "", errors.New("no pair")
	case pair.Local.Typ == webrtc.ICECandidateTypeRelay || pair.Remote.Address == ServerAddress:
		return viaRelay, nil
	}

	return direct, nil
}

// nats connects through two routers of the kinds, with a server that tells
// addresses and relays.
func nats(ours, theirs string) func(context.Context, *Env) error {
	return func(ctx context.Context, e *Env) error {
		if err := e.routers(ours, theirs); err != nil {
			return err
		}
		server, err := e.turn(ctx)
		if err != nil {
			return err
		}
		defer server.Stop()
		begin := time.Now()
		s, err := e.connect(ctx, options{trickle: true, servers: servers(
			"stun:"+ServerAddress+":3478", "turn:"+ServerAddress+":3478", "turn:"+ServerAddress+":3478?transport=tcp",
		)})
		if err != nil {
			return err
		}
		took := time.Since(begin)
		how, err := s.path()
		e.note("%s after %d ms", how, took.Milliseconds())
		switch want := expected(ours, theirs); {
		case err != nil || how == want:
		case how == viaRelay && !e.Offer:
			e.note("the choice of the peer, which controls; it could be direct")
		case how == viaRelay && (ours == symmetric || theirs == symmetric):
			// Only the symmetric side's checks find the direct path, and they may come
			// after those by the relay.
			e.note("nominated before the direct path was known")
		default:
			err = fmt.Errorf("the path is %s, not %s", how, want)
		}

		return errors.Join(err, s.end(ctx))
	}
}

// expected is how two such routers can be passed.
func expected(ours, theirs string) string {
	both := []string{ours, theirs}
	switch {
	case slices.Contains(both, blocked):
		return viaRelay
	case slices.Contains(both, symmetric) && !slices.Contains(both, cone):
		return viaRelay
	}

	return direct
}
