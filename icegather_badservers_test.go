package webrtc

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// scriptedServer answers requests on the second host as a test tells it to.
type scriptedServer struct {
	t       *testing.T
	network *testnet.Network
	conn    net.PacketConn
}

// scripted runs answer for every request, on a port of its own.
func scripted(
	t *testing.T, network *testnet.Network, answer func(s *scriptedServer, m *stun.Message, from net.Addr),
) {
	t.Helper()
	conn, err := network.Net(1).ListenPacket("udp4", "10.0.0.2:5000")
	require.NoError(t, err)
	s := &scriptedServer{t, network, conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			buf := make([]byte, 1500)
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			m := &stun.Message{Raw: buf[:n]}
			if m.Decode() == nil && m.Type.Class == stun.ClassRequest {
				answer(s, m, from)
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done }) //nolint:nlreturn // short
}

func (s *scriptedServer) send(to net.Addr, packet []byte) {
	_, _ = s.conn.WriteTo(packet, to) // what comes late may find it closed
}

func (s *scriptedServer) reply(m *stun.Message, to net.Addr, class stun.MessageClass, setters ...stun.Setter) {
	all := append([]stun.Setter{m, stun.NewType(m.Type.Method, class)}, setters...)
	built, err := stun.Build(all...)
	assert.NoError(s.t, err)
	s.send(to, built.Raw)
}

// mapped answers a binding request.
func (s *scriptedServer) mapped(m *stun.Message, to net.Addr, ip string, port int) {
	s.reply(m, to, stun.ClassSuccessResponse, &stun.XORMappedAddress{IP: net.ParseIP(ip), Port: port})
}

// refuse answers with an error.
func (s *scriptedServer) refuse(m *stun.Message, to net.Addr, code stun.ErrorCode, reason string) {
	s.reply(m, to, stun.ClassErrorResponse, &stun.ErrorCodeAttribute{Code: code, Reason: []byte(reason)},
		stun.NewNonce("nonce"), stun.NewRealm("realm"))
}

// allocated grants an allocation, to whoever has said some name.
func (s *scriptedServer) allocated(m *stun.Message, to net.Addr, ip string, port int, lifetime byte) {
	if !m.Contains(stun.AttrUsername) {
		s.refuse(m, to, stun.CodeUnauthorized, "who are you")

		return
	}
	relayed := &stun.XORMappedAddress{IP: net.ParseIP(ip), Port: port}
	s.reply(m, to, stun.ClassSuccessResponse, setter(func(m *stun.Message) error {
		return relayed.AddToAs(m, stun.AttrXORRelayedAddress)
	}), stun.RawAttribute{Type: stun.AttrLifetime, Value: []byte{0, 0, 0, lifetime}})
}

type setter func(*stun.Message) error

func (f setter) AddTo(m *stun.Message) error { return f(m) }

// ownPort is that of the socket that a question comes from.
func ownPort(from net.Addr) int { return from.(*net.UDPAddr).Port }

// What a server does wrong ends its own question alone: an error tells which
// server it was and at which step, and all other candidates are there.
func TestI1_ServersThatDoWrong(t *testing.T) {
	const scriptedSTUN, scriptedTURN = "stun:10.0.0.2:5000", "turn:10.0.0.2:5000"
	isBinding := func(m *stun.Message) bool { return m.Type.Method == stun.MethodBinding }
	for name, c := range map[string]struct {
		url    string
		answer func(s *scriptedServer, m *stun.Message, from net.Addr)
		step   ICEGatherStep // empty: there is a candidate all the same
		code   int
		text   string
		took   time.Duration
	}{
		"binding refused": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.refuse(m, from, 420, "no such thing")
		}, ICEGatherStepBinding, 420, "no such thing", 2 * time.Millisecond},
		"an error without a code": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.reply(m, from, stun.ClassErrorResponse)
		}, ICEGatherStepBinding, 0, "without a code", 2 * time.Millisecond},
		"no mapped address": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.reply(m, from, stun.ClassSuccessResponse)
		}, ICEGatherStepBinding, 701, "not found", 2 * time.Millisecond},
		"mapped to nowhere": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.mapped(m, from, "0.0.0.0", ownPort(from))
		}, ICEGatherStepBinding, 701, "none of ours", 2 * time.Millisecond},
		"mapped to port 0": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.mapped(m, from, "192.0.2.1", 0)
		}, ICEGatherStepBinding, 701, "none of ours", 2 * time.Millisecond},
		"mapped to loopback": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.mapped(m, from, "127.0.0.1", 22)
		}, ICEGatherStepBinding, 701, "none of ours", 2 * time.Millisecond},
		"mapped to multicast": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.mapped(m, from, "224.0.0.1", 22)
		}, ICEGatherStepBinding, 701, "none of ours", 2 * time.Millisecond},
		"mapped to the other family": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.mapped(m, from, "2001:db8::1", 22)
		}, ICEGatherStepBinding, 701, "none of ours", 2 * time.Millisecond},
		"mapped to a host candidate": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.mapped(m, from, "10.0.0.1", 6000)
		}, ICEGatherStepCandidate, 701, "another candidate", 2 * time.Millisecond},
		"mapped to the address that it is": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.mapped(m, from, "10.0.0.1", ownPort(from))
		}, "", 0, "", 2 * time.Millisecond},
		"an answer in the old form": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.reply(m, from, stun.ClassSuccessResponse, &stun.MappedAddress{IP: net.IPv4(192, 0, 2, 1), Port: 9})
		}, "", 0, "", 2 * time.Millisecond},
		"twice": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.mapped(m, from, "192.0.2.1", 9)
			s.mapped(m, from, "192.0.2.2", 9)
		}, "", 0, "", 2 * time.Millisecond},
		"too late": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			time.Sleep(6 * time.Second)
			s.mapped(m, from, "192.0.2.1", 9)
		}, ICEGatherStepBinding, 701, "in time", 5 * time.Second},
		"from elsewhere": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			other, err := s.network.Net(1).ListenPacket("udp4", "10.0.0.2:0")
			assert.NoError(s.t, err)
			(&scriptedServer{s.t, s.network, other}).mapped(m, from, "192.0.2.1", 9)
			assert.NoError(s.t, other.Close())
		}, ICEGatherStepBinding, 701, "in time", 5 * time.Second},
		"garbage alone": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.send(from, []byte("HTTP/1.1 400 Bad Request"))
			s.send(from, m.Raw[:len(m.Raw)-3])
			s.send(from, nil)
		}, ICEGatherStepBinding, 701, "in time", 5 * time.Second},
		"our request back": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.send(from, m.Raw)
		}, ICEGatherStepBinding, 701, "in time", 5 * time.Second},
		"the answer to another": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.mapped(stun.MustBuild(stun.TransactionID, stun.BindingRequest), from, "192.0.2.1", 9)
		}, ICEGatherStepBinding, 701, "in time", 5 * time.Second},
		"garbage, then the answer": {scriptedSTUN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.send(from, []byte{1, 1, 0xff, 0xff})
			s.send(from, []byte("garbage"))
			s.mapped(m, from, "192.0.2.1", 9)
		}, "", 0, "", 2 * time.Millisecond},

		"allocation refused": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.refuse(m, from, stun.CodeForbidden, "not you")
		}, ICEGatherStepAllocate, 403, "not you", 4 * time.Millisecond},
		"credentials refused": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.refuse(m, from, stun.CodeUnauthorized, "who are you")
		}, ICEGatherStepAllocate, 401, "who are you", 4 * time.Millisecond},
		"quota reached": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			if m.Contains(stun.AttrUsername) {
				s.refuse(m, from, stun.CodeAllocQuotaReached, "that is enough")
			} else {
				s.refuse(m, from, stun.CodeUnauthorized, "who are you")
			}
		}, ICEGatherStepAllocate, 486, "that is enough", 4 * time.Millisecond},
		"a nonce that is never fresh": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			if m.Contains(stun.AttrUsername) {
				s.refuse(m, from, stun.CodeStaleNonce, "stale")
			} else {
				s.refuse(m, from, stun.CodeUnauthorized, "who are you")
			}
		}, ICEGatherStepAllocate, 438, "stale", 12 * time.Millisecond},
		"no realm": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.reply(m, from, stun.ClassErrorResponse, &stun.ErrorCodeAttribute{
				Code: stun.CodeUnauthorized, Reason: []byte("who"),
			})
		}, ICEGatherStepAllocate, 401, "who", 2 * time.Millisecond},
		"relayed from nowhere": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.allocated(m, from, "0.0.0.0", 9, 200)
		}, ICEGatherStepCandidate, 701, "none of ours", 4 * time.Millisecond},
		"relayed from the other family": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.allocated(m, from, "2001:db8::1", 9, 200)
		}, ICEGatherStepCandidate, 701, "another family", 4 * time.Millisecond},
		"relayed for no time": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.allocated(m, from, "192.0.2.1", 9, 0)
		}, ICEGatherStepCandidate, 701, "for 0s only", 4 * time.Millisecond},
		"a success without an address": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			if m.Contains(stun.AttrUsername) {
				s.reply(m, from, stun.ClassSuccessResponse)
			} else {
				s.refuse(m, from, stun.CodeUnauthorized, "who are you")
			}
		}, ICEGatherStepAllocate, 701, "not found", 4 * time.Millisecond},
		"garbage from a TURN server": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.send(from, []byte{0x40, 1, 0, 1, 7})
			s.send(from, []byte("garbage"))
			s.send(from, m.Raw)
			s.allocated(m, from, "192.0.2.1", 9, 200)
		}, "", 0, "", 4 * time.Millisecond},
		"a TURN server that answers twice": {scriptedTURN, func(s *scriptedServer, m *stun.Message, from net.Addr) {
			s.allocated(m, from, "192.0.2.1", 9, 200)
			s.allocated(m, from, "192.0.2.2", 9, 200)
		}, "", 0, "", 4 * time.Millisecond},
		"a name that is not there": {
			"turn:nowhere.example", nil, ICEGatherStepResolve, 701, "host not found", 0,
		},
		"TLS for STUN": {"stuns:10.0.0.2:5000", nil, ICEGatherStepBinding, 701, "over TLS", 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(time.Millisecond))
				good := virtualTURN(t, network, virtualPort, nil)
				if c.answer != nil {
					scripted(t, network, func(s *scriptedServer, m *stun.Message, from net.Addr) {
						if c.url == scriptedTURN && isBinding(m) {
							s.mapped(m, from, "192.0.2.1", ownPort(from)) // the question for that is another
						} else {
							c.answer(s, m, from)
						}
					})
				}
				settings := SettingEngine{}
				require.NoError(t, settings.SetEphemeralUDPPortRange(6000, 6000))
				a := quickStack(t, ICERoleControlling, settings, network, 0)
				a.useServers(t, ICETransportPolicyAll, c.url)
				// One socket has the port of the range: the host candidate. The other
				// settings are those of the servers' sockets, which may have any.
				a.gatherer.settings = func() *SettingEngine {
					free := *a.gatherer.settings
					free.ICE.PortMin, free.ICE.PortMax = 0, 0

					return &free
				}()
				urls, err := serverURLs([]ICEServer{
					{URLs: []string{c.url, virtualURL}, Username: turnUser, Credential: turnPassword},
				})
				require.NoError(t, err)
				a.gatherer.urls = urls
				var failed serverErrors
				failed.record(a.gatherer)
				_, err = a.gatherer.GatherContext(t.Context())
				require.NoError(t, err)
				synctest.Wait()
				results, err := a.gatherer.GetServerResults()
				require.NoError(t, err)
				var of ICEServerResult
				for _, r := range results {
					switch {
					case r.URL == virtualURL:
						require.NoError(t, r.Err, "the other server")
						require.Equal(t, ICEGatherStepDone, r.Step)
					case (r.Typ == ICECandidateTypeRelay) == (c.url == scriptedTURN):
						of = r
					}
				}
				require.Equal(t, c.url, of.URL)
				require.Equal(t, c.took, of.Duration)
				if c.step == "" {
					require.NoError(t, of.Err)
					require.Empty(t, failed.all())
				} else {
					var told *ICECandidateError
					require.ErrorAs(t, of.Err, &told)
					require.Contains(t, failed.all(), told)
					require.Equal(t, c.url, told.URL)
					require.Equal(t, c.step, told.Step)
					require.Equal(t, c.code, told.ErrorCode)
					require.ErrorContains(t, told, c.text)
					require.Equal(t, c.took, told.Duration)
				}
				candidates, err := a.gatherer.GetLocalCandidates()
				require.NoError(t, err)
				require.GreaterOrEqual(t, len(candidates), 3, "host, and two of the good server")
				time.Sleep(3 * time.Second) // what comes late
				require.NoError(t, a.ice.Stop())
				time.Sleep(time.Second)
				require.Zero(t, network.OpenSockets(0))
				require.Zero(t, good.AllocationCount())
			})
		})
	}
}

// The server itself refuses what is wrong with credentials.
func TestI1_WrongCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		server ICEServer
		change func(*turn.ServerConfig)
		step   ICEGatherStep
		code   int
	}{
		"wrong user": {
			ICEServer{Username: "somebody", Credential: turnPassword}, nil, ICEGatherStepAllocate, 400,
		},
		"wrong password": {
			ICEServer{Username: turnUser, Credential: "wrong"}, nil, ICEGatherStepAllocate, 400,
		},
		"another realm": {ICEServer{Username: turnUser, Credential: turnPassword}, func(c *turn.ServerConfig) {
			c.Realm = "another" // whose keys are others
		}, ICEGatherStepAllocate, 400},
		"a full server": {ICEServer{Username: turnUser, Credential: turnPassword}, func(c *turn.ServerConfig) {
			c.QuotaHandler = func(string, string, net.Addr) bool { return false }
		}, ICEGatherStepAllocate, 486},
		"no password": {ICEServer{Username: turnUser, Credential: ""}, nil, ICEGatherStepCredentials, 701},
		"a token": {ICEServer{
			Username: "kid", Credential: OAuthCredential{MACKey: "m", AccessToken: "t"},
			CredentialType: ICECredentialTypeOauth,
		}, nil, ICEGatherStepCredentials, 701},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := testnet.Pair(t, testnet.Delay(time.Millisecond))
				server := virtualTURN(t, network, virtualPort, c.change)
				a := quickStack(t, ICERoleControlling, SettingEngine{}, network, 0)
				require.NoError(t, a.ice.Stop())
				c.server.URLs = []string{virtualURL}
				var err error
				a.gatherer, err = a.api.NewICEGatherer(ICEGatherOptions{ICEServers: []ICEServer{c.server}})
				require.NoError(t, err)
				var failed serverErrors
				failed.record(a.gatherer)
				candidates, err := a.gatherer.GatherContext(t.Context())
				require.NoError(t, err)
				require.Len(t, candidates, 2, "host and reflexive")
				synctest.Wait()
				require.Len(t, failed.all(), 1)
				told := failed.all()[0]
				require.Equal(t, c.step, told.Step)
				require.Equal(t, c.code, told.ErrorCode)
				require.Equal(t, virtualURL, told.URL)
				require.NoError(t, a.gatherer.Close())
				require.Zero(t, network.OpenSockets(0))
				require.Zero(t, server.AllocationCount())
			})
		})
	}
}

// A URL that cannot be used is refused before anything is sent, and named.
func TestI1_MalformedServerURLs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := testnet.Pair(t)
		api := NewAPI(WithSettingEngine(SettingEngine{Net: network.Net(0), LoggerFactory: quietLogs}))
		for _, url := range []string{
			"", ":", "stun", "stun:", "stun://", "stun:host:", "stun:host:port", "stun:host:0", "stun:host:65536",
			"stun:host:-1", "stun:[::1", "stun:::1:2:3:", "stun:host?transport=udp", "turn:host?transport=", "turn:host?transport=sctp",
			"turn:host?x=y", "turn:host?transport=udp&transport=tcp", "http://host", "STUN\x00:host", "turn:", "turns:",
			"turn:host:1:2", "file:///etc/passwd", " stun:host", "stun:host\n",
			"turn:user@host", "turn:user:password@host", "stun:host#fragment", "stun:ho st", "stun:host/path",
		} {
			g, err := api.NewICEGatherer(ICEGatherOptions{ICEServers: []ICEServer{
				{URLs: []string{"stun:good.example", url}, Username: "u", Credential: "c"},
			}})
			if !assert.ErrorIs(t, err, ErrInvalidArgument, "%q", url) {
				require.NoError(t, g.Close())

				continue
			}
			assert.ErrorContains(t, err, fmt.Sprintf("%q", url))
		}
		require.Zero(t, network.OpenSockets(0))
		require.Zero(t, network.Sent(0))
	})
}
