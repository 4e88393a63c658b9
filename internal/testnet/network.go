package testnet

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/vnet"
	"github.com/stretchr/testify/require"
)

// Action is what becomes of one packet. The zero value sends it as it is.
type Action struct {
	// Drop loses the packet; nothing else counts then.
	Drop bool
	// Copies is how many more times it is sent.
	Copies int
	// Delay is added to the network's, so that later packets overtake it.
	Delay time.Duration
	// Payload, if not nil, is sent in its place.
	Payload []byte
}

// Option of a [Network].
type Option func(*Network)

// Delay is how long a packet takes from one host to the other. The default is
// no delay.
func Delay(oneWay time.Duration) Option {
	return func(n *Network) { n.delay = oneWay }
}

// Loss drops packets with a probability from 0 to 1, the same ones in every
// run for the same seed and order of packets.
func Loss(probability float64, seed uint64) Option {
	return func(n *Network) {
		n.loss = probability
		n.random = rand.New(rand.NewPCG(seed, seed))
	}
}

// Filter decides over every packet that is not lost otherwise; from is the
// index of the host. It must not keep or change payload.
func Filter(filter func(from int, payload []byte) Action) Option {
	return func(n *Network) { n.filter = filter }
}

// Network is two hosts on one router, which has more than one network if the hosts
// are to move. Only UDP over IPv4 exists on it.
type Network struct {
	delay  time.Duration
	loss   float64
	filter func(from int, payload []byte) Action
	links  [2]*link // nil: any number of packets at once

	networks int
	gone     error // of writes on a network that the host is not on

	router *vnet.Router
	hosts  [2]*host
	cut    atomic.Bool

	mu       sync.Mutex // also orders what random decides
	random   *rand.Rand
	onPacket func(from int, payload []byte) (drop bool)
	closed   bool
}

// The virtual network counts its MAC addresses without a lock.
var newNets sync.Mutex

// Pair makes a network with two hosts and starts it. It ends with the test, or
// with the bubble that it was made in.
func Pair(tb testing.TB, opts ...Option) *Network {
	tb.Helper()
	n := &Network{networks: 1}
	for _, opt := range opts {
		opt(n)
	}
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	newNets.Lock()
	defer newNets.Unlock()
	var err error
	n.router, err = vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/8", MinDelay: n.delay, LoggerFactory: quiet})
	require.NoError(tb, err)
	for i := range n.hosts {
		h := &host{network: n, index: i, on: []int{0}}
		for network := range n.networks {
			virtual, err := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{Address(i, network)}})
			require.NoError(tb, err)
			require.NoError(tb, n.router.AddNet(virtual))
			h.nets = append(h.nets, virtual)
		}
		h.Net, n.hosts[i] = h.nets[0], h
	}
	require.NoError(tb, n.router.Start())
	tb.Cleanup(n.Close)

	return n
}

// Net is the network as host 0 or 1 sees it. Its address is 10.0.0.1 or 10.0.0.2,
// until it is moved.
func (n *Network) Net(i int) transport.Net { return n.hosts[i] }

// Cut makes the network a black hole in both directions, or mends it. Packets
// that are under way arrive all the same.
func (n *Network) Cut(cut bool) { n.cut.Store(cut) }

// OnPacket sets a hook that sees every packet as it is sent and may drop it.
// nil takes it away. It comes before the loss and the filter, and must not
// keep or change payload.
func (n *Network) OnPacket(hook func(from int, payload []byte) (drop bool)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.onPacket = hook
}

// Sent is how many packets a host has sent, lost ones included.
func (n *Network) Sent(i int) int { return int(n.hosts[i].sent.Load()) }

// OpenSockets is how many sockets of a host are not closed.
func (n *Network) OpenSockets(i int) int { return int(n.hosts[i].open.Load()) }

// Close stops the network; it may be called again.
func (n *Network) Close() {
	n.mu.Lock()
	again := n.closed
	n.closed = true
	n.mu.Unlock()
	if !again {
		_ = n.router.Stop()
	}
}

// decide asks the cut, the hook, the loss and the filter in this order.
func (n *Network) decide(from int, payload []byte) Action {
	n.hosts[from].sent.Add(1)
	n.mu.Lock()
	hook, closed := n.onPacket, n.closed
	n.mu.Unlock()
	if closed || n.cut.Load() || hook != nil && hook(from, payload) {
		return Action{Drop: true}
	}
	if n.random != nil {
		n.mu.Lock()
		lost := n.random.Float64() < n.loss
		n.mu.Unlock()
		if lost {
			return Action{Drop: true}
		}
	}
	if n.filter == nil {
		return Action{}
	}

	return n.filter(from, payload)
}

// host is a virtual host whose sockets ask the network about what they send.
type host struct {
	*vnet.Net // that of the first network

	network    *Network
	index      int
	nets       []*vnet.Net
	on         []int // the lock of the network guards it
	open, sent atomic.Int64
}

func (h *host) wrap(network int, c transport.UDPConn, err error) (*socket, error) {
	if err != nil {
		return nil, err
	}
	h.open.Add(1)

	return &socket{UDPConn: c, host: h, network: network}, nil
}

// ListenUDP opens a socket of the host.
func (h *host) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	at, err := h.at(local)
	if err != nil {
		return nil, err
	}
	c, err := h.nets[at].ListenUDP(network, local)

	return h.wrap(at, c, err)
}

// DialUDP opens a connected socket of the host.
func (h *host) DialUDP(network string, local, remote *net.UDPAddr) (transport.UDPConn, error) {
	at, err := h.at(local)
	if err != nil {
		return nil, err
	}
	c, err := h.nets[at].DialUDP(network, local, remote)

	return h.wrap(at, c, err)
}

// ListenPacket opens a socket of the host.
func (h *host) ListenPacket(network, address string) (net.PacketConn, error) {
	local, err := h.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}

	return h.ListenUDP(network, local)
}

// Dial opens a connected socket of the host.
func (h *host) Dial(network, address string) (net.Conn, error) {
	remote, err := h.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}

	return h.DialUDP(network, nil, remote)
}

// CreateDialer returns a dialer of the host; of d nothing is used.
func (h *host) CreateDialer(*net.Dialer) transport.Dialer { return (*hostDialer)(h) }

// CreateListenConfig returns a listener of the host; of c nothing is used.
func (h *host) CreateListenConfig(*net.ListenConfig) transport.ListenConfig {
	return (*hostListener)(h)
}

type hostDialer host

func (d *hostDialer) Dial(network, address string) (net.Conn, error) {
	return (*host)(d).Dial(network, address)
}

type hostListener host

func (l *hostListener) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, transport.ErrNotSupported
}

func (l *hostListener) ListenPacket(_ context.Context, network, address string) (net.PacketConn, error) {
	return (*host)(l).ListenPacket(network, address)
}

type socket struct {
	transport.UDPConn

	host    *host
	network int
	closed  atomic.Bool
}

func (s *socket) Close() error {
	if !s.closed.Swap(true) {
		s.host.open.Add(-1)
	}

	return s.UDPConn.Close()
}

func (s *socket) send(p []byte, write func(p []byte) (int, error)) (int, error) {
	if s.closed.Load() {
		return 0, net.ErrClosed
	}
	if !s.isThere() {
		if s.host.network.gone != nil {
			return 0, s.host.network.gone
		}

		return len(p), nil
	}
	action := s.host.network.decide(s.host.index, p)
	if action.Drop {
		return len(p), nil
	}
	payload := p
	if action.Payload != nil {
		payload = action.Payload
	}
	link := s.host.network.links[s.host.index]
	for range 1 + action.Copies {
		if action.Delay == 0 && link == nil {
			if _, err := write(payload); err != nil {
				return 0, err
			}

			continue
		}
		late := append([]byte(nil), payload...)
		forward := func() { _, _ = write(late) }
		if link != nil {
			forward = func() { link.take(len(late), func() { _, _ = write(late) }) }
		}
		if action.Delay > 0 {
			time.AfterFunc(action.Delay, forward)
		} else {
			forward()
		}
	}

	return len(p), nil
}

func (s *socket) Write(p []byte) (int, error) { return s.send(p, s.UDPConn.Write) }

func (s *socket) WriteTo(p []byte, to net.Addr) (int, error) {
	return s.send(p, func(p []byte) (int, error) { return s.UDPConn.WriteTo(p, to) })
}

func (s *socket) WriteToUDP(p []byte, to *net.UDPAddr) (int, error) { return s.WriteTo(p, to) }
