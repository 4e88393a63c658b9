package webrtc

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// hostCandidate is one that a peer could signal.
func hostCandidate(address string, port int) ICECandidate {
	return ICECandidate{
		Typ: ICECandidateTypeHost, Protocol: ICEProtocolUDP, Address: address,
		Port: uint16(port), Component: 1, Priority: 1,
	}
}

// remoteCandidates are those that the agent has.
func remoteCandidates(t *testing.T, s *stack) []ice.Candidate {
	t.Helper()
	all, err := s.gatherer.newest.GetRemoteCandidates()
	require.NoError(t, err)

	return all
}

// prober sends checks to a stack, with the credentials that a peer knows.
type prober struct {
	ours, theirs ICEParameters // of the stack and of its peer
	role         stun.Setter
	to           net.Addr
}

func newProber(t *testing.T, s, peer *stack) *prober {
	t.Helper()
	ours, err := s.gatherer.GetLocalParameters()
	require.NoError(t, err)
	theirs, err := peer.gatherer.GetLocalParameters()
	require.NoError(t, err)
	candidates, err := s.gatherer.GetLocalCandidates()
	require.NoError(t, err)
	require.NotEmpty(t, candidates)
	to := &net.UDPAddr{IP: net.ParseIP(candidates[0].Address), Port: int(candidates[0].Port)}

	return &prober{ours, theirs, ice.AttrControlling(1), to}
}

func (p *prober) check(t *testing.T, password string) []byte {
	t.Helper()
	m, err := stun.Build(stun.BindingRequest, stun.TransactionID,
		stun.NewUsername(p.ours.UsernameFragment+":"+p.theirs.UsernameFragment),
		p.role, ice.PriorityAttr(1), stun.NewShortTermIntegrity(password), stun.Fingerprint)
	require.NoError(t, err)

	return m.Raw
}

// from sends a check from a new port of a host for each password, and returns
// how many were answered.
func (p *prober) from(t *testing.T, network *testnet.Network, host int, passwords ...string) (answered int) {
	t.Helper()
	sockets := make([]net.PacketConn, 0, len(passwords))
	for _, password := range passwords {
		socket, err := network.Net(host).ListenPacket("udp4", "0.0.0.0:0")
		require.NoError(t, err)
		defer func() { require.NoError(t, socket.Close()) }()
		_, err = socket.WriteTo(p.check(t, password), p.to)
		require.NoError(t, err)
		sockets = append(sockets, socket)
	}
	time.Sleep(time.Second) // virtual: the answers are there
	buf := make([]byte, 1500)
	for _, socket := range sockets {
		require.NoError(t, socket.SetReadDeadline(time.Now().Add(time.Millisecond)))
		for {
			n, _, err := socket.ReadFrom(buf)
			if err != nil {
				break
			}
			m := &stun.Message{Raw: slices.Clone(buf[:n])}
			if m.Decode() == nil && m.Type == stun.BindingSuccess {
				answered++

				break
			}
		}
	}

	return answered
}

// Signaled candidates: 64, or what the settings say, or fewer for the pairs'
// sake. One too many is refused, and the others stay.
func TestI7_SignaledCandidatesAreLimited(t *testing.T) {
	for name, c := range map[string]struct {
		settings ICESettings
		limit    int
	}{
		"by default":               {ICESettings{}, 64},
		"by the setting":           {ICESettings{MaxRemoteCandidates: 5}, 5},
		"by the pairs, of 1 local": {ICESettings{MaxCandidatePairs: 10}, 10},
		"by the pairs, of 4 locals": {
			ICESettings{NAT1To1IPs: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}}, 25,
		},
		"one at least": {
			ICESettings{NAT1To1IPs: []string{"192.0.2.1", "192.0.2.2"}, MaxCandidatePairs: 1}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, _, _ := virtualPairWith(t, SettingEngine{ICE: c.settings}, SettingEngine{})
				_, err := a.gatherer.GatherContext(t.Context())
				require.NoError(t, err)
				for i := range c.limit {
					added := hostCandidate("10.0.0.2", 1000+i)
					require.NoError(t, a.ice.AddRemoteCandidate(&added), i)
					require.NoError(t, a.ice.AddRemoteCandidate(&added), "again: ignored")
				}
				time.Sleep(time.Second)
				require.Len(t, remoteCandidates(t, a), c.limit)

				more := hostCandidate("10.0.0.2", 1)
				for range 3 {
					require.ErrorIs(t, a.ice.AddRemoteCandidate(&more), ErrInvalidState)
				}
				named := hostCandidate("5f8d3b1e-5f6e-4d0e-8f50-5d3f3a2f6b9e.local", 1)
				require.ErrorIs(t, a.ice.AddRemoteCandidate(&named), ErrInvalidState, "a name counts as well")
				time.Sleep(time.Second)
				require.Len(t, remoteCandidates(t, a), c.limit)
			})
		})
	}
}

// A peer that knows the password can send checks from as many ports as it
// likes. Those from beyond the limit are not answered, and leave nothing; a
// connection that is there carries on.
func TestI7_PeerReflexiveCandidatesAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		settings ICESettings
		limit    int
	}{
		"by default": {ICESettings{}, 64},
		"by pairs":   {ICESettings{MaxCandidatePairs: 10}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := virtualPairWith(t, SettingEngine{}, SettingEngine{ICE: c.settings})
				signal(t, a, b)
				synctest.Wait() // or a check could reveal a candidate before it is added
				connectStages(t, a, b, stages)
				from, to := channelPair(t, a, b, DataChannelParameters{Label: "before"})
				p := newProber(t, b, a)

				forged := slices.Repeat([]string{"not the password, but long"}, 50)
				require.Zero(t, p.from(t, network, 0, forged...), "a check without the password")
				require.Len(t, remoteCandidates(t, b), 1, "leaves nothing")

				good := slices.Repeat([]string{p.ours.Password}, 10*c.limit)
				require.Equal(t, c.limit-1, p.from(t, network, 0, good...))
				require.Len(t, remoteCandidates(t, b), c.limit)
				late := hostCandidate("10.0.0.1", 1)
				require.ErrorIs(t, b.ice.AddRemoteCandidate(&late), ErrInvalidState, "they count with the signaled ones")

				exchange(t, from, to)
			})
		})
	}
}

// Addresses that no peer has, or that only this machine or link has.
func TestI7_RemoteAddressesAreRefused(t *testing.T) {
	const loopback, linkLocal = "127.0.0.1", "169.254.1.1"
	all := []string{
		"0.0.0.0", "::", "224.0.0.1", "239.1.2.3", "ff02::1",
		loopback, "127.1.2.3", "::1", "::ffff:127.0.0.1", linkLocal, "fe80::1", "10.0.0.2",
	}
	for name, c := range map[string]struct {
		settings ICESettings
		allowed  []string
	}{
		"by default": {ICESettings{}, []string{"10.0.0.2"}},
		"loopback allowed": {
			ICESettings{AllowLoopbackRemote: true},
			[]string{loopback, "127.1.2.3", "::1", "::ffff:127.0.0.1", "10.0.0.2"},
		},
		"loopback gathered": {
			ICESettings{IncludeLoopback: true},
			[]string{loopback, "127.1.2.3", "::1", "::ffff:127.0.0.1", "10.0.0.2"},
		},
		"link-local allowed": {ICESettings{AllowLinkLocalRemote: true}, []string{linkLocal, "fe80::1", "10.0.0.2"}},
		"filter": {
			ICESettings{
				AllowLoopbackRemote: true,
				RemoteIPFilter:      func(ip net.IP) bool { return ip.IsLoopback() && ip.To4() != nil },
			},
			[]string{loopback, "127.1.2.3", "::ffff:127.0.0.1"},
		},
		"a filter allows no more": {
			ICESettings{RemoteIPFilter: func(net.IP) bool { return true }}, []string{"10.0.0.2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, _, _ := virtualPairWith(t, SettingEngine{ICE: c.settings}, SettingEngine{})
				for i, address := range all {
					candidate := hostCandidate(address, 1000+i)
					err := a.ice.AddRemoteCandidate(&candidate)
					if slices.Contains(c.allowed, address) {
						require.NoError(t, err, address)
					} else {
						require.ErrorIs(t, err, ErrInvalidArgument, address)
					}
				}
				time.Sleep(time.Second)
				require.Len(t, remoteCandidates(t, a), len(c.allowed), "what was refused is not there")
			})
		})
	}
}

// What is refused in signaling is refused as a peer-reflexive candidate too.
func TestI7_PeerReflexiveAddressIsRefused(t *testing.T) {
	for _, allow := range []bool{false, true} {
		t.Run(fmt.Sprint(allow), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				settings := SettingEngine{}
				settings.SetRemoteIPFilter(func(ip net.IP) bool { return allow || !ip.Equal(net.IPv4(10, 0, 0, 1)) })
				a, b, network := virtualPairWith(t, SettingEngine{}, settings)
				_, err := b.gatherer.GatherContext(t.Context())
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				started := make(chan error, 1)
				go func() { started <- b.startICE(ctx, a) }()
				_, err = b.ice.AwaitState(ctx, ICETransportStateChecking)
				require.NoError(t, err)

				p := newProber(t, b, a)
				answered := p.from(t, network, 0, p.ours.Password)
				assert.Equal(t, allow, answered == 1)
				assert.Equal(t, allow, len(remoteCandidates(t, b)) == 1)
				require.ErrorIs(t, <-started, context.DeadlineExceeded)
			})
		})
	}
}

// Either all candidates of a call are added or none, wherever the bad one
// stands among them.
func TestI8_MalformedCandidatesChangeNothing(t *testing.T) {
	good := []ICECandidate{hostCandidate("10.0.0.2", 1), hostCandidate("10.0.0.2", 2), hostCandidate("10.0.0.2", 3)}
	for name, c := range map[string]struct {
		bad  func(c *ICECandidate)
		want error
	}{
		"zero":             {func(c *ICECandidate) { *c = ICECandidate{} }, ErrInvalidArgument},
		"no address":       {func(c *ICECandidate) { c.Address = "" }, ErrInvalidArgument},
		"a host name":      {func(c *ICECandidate) { c.Address = "example.com" }, ErrInvalidArgument},
		"two addresses":    {func(c *ICECandidate) { c.Address = "10.0.0.2 10.0.0.3" }, ErrInvalidArgument},
		"unknown type":     {func(c *ICECandidate) { c.Typ = 77 }, ErrInvalidArgument},
		"unknown protocol": {func(c *ICECandidate) { c.Protocol = 77 }, ErrInvalidArgument},
		"TCP type":         {func(c *ICECandidate) { c.TCPType = "sideways" }, ErrInvalidArgument},
		"loopback":         {func(c *ICECandidate) { c.Address = "127.0.0.1" }, ErrInvalidArgument},
		"unspecified":      {func(c *ICECandidate) { c.Address = "0.0.0.0" }, ErrInvalidArgument},
		"one too many": {func(c *ICECandidate) {
			c.Port = 4 // the settings below have room for three
		}, ErrInvalidState},
	} {
		for at := range len(good) + 1 {
			t.Run(fmt.Sprint(name, " at ", at), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a, _, _ := virtualPairWith(t, SettingEngine{ICE: ICESettings{MaxRemoteCandidates: 3}}, SettingEngine{})
					bad := good[0]
					c.bad(&bad)
					require.ErrorIs(t, a.ice.SetRemoteCandidates(slices.Insert(slices.Clone(good), at, bad)), c.want)
					time.Sleep(time.Second)
					require.Empty(t, remoteCandidates(t, a), "none")
					if c.want != ErrInvalidState { //nolint:errorlint // of the table
						require.ErrorIs(t, a.ice.AddRemoteCandidate(&bad), c.want)
					}
					require.NoError(t, a.ice.SetRemoteCandidates(good), "the places are free")
					time.Sleep(time.Second)
					require.Len(t, remoteCandidates(t, a), 3)
				})
			})
		}
	}
}

// The texts alone are enough to connect, whichever form signaling gives them.
func TestI8_CandidateTextSurvivesSignaling(t *testing.T) {
	forms := map[string]func(t *testing.T, c ICECandidate) ICECandidate{
		"String": func(t *testing.T, c ICECandidate) ICECandidate {
			parsed, err := ParseICECandidate(c.String())
			require.NoError(t, err)

			return parsed
		},
		"a line of SDP": func(t *testing.T, c ICECandidate) ICECandidate {
			parsed, err := ParseICECandidate("a=" + c.String() + "\r\n")
			require.NoError(t, err)

			return parsed
		},
		"ToJSON": func(t *testing.T, c ICECandidate) ICECandidate {
			parsed, err := ParseICECandidate(c.ToJSON().Candidate)
			require.NoError(t, err)

			return parsed
		},
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, _ := virtualPair(t)
				for _, p := range [][2]*stack{{a, b}, {b, a}} {
					candidates, err := p[0].gatherer.GatherContext(t.Context())
					require.NoError(t, err)
					for _, c := range candidates {
						received := form(t, c)
						require.Equal(t, c.String(), received.String())
						require.NoError(t, p[1].ice.AddRemoteCandidate(&received))
					}
				}
				require.NoError(t, both(a, b, func(s, peer *stack) error { return s.start(t.Context(), peer) }))
				pair, err := a.ice.GetSelectedCandidatePair()
				require.NoError(t, err)
				local, err := b.gatherer.GetLocalCandidates()
				require.NoError(t, err)
				assert.Equal(t, local[0].Foundation, pair.Remote.Foundation, "signaled, not peer-reflexive")
				assert.Equal(t, ICECandidateTypeHost, pair.Remote.Typ)
			})
		})
	}
}

// While a start takes over the gatherer that it was given, there are no
// parameters of the peer's yet.
func TestI2_NoRemoteParametersInTheMiddleOfAStart(t *testing.T) {
	transport := NewAPI().NewICETransport(nil)
	transport.life.set(func() { transport.started = true })
	_, err := transport.GetRemoteParameters()
	require.ErrorIs(t, err, ErrInvalidState)
	require.NoError(t, transport.Stop())
}
