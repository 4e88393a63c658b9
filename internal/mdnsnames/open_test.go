package mdnsnames

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/mdns/v2"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
	"github.com/ctxrtc/webrtc/internal/testnet"
)

// sparse is the machine's network, on which some sockets cannot be had, and some
// are in a type of its own.
type sparse struct {
	transport.Net

	failing, foreign string // networks

	sockets []*net.UDPConn
}

type wrapped struct{ *net.UDPConn }

func (n *sparse) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	if network == n.failing {
		return nil, syscall.EAFNOSUPPORT
	}
	conn, err := n.Net.ListenUDP(network, local)
	if err != nil {
		return nil, err
	}
	n.sockets = append(n.sockets, conn.(*net.UDPConn))
	if network == n.foreign {
		return wrapped{conn.(*net.UDPConn)}, nil
	}

	return conn, nil
}

var quiet = func() logging.LoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.DefaultLogLevel = logging.LogLevelDisabled

	return f
}()

// onLo asks on loopback alone.
func onLo(t *testing.T, network *sparse) Config {
	t.Helper()
	machine, err := stdnet.NewNet()
	require.NoError(t, err)
	network.Net = machine

	return Config{
		Net: network, IPv4: true, IPv6: true, IncludeLoopback: true, LoggerFactory: quiet,
		Interfaces: func() ([]*transport.Interface, error) {
			lo, err := machine.InterfaceByName("lo")

			return []*transport.Interface{lo}, err
		},
	}
}

// responder answers to a name on loopback, over one family. It skips the test
// where loopback has no multicast of that.
func responder(t *testing.T, network string) (name string) {
	t.Helper()
	group := group4
	if network == "udp6" {
		group = group6
	}
	if err := multicastOnLo(network, group); err != nil {
		t.Skipf("nobody can be asked here: %v", err)
	}
	lo, err := net.InterfaceByName("lo")
	require.NoError(t, err)
	socket, err := net.ListenUDP(network, group)
	require.NoError(t, err)
	name = strings.ToLower(rand.Text()) + ".local"
	four, six := ipv4.NewPacketConn(socket), (*ipv6.PacketConn)(nil)
	if network == "udp6" {
		four, six = nil, ipv6.NewPacketConn(socket)
	}
	server, err := mdns.NewServer(four, six, mdns.WithInterfaces(*lo), mdns.WithIncludeLoopback(true),
		mdns.WithLocalNames(name), mdns.WithLoggerFactory(quiet))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })

	return name
}

// multicastOnLo sends something to a group on loopback. Some machines have no
// route for that of IPv6.
func multicastOnLo(network string, group *net.UDPAddr) error {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return err
	}
	member, err := net.ListenMulticastUDP(network, lo, group)
	if err != nil {
		return err
	}
	defer member.Close()
	sender, err := net.ListenUDP(network, nil)
	if err != nil {
		return err
	}
	defer sender.Close()
	if network == "udp4" {
		err = ipv4.NewPacketConn(sender).SetMulticastInterface(lo)
	} else {
		err = ipv6.NewPacketConn(sender).SetMulticastInterface(lo)
	}
	if err != nil {
		return err
	}
	if _, err = sender.WriteTo(make([]byte, 12), group); err != nil { // a message with nothing in it
		return fmt.Errorf("multicast of %s on lo: %w", network, err)
	}
	if err = member.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, _, err = member.ReadFrom(make([]byte, 1500)); err != nil {
		return fmt.Errorf("multicast of %s on lo: %w", network, err)
	}

	return nil
}

// One family is enough, whether the other one is not wanted, cannot be had, or is
// no socket of the machine's.
func TestOneFamilyIsEnough(t *testing.T) {
	for name, row := range map[string]struct {
		network  sparse
		no4, no6 bool
		answers  string
		want     string
		sockets  int
	}{
		"both, answer over IPv4": {answers: "udp4", want: "127.0.0.1", sockets: 2},
		"both, answer over IPv6": {answers: "udp6", sockets: 2}, // with an address of either
		"IPv4 alone":             {no6: true, answers: "udp4", want: "127.0.0.1", sockets: 1},
		"IPv6 alone":             {no4: true, answers: "udp6", want: "::1", sockets: 1},
		"no IPv6":                {network: sparse{failing: "udp6"}, answers: "udp4", want: "127.0.0.1", sockets: 1},
		"no IPv4":                {network: sparse{failing: "udp4"}, answers: "udp6", want: "::1", sockets: 1},
		"foreign IPv6":           {network: sparse{foreign: "udp6"}, answers: "udp4", want: "127.0.0.1", sockets: 2},
	} {
		t.Run(name, func(t *testing.T) {
			testnet.Leaks(t)
			config := onLo(t, &row.network)
			config.IPv4, config.IPv6 = !row.no4, !row.no6
			conn, err := config.open()
			require.NoError(t, err)
			require.Len(t, row.network.sockets, row.sockets)
			require.False(t, conn.Outdated())
			require.NoError(t, conn.Close())

			known := responder(t, row.answers)
			u := New(config).User(lifecycle.NewGroup())
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			addr, err := u.Lookup(ctx, known)
			require.NoError(t, err)
			if row.want != "" {
				require.Equal(t, row.want, addr.String())
			}
			u.End()
		})
	}
}

// What cannot be opened leaves no socket behind.
func TestWhatCannotBeOpened(t *testing.T) {
	for name, row := range map[string]struct {
		network sparse
		set     func(c *Config)
		is      error
		opened  int
	}{
		"no interface": {
			set: func(c *Config) {
				c.Interfaces = func() ([]*transport.Interface, error) { return nil, nil }
			},
			is: errNoInterface,
		},
		"interfaces unknown": {
			set: func(c *Config) {
				c.Interfaces = func() ([]*transport.Interface, error) { return nil, syscall.EPERM }
			},
			is: syscall.EPERM,
		},
		"no family": {set: func(c *Config) { c.IPv4, c.IPv6 = false, false }, is: errNoGroup},
		"an interface that is none": {
			set: func(c *Config) {
				c.Interfaces = func() ([]*transport.Interface, error) {
					return []*transport.Interface{transport.NewInterface(net.Interface{
						Index: 1 << 20, MTU: 1500, Name: "none", Flags: net.FlagUp,
					})}, nil
				}
			},
			is: errNoGroup, opened: 2,
		},
		"foreign sockets": {
			network: sparse{failing: "udp6", foreign: "udp4"}, set: func(*Config) {}, is: errForeign, opened: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			testnet.Leaks(t)
			config := onLo(t, &row.network)
			row.set(&config)
			tasks := lifecycle.NewGroup()
			u := New(config).User(tasks)
			_, err := u.Lookup(t.Context(), "a.local")
			require.ErrorIs(t, err, row.is)
			require.Len(t, row.network.sockets, row.opened)
			u.End()
			require.NoError(t, tasks.Wait(t.Context()))
		})
	}
}

// What the module warns of is not the program's business.
func TestTheModuleWarnsAtDebug(t *testing.T) {
	var b lines
	f := logging.NewDefaultLoggerFactory()
	f.Writer, f.DefaultLogLevel = &b, logging.LogLevelInfo
	log := atDebug{f}.NewLogger("mdns")
	log.Warn("x")
	log.Warnf("%d", 1)
	log.Error("x")
	log.Errorf("%d", 1)
	require.Empty(t, b.all)
	f.DefaultLogLevel = logging.LogLevelDebug
	log = atDebug{f}.NewLogger("mdns")
	log.Warn("x")
	log.Warnf("%d", 1)
	log.Error("x")
	log.Errorf("%d", 1)
	require.Len(t, b.all, 4)
}

type lines struct{ all []string }

func (l *lines) Write(p []byte) (int, error) {
	l.all = append(l.all, string(p))

	return len(p), nil
}
