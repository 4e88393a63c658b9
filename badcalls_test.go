package webrtc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"io"
	"math/big"
	"strings"
	"time"
)

// What is refused at every stage of a stack; TestBadInputIsRefusedAndChangesNothing
// makes the calls.

func second[T any](_ T, err error) error { return err }

var (
	goodICE  = ICEParameters{UsernameFragment: "ufrag", Password: "passwordpasswordpassword"}
	goodDTLS = DTLSParameters{Fingerprints: []DTLSFingerprint{{"sha-256", "00"}}}

	candidateAt = func(address string) ICECandidate {
		return ICECandidate{Typ: ICECandidateTypeHost, Protocol: ICEProtocolUDP, Address: address, Port: 9, Component: 1}
	}
)

func expiredCertificate() Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	long := time.Now().AddDate(-2, 0, 0)
	made, err := NewCertificate(key, x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: long, NotAfter: long.AddDate(1, 0, 0),
	})
	if err != nil {
		panic(err)
	}

	return *made
}

func newChannelWith(p *DataChannelParameters) func(s *badSite) error {
	return func(s *badSite) error { return second(s.api.NewDataChannel(s.sctp, p)) }
}

func openWith(p *DataChannelParameters) func(s *badSite) error {
	return func(s *badSite) error { return second(s.sctp.OpenDataChannel(deadContext, p)) }
}

func gathererWith(opts ICEGatherOptions) func(s *badSite) error {
	return func(s *badSite) error { return second(s.api.NewICEGatherer(opts)) }
}

func startICEWith(ctx context.Context, p ICEParameters, role ICERole) func(s *badSite) error {
	return func(s *badSite) error { return s.ice.StartContext(ctx, nil, p, &role) }
}

func startDTLSWith(p DTLSParameters) func(s *badSite) error {
	return func(s *badSite) error { return s.dtls.StartContext(deadContext, p) }
}

var five = uint16(5)

// badWhenMade comes before gathering.
var badWhenMade = []badCall{
	{"API.NewICEGatherer", "a malformed server", gathererWith(ICEGatherOptions{ICEServers: []ICEServer{{URLs: []string{"stun"}}}}), ErrInvalidArgument, `"stun"`},
	{"API.NewICEGatherer", "a TURN server without credentials", gathererWith(ICEGatherOptions{ICEServers: []ICEServer{{URLs: []string{"turn:example.org"}}}}), ErrNoTurnCredentials, `"turn:example.org"`},
	{"API.NewICEGatherer", "an unknown policy", gathererWith(ICEGatherOptions{ICEGatherPolicy: 9}), ErrInvalidArgument, "policy 9"},
	{"API.NewICEGatherer", "settings that contradict", func(*badSite) error {
		api := NewAPI(WithSettingEngine(SettingEngine{ICE: ICESettings{PortMin: 2, PortMax: 1}}))

		return second(api.NewICEGatherer(ICEGatherOptions{}))
	}, ErrInvalidArgument, "ports 2 to 1"},
	{"API.NewDTLSTransport", "no ICE transport", func(s *badSite) error { return second(s.api.NewDTLSTransport(nil, nil)) }, ErrInvalidArgument, "ICE transport"},
	{"API.NewDTLSTransport", "a zero ICE transport", func(s *badSite) error { return second(s.api.NewDTLSTransport(&ICETransport{}, nil)) }, ErrInvalidArgument, "ICE transport"},
	{"API.NewDTLSTransport", "a zero certificate", func(s *badSite) error { return second(s.api.NewDTLSTransport(s.ice, make([]Certificate, 1))) }, ErrInvalidArgument, "certificate"},
	{"API.NewDTLSTransport", "an expired certificate", func(s *badSite) error {
		return second(s.api.NewDTLSTransport(s.ice, []Certificate{expiredCertificate()}))
	}, ErrCertificateExpired, "certificate expired"},
	{"API.NewDataChannel", "no parameters", newChannelWith(nil), ErrInvalidArgument, "no parameters"},
	{"API.NewDataChannel", "no transport", func(s *badSite) error { return second(s.api.NewDataChannel(nil, &DataChannelParameters{})) }, ErrInvalidArgument, "SCTP transport"},
	{"API.NewDataChannel", "both limits", newChannelWith(&DataChannelParameters{MaxRetransmits: &five, MaxPacketLifeTime: &five}), ErrRetransmitsOrPacketLifeTime, "MaxRetransmits"},
	{"API.NewDataChannel", "negotiated and no id", newChannelWith(&DataChannelParameters{Negotiated: true}), ErrNegotiatedWithoutID, "needs an ID"},
	{"API.NewDataChannel", "a long label", newChannelWith(&DataChannelParameters{Label: strings.Repeat("x", 65536)}), ErrStringSizeLimit, "label"},
	{"API.NewDataChannel", "a long protocol", newChannelWith(&DataChannelParameters{Protocol: strings.Repeat("x", 65536)}), ErrProtocolTooLarge, "protocol"},
	{"SCTPTransport.OpenDataChannel", "no context", func(s *badSite) error {
		return second(s.sctp.OpenDataChannel(noContext, &DataChannelParameters{}))
	}, ErrInvalidArgument, "nil context"},
	{"SCTPTransport.OpenDataChannel", "no parameters, and a context that has ended", openWith(nil), ErrInvalidArgument, "no parameters"},
	{"SCTPTransport.OpenDataChannel", "both limits, and a context that has ended", openWith(&DataChannelParameters{MaxRetransmits: &five, MaxPacketLifeTime: &five}), ErrRetransmitsOrPacketLifeTime, "MaxRetransmits"},

	{"ICEGatherer.GatherContext", "no context", func(s *badSite) error { return second(s.gatherer.GatherContext(noContext)) }, ErrInvalidArgument, "nil context"},
	{"ICETransport.StartContext", "no context", startICEWith(noContext, goodICE, ICERoleControlling), ErrInvalidArgument, "nil context"},
	{"ICETransport.StartContext", "no parameters, and a context that has ended", startICEWith(deadContext, ICEParameters{}, ICERoleControlling), ErrInvalidArgument, "username fragment"},
	{"ICETransport.StartContext", "no password", startICEWith(deadContext, ICEParameters{UsernameFragment: "ufrag"}, ICERoleControlling), ErrInvalidArgument, "password"},
	{"ICETransport.StartContext", "a colon in the ufrag", startICEWith(deadContext, ICEParameters{UsernameFragment: "u:f", Password: "p"}, ICERoleControlling), ErrInvalidArgument, "username fragment"},
	{"ICETransport.StartContext", "an unknown role", startICEWith(deadContext, goodICE, 7), ErrInvalidArgument, "role 7"},
	{"ICETransport.StartContext", "another gatherer", func(s *badSite) error {
		return s.ice.StartContext(deadContext, s.peer.gatherer, goodICE, nil)
	}, ErrInvalidArgument, "another gatherer"},
	{"ICETransport.StartContext", "no gatherer", func(s *badSite) error {
		without := s.api.NewICETransport(nil)
		defer func() { _ = without.Stop() }()

		return without.StartContext(deadContext, nil, goodICE, nil)
	}, ErrInvalidArgument, "no gatherer"},
	{"ICETransport.StartContext", "a gatherer of another transport", func(s *badSite) error {
		return s.api.NewICETransport(s.gatherer).StartContext(deadContext, nil, goodICE, nil)
	}, ErrInvalidState, "belongs to another transport"},
	{"ICETransport.StartContext", "a zero gatherer", func(s *badSite) error {
		without := s.api.NewICETransport(nil)
		defer func() { _ = without.Stop() }()

		return without.StartContext(deadContext, &ICEGatherer{}, goodICE, nil)
	}, ErrInvalidState, "not made by its constructor"},
	{"ICETransport.Start", "no parameters", func(s *badSite) error { return s.ice.Start(nil, ICEParameters{}, nil) }, ErrInvalidArgument, "username fragment"},
	{"ICETransport.Restart", "no start", func(s *badSite) error {
		_, err := s.ice.Restart(context.Background())

		return err
	}, ErrInvalidState, "not started"},
	{"ICETransport.Restart", "a nil context", func(s *badSite) error {
		_, err := s.ice.Restart(nil) //nolint:staticcheck // what is refused

		return err
	}, ErrInvalidArgument, "nil context"},
	{"ICETransport.SetRemoteParameters", "no parameters", func(s *badSite) error {
		return s.ice.SetRemoteParameters(ICEParameters{})
	}, ErrInvalidArgument, "username fragment"},
	{"ICETransport.SetRemoteParameters", "no restart", func(s *badSite) error {
		return s.ice.SetRemoteParameters(ICEParameters{UsernameFragment: "some", Password: "of-twenty-two-characters"})
	}, ErrInvalidState, "no restart"},
	{"ICETransport.AddRemoteCandidate", "a zero candidate", func(s *badSite) error { return s.ice.AddRemoteCandidate(&ICECandidate{}) }, ErrInvalidArgument, "type 0"},
	{"ICETransport.AddRemoteCandidate", "no gatherer", func(s *badSite) error {
		without := s.api.NewICETransport(nil)
		defer func() { _ = without.Stop() }()

		return without.AddRemoteCandidate(nil)
	}, ErrInvalidState, "gatherer"},
	{"ICETransport.AddRemoteCandidate", "an unspecified address", func(s *badSite) error {
		c := candidateAt("0.0.0.0")

		return s.ice.AddRemoteCandidate(&c)
	}, ErrInvalidArgument, "0.0.0.0"},
	{"ICETransport.AddRemoteCandidate", "a loopback address", func(s *badSite) error {
		c := candidateAt("127.0.0.1")

		return s.ice.AddRemoteCandidate(&c)
	}, ErrInvalidArgument, "127.0.0.1"},
	{"ICETransport.AddRemoteCandidate", "a host's name", func(s *badSite) error {
		c := candidateAt("example.org")

		return s.ice.AddRemoteCandidate(&c)
	}, ErrInvalidArgument, "example.org"},
	{"ICETransport.SetRemoteCandidates", "a good candidate and a bad one", func(s *badSite) error {
		return s.ice.SetRemoteCandidates([]ICECandidate{candidateAt("192.0.2.1"), candidateAt("0.0.0.0")})
	}, ErrInvalidArgument, "0.0.0.0"},
	{"ICETransport.SetRemoteCandidates", "too many candidates", func(s *badSite) error {
		many := make([]ICECandidate, 1000)
		for i := range many {
			many[i] = candidateAt("192.0.2.1")
			many[i].Port = uint16(1000 + i) //nolint:gosec // below 2000
		}

		return s.ice.SetRemoteCandidates(many)
	}, ErrInvalidState, "too many"},
	{"ICETransport.GetLocalParameters", "no gatherer", func(s *badSite) error {
		without := s.api.NewICETransport(nil)
		defer func() { _ = without.Stop() }()

		return second(without.GetLocalParameters())
	}, ErrInvalidState, "gatherer"},
	{"ICETransport.GetRemoteParameters", "nothing to return yet", func(s *badSite) error { return second(s.ice.GetRemoteParameters()) }, ErrInvalidState, "not started"},
	{"ICETransport.Run", "no context", func(s *badSite) error { return s.ice.Run(noContext) }, ErrInvalidArgument, "nil context"},
	{"ICETransport.Shutdown", "no context", func(s *badSite) error { return s.ice.Shutdown(noContext) }, ErrInvalidArgument, "nil context"},
	{"ICETransport.AwaitState", "no context", func(s *badSite) error {
		return second(s.ice.AwaitState(noContext, ICETransportStateNew))
	}, ErrInvalidArgument, "nil context"},
	{"ICETransport.AwaitState", "no state", func(s *badSite) error { return second(s.ice.AwaitState(deadContext)) }, ErrInvalidArgument, "no state"},

	{"DTLSTransport.StartContext", "no context", func(s *badSite) error { return s.dtls.StartContext(noContext, goodDTLS) }, ErrInvalidArgument, "nil context"},
	{"DTLSTransport.StartContext", "no fingerprints, and a context that has ended", startDTLSWith(DTLSParameters{}), ErrInvalidArgument, "no fingerprints"},
	{"DTLSTransport.StartContext", "an empty fingerprint", startDTLSWith(DTLSParameters{Fingerprints: make([]DTLSFingerprint, 1)}), ErrInvalidArgument, "fingerprint 0"},
	{"DTLSTransport.StartContext", "an unknown role", startDTLSWith(DTLSParameters{Role: 77, Fingerprints: goodDTLS.Fingerprints}), ErrInvalidArgument, "role 77"},
	{"DTLSTransport.StartContext", "ICE not started, and a context that has ended", startDTLSWith(goodDTLS), ErrInvalidState, "ICE transport is new"},
	{"DTLSTransport.Start", "ICE not started", func(s *badSite) error { return s.dtls.Start(goodDTLS) }, ErrInvalidState, "ICE transport is new"},
	{"DTLSTransport.Negotiated", "nothing negotiated yet", func(s *badSite) error { return second(s.dtls.Negotiated()) }, ErrInvalidState, "transport is new"},
	{"DTLSTransport.ExportKeyingMaterial", "no keys yet", func(s *badSite) error {
		return second(s.dtls.ExportKeyingMaterial("EXPORTER-x", nil, 32))
	}, ErrInvalidState, "transport is new"},
	{"DTLSTransport.Run", "no context", func(s *badSite) error { return s.dtls.Run(noContext) }, ErrInvalidArgument, "nil context"},
	{"DTLSTransport.Shutdown", "no context", func(s *badSite) error { return s.dtls.Shutdown(noContext) }, ErrInvalidArgument, "nil context"},
	{"DTLSTransport.AwaitState", "no context", func(s *badSite) error {
		return second(s.dtls.AwaitState(noContext, DTLSTransportStateNew))
	}, ErrInvalidArgument, "nil context"},
	{"DTLSTransport.AwaitState", "no state", func(s *badSite) error { return second(s.dtls.AwaitState(deadContext)) }, ErrInvalidArgument, "no state"},

	{"SCTPTransport.StartContext", "no context", func(s *badSite) error { return s.sctp.StartContext(noContext, SCTPCapabilities{}) }, ErrInvalidArgument, "nil context"},
	{"SCTPTransport.StartContext", "DTLS not started, and a context that has ended", func(s *badSite) error {
		return s.sctp.StartContext(deadContext, SCTPCapabilities{})
	}, ErrInvalidState, "DTLS transport is new"},
	{"SCTPTransport.Start", "DTLS not started", func(s *badSite) error { return s.sctp.Start(SCTPCapabilities{}) }, ErrInvalidState, "DTLS transport is new"},
	{"SCTPTransport.StartContext", "no DTLS transport", func(s *badSite) error {
		return s.api.NewSCTPTransport(nil).StartContext(deadContext, SCTPCapabilities{})
	}, ErrInvalidArgument, "DTLS transport"},
	{"SCTPTransport.AcceptDataChannel", "no context", func(s *badSite) error { return second(s.sctp.AcceptDataChannel(noContext)) }, ErrInvalidArgument, "nil context"},
	{"SCTPTransport.Run", "no context", func(s *badSite) error { return s.sctp.Run(noContext) }, ErrInvalidArgument, "nil context"},
	{"SCTPTransport.Shutdown", "no context", func(s *badSite) error { return s.sctp.Shutdown(noContext) }, ErrInvalidArgument, "nil context"},
	{"SCTPTransport.AwaitState", "no context", func(s *badSite) error {
		return second(s.sctp.AwaitState(noContext, SCTPTransportStateConnecting))
	}, ErrInvalidArgument, "nil context"},
	{"SCTPTransport.AwaitState", "no state", func(s *badSite) error { return second(s.sctp.AwaitState(deadContext)) }, ErrInvalidArgument, "no state"},
}

// badWhenGathered comes before ICE is started. A channel is connecting.
var badWhenGathered = []badCall{
	{"ICEGatherer.Gather", "candidates gathered before", func(s *badSite) error { return s.gatherer.Gather() }, ErrInvalidState, "gatherer is complete"},
	{"ICEGatherer.GatherContext", "candidates gathered before", func(s *badSite) error {
		return second(s.gatherer.GatherContext(context.Background()))
	}, ErrInvalidState, "gatherer is complete"},
	{"DataChannel.Send", "a channel that is connecting", func(s *badSite) error { return s.connecting.Send(nil) }, ErrDataChannelNotOpen, "not open"},
	{"DataChannel.SendText", "a channel that is connecting", func(s *badSite) error { return s.connecting.SendText("x") }, ErrDataChannelNotOpen, "not open"},
	{"DataChannel.SendContext", "a channel that is connecting", func(s *badSite) error { return s.connecting.SendContext(deadContext, nil) }, ErrDataChannelNotOpen, "not open"},
	{"DataChannel.SendTextContext", "a channel that is connecting", func(s *badSite) error {
		return s.connecting.SendTextContext(deadContext, "x")
	}, ErrDataChannelNotOpen, "not open"},
	{"DataChannel.ReceiveContext", "no context", func(s *badSite) error { return second(s.connecting.ReceiveContext(noContext)) }, ErrInvalidArgument, "nil context"},
	{"DataChannel.Shutdown", "no context", func(s *badSite) error { return s.connecting.Shutdown(noContext) }, ErrInvalidArgument, "nil context"},
	{"DataChannel.Detach", "a mode that is not enabled", func(s *badSite) error { return second(s.connecting.Detach()) }, ErrInvalidState, "DetachDataChannels"},
	{"DataChannel.DetachWithDeadline", "a mode that is not enabled", func(s *badSite) error {
		return second(s.connecting.DetachWithDeadline())
	}, ErrInvalidState, "DetachDataChannels"},
	{"DTLSTransport.Start", "ICE not started", func(s *badSite) error { return s.dtls.Start(goodDTLS) }, ErrInvalidState, "ICE transport is new"},
	{"DataChannel.NetConn", "a channel that is connecting", func(s *badSite) error { return second(s.connecting.NetConn()) }, ErrInvalidState, "not open yet"},
	{"DataChannel.MessageConn", "a channel that is connecting", func(s *badSite) error { return second(s.connecting.MessageConn()) }, ErrInvalidState, "not open yet"},
	{"Listener.Accept", "a listener that is closed", func(s *badSite) error {
		l, err := s.sctp.Listen()
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			return err
		}

		return second(l.Accept())
	}, ErrClosed, "closed"},
	{"Listener.AcceptContext", "no context", func(s *badSite) error {
		l, err := s.sctp.Listen()
		if err != nil {
			return err
		}

		return second(l.AcceptContext(noContext))
	}, ErrInvalidArgument, "nil context"},
}

// badWhenICEConnected comes before DTLS is started.
var badWhenICEConnected = []badCall{
	{"ICETransport.StartContext", "a second start, and a context that has ended", startICEWith(deadContext, goodICE, ICERoleControlled), ErrInvalidState, "started before"},
	{"ICETransport.Start", "a second start", func(s *badSite) error { return s.ice.Start(nil, goodICE, nil) }, ErrInvalidState, "started before"},
	{"DTLSTransport.StartContext", "no fingerprints", startDTLSWith(DTLSParameters{Role: DTLSRoleClient}), ErrInvalidArgument, "no fingerprints"},
	{"DTLSTransport.StartContext", "no context", func(s *badSite) error { return s.dtls.StartContext(noContext, goodDTLS) }, ErrInvalidArgument, "nil context"},
	{"SCTPTransport.Start", "DTLS not started", func(s *badSite) error { return s.sctp.Start(SCTPCapabilities{}) }, ErrInvalidState, "DTLS transport is new"},
}

// badWhenDTLSConnected comes before SCTP is started.
var badWhenDTLSConnected = []badCall{
	{"DTLSTransport.StartContext", "a second start, and a context that has ended", startDTLSWith(goodDTLS), ErrInvalidState, "started before"},
	{"DTLSTransport.Start", "a second start", func(s *badSite) error { return s.dtls.Start(goodDTLS) }, ErrInvalidState, "started before"},
	{"DTLSTransport.StartContext", "an ICE transport that is taken", func(s *badSite) error {
		other, err := s.api.NewDTLSTransport(s.ice, nil)
		if err != nil {
			return err
		}

		return other.StartContext(deadContext, goodDTLS)
	}, ErrInvalidState, "another DTLS transport"},
	{"DTLSTransport.ExportKeyingMaterial", "no length", func(s *badSite) error {
		return second(s.dtls.ExportKeyingMaterial("EXPORTER-x", nil, 0))
	}, ErrInvalidArgument, "length of 0 bytes"},
	{"DTLSTransport.ExportKeyingMaterial", "a negative length", func(s *badSite) error {
		return second(s.dtls.ExportKeyingMaterial("EXPORTER-x", nil, -1))
	}, ErrInvalidArgument, "length of -1 bytes"},
	{"DTLSTransport.ExportKeyingMaterial", "a context value", func(s *badSite) error {
		return second(s.dtls.ExportKeyingMaterial("EXPORTER-x", []byte("x"), 32))
	}, ErrInvalidArgument, "context"},
	{"DTLSTransport.ExportKeyingMaterial", "a reserved label", func(s *badSite) error {
		return second(s.dtls.ExportKeyingMaterial("master secret", nil, 32))
	}, ErrInvalidArgument, "label"},
	{"SCTPTransport.StartContext", "no context", func(s *badSite) error { return s.sctp.StartContext(noContext, SCTPCapabilities{}) }, ErrInvalidArgument, "nil context"},
	{"DataChannel.Send", "a channel that is connecting", func(s *badSite) error { return s.connecting.Send(nil) }, ErrDataChannelNotOpen, "not open"},
}

// badWhenConnected comes while channels are open and a message waits.
var badWhenConnected = []badCall{
	{"SCTPTransport.StartContext", "a second start, and a context that has ended", func(s *badSite) error {
		return s.sctp.StartContext(deadContext, SCTPCapabilities{})
	}, ErrInvalidState, "started before"},
	{"SCTPTransport.Start", "a second start", func(s *badSite) error { return s.sctp.Start(SCTPCapabilities{}) }, ErrInvalidState, "started before"},
	{"SCTPTransport.StartContext", "a DTLS transport that is taken", func(s *badSite) error {
		other := s.api.NewSCTPTransport(s.dtls)
		defer func() { _ = other.Stop() }()

		return other.StartContext(deadContext, SCTPCapabilities{})
	}, ErrInvalidState, "another SCTP transport"},
	{"SCTPTransport.AcceptDataChannel", "a handler in its way", func(s *badSite) error {
		s.sctp.OnDataChannel(func(*DataChannel) {})
		defer s.sctp.OnDataChannel(nil)

		return second(s.sctp.AcceptDataChannel(deadContext))
	}, ErrInvalidState, "OnDataChannel"},
	{"API.NewDataChannel", "an id in use", func(s *badSite) error {
		return second(s.api.NewDataChannel(s.sctp, &DataChannelParameters{Negotiated: true, ID: s.from.ID()}))
	}, ErrInvalidArgument, "in use"},
	{"SCTPTransport.OpenDataChannel", "an id in use", func(s *badSite) error {
		return second(s.sctp.OpenDataChannel(deadContext, &DataChannelParameters{ID: s.from.ID()}))
	}, ErrInvalidArgument, "in use"},
	{"DataChannel.Send", "a message that is too large", func(s *badSite) error { return s.from.Send(make([]byte, 1<<20+1)) }, ErrMessageTooLarge, "1048577 bytes"},
	{"DataChannel.SendText", "a message that is too large", func(s *badSite) error {
		return s.from.SendText(strings.Repeat("x", 1<<20+1))
	}, ErrMessageTooLarge, "1048577 bytes"},
	{"DataChannel.SendContext", "a message that is too large, and a context that has ended", func(s *badSite) error {
		return s.from.SendContext(deadContext, make([]byte, 1<<20+1))
	}, ErrMessageTooLarge, "1048577 bytes"},
	{"DataChannel.SendContext", "no context", func(s *badSite) error { return s.from.SendContext(noContext, nil) }, ErrInvalidArgument, "nil context"},
	{"DataChannel.SendTextContext", "no context", func(s *badSite) error { return s.from.SendTextContext(noContext, "") }, ErrInvalidArgument, "nil context"},
	{"DataChannel.SendContext", "a context that has ended", func(s *badSite) error { return s.from.SendContext(deadContext, nil) }, errSwept, "context canceled"},
	{"DataChannel.ReceiveContext", "no context", func(s *badSite) error { return second(s.to.ReceiveContext(noContext)) }, ErrInvalidArgument, "nil context"},
	{"DataChannel.ReceiveContext", "a handler in its way", func(s *badSite) error {
		s.from.OnMessage(func(DataChannelMessage) {})
		defer s.from.OnMessage(nil)

		return second(s.from.ReceiveContext(deadContext))
	}, ErrInvalidState, "OnMessage"},
	{"DataChannel.ReadMessage", "no context", func(s *badSite) error {
		_, _, err := s.to.ReadMessage(noContext, make([]byte, 5))

		return err
	}, ErrInvalidArgument, "nil context"},
	{"DataChannel.ReadMessage", "no buffer", func(s *badSite) error {
		_, _, err := s.to.ReadMessage(context.Background(), nil)

		return err
	}, io.ErrShortBuffer, "short buffer"},
	{"DataChannel.Shutdown", "no context", func(s *badSite) error { return s.from.Shutdown(noContext) }, ErrInvalidArgument, "nil context"},
	{"DataChannel.Detach", "a mode that is not enabled", func(s *badSite) error { return second(s.from.Detach()) }, ErrInvalidState, "DetachDataChannels"},
	{"ICETransport.AddRemoteCandidate", "a zero candidate", func(s *badSite) error { return s.ice.AddRemoteCandidate(&ICECandidate{}) }, ErrInvalidArgument, "type 0"},
}

// badWhenStopped comes after Stop and Run.
var badWhenStopped = []badCall{
	{"ICETransport.Restart", "the end before", func(s *badSite) error {
		_, err := s.ice.Restart(context.Background())

		return err
	}, ErrInvalidState, "ended"},
	{"SCTPTransport.Listen", "a transport that has ended", func(s *badSite) error { return second(s.sctp.Listen()) }, ErrInvalidState, "transport has ended"},
	{"ICEGatherer.Gather", "a closed gatherer", func(s *badSite) error { return s.gatherer.Gather() }, ErrInvalidState, "gatherer is closed"},
	{"ICEGatherer.GatherContext", "a closed gatherer", func(s *badSite) error { return second(s.gatherer.GatherContext(deadContext)) }, ErrInvalidState, "gatherer is closed"},
	{"ICEGatherer.GetLocalParameters", "a closed gatherer", func(s *badSite) error { return second(s.gatherer.GetLocalParameters()) }, ErrClosed, "closed"},
	{"ICETransport.GetLocalParameters", "a closed gatherer", func(s *badSite) error { return second(s.ice.GetLocalParameters()) }, ErrClosed, "closed"},
	{"ICETransport.StartContext", "a stopped transport", startICEWith(deadContext, goodICE, ICERoleControlled), ErrInvalidState, "transport is closed"},
	{"ICETransport.AddRemoteCandidate", "a stopped transport", func(s *badSite) error {
		c := candidateAt("192.0.2.1")

		return s.ice.AddRemoteCandidate(&c)
	}, ErrInvalidState, "transport has ended"},
	{"ICETransport.AddRemoteCandidate", "nil, a stopped transport", func(s *badSite) error { return s.ice.AddRemoteCandidate(nil) }, ErrInvalidState, "transport has ended"},
	{"ICETransport.SetRemoteCandidates", "a stopped transport", func(s *badSite) error { return s.ice.SetRemoteCandidates(nil) }, ErrInvalidState, "transport has ended"},
	{"ICETransport.AwaitState", "a state that cannot come", func(s *badSite) error {
		return second(s.ice.AwaitState(context.Background(), ICETransportStateConnected))
	}, ErrClosed, "closed"},
	{"API.NewDTLSTransport", "no API", func(s *badSite) error { return second((*API)(nil).NewDTLSTransport(s.ice, nil)) }, ErrInvalidArgument, "nil API"},
	{"DTLSTransport.StartContext", "a stopped transport", startDTLSWith(goodDTLS), ErrInvalidState, "transport is closed"},
	{"DTLSTransport.AwaitState", "a state that cannot come", func(s *badSite) error {
		return second(s.dtls.AwaitState(context.Background(), DTLSTransportStateConnected))
	}, ErrClosed, "closed"},
	{"SCTPTransport.StartContext", "a stopped transport", func(s *badSite) error {
		return s.sctp.StartContext(deadContext, SCTPCapabilities{})
	}, ErrInvalidState, "transport is closed"},
	{"SCTPTransport.AcceptDataChannel", "a stopped transport", func(s *badSite) error {
		return second(s.sctp.AcceptDataChannel(context.Background()))
	}, ErrClosed, "closed"},
	{"SCTPTransport.OpenDataChannel", "a stopped transport", openWith(&DataChannelParameters{}), ErrInvalidState, "transport has ended"},
	{"API.NewDataChannel", "a stopped transport", newChannelWith(&DataChannelParameters{}), ErrInvalidState, "transport has ended"},
	{"SCTPTransport.AwaitState", "a state that cannot come", func(s *badSite) error {
		return second(s.sctp.AwaitState(context.Background(), SCTPTransportStateConnecting))
	}, ErrClosed, "closed"},
	{"DataChannel.Send", "a closed channel", func(s *badSite) error { return s.from.Send(nil) }, ErrClosed, "closed"},
	{"DataChannel.SendText", "a closed channel", func(s *badSite) error { return s.from.SendText("") }, ErrClosed, "closed"},
	{"DataChannel.SendContext", "a closed channel", func(s *badSite) error { return s.from.SendContext(deadContext, nil) }, ErrClosed, "closed"},
	{"DataChannel.SendTextContext", "a closed channel", func(s *badSite) error { return s.from.SendTextContext(deadContext, "") }, ErrClosed, "closed"},
	{"DataChannel.ReceiveContext", "a closed channel", func(s *badSite) error {
		return second(s.to.ReceiveContext(context.Background()))
	}, ErrClosed, "closed"},
	{"DataChannel.ReadMessage", "a closed channel", func(s *badSite) error {
		_, _, err := s.to.ReadMessage(context.Background(), nil)

		return err
	}, ErrClosed, "closed"},
}
