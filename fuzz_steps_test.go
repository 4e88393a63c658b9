package webrtc

import (
	"context"
	"reflect"
	"strings"
	"testing/synctest"
	"time"
)

// fuzzSteps are the steps of FuzzCalls, by letter from 'A'. New ones go to the
// end, or the corpus means something else.
var fuzzSteps = []func(r *fuzzRun, s *fuzzSide, arg fuzzArg){
	// A: time passes
	func(_ *fuzzRun, _ *fuzzSide, arg fuzzArg) {
		time.Sleep([]time.Duration{
			0, time.Millisecond, 6 * time.Millisecond, 20 * time.Millisecond,
			150 * time.Millisecond, time.Second, 6 * time.Second, 40 * time.Second,
		}[arg.variant])
		synctest.Wait()
	},
	// B, C: gather
	func(_ *fuzzRun, s *fuzzSide, _ fuzzArg) { s.checkError("gather", s.gatherer.Gather()) },
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.waits(arg, "gather", func(ctx context.Context) error { return second(s.gatherer.GatherContext(ctx)) })
	},
	// D: tell the peer the candidates
	func(_ *fuzzRun, s *fuzzSide, _ fuzzArg) {
		candidates, err := s.gatherer.GetLocalCandidates()
		s.checkError("candidates", err)
		s.checkError("set candidates", s.peer().ice.SetRemoteCandidates(candidates))
	},
	// E: bad candidates
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		c := candidateAt([]string{"0.0.0.0", "127.0.0.1", "", "x.local", "192.0.2.1", "10.0.0.2", "::1", "x"}[arg.variant])
		s.checkError("add candidate", s.ice.AddRemoteCandidate(&c))
	},
	// F, G, H: the starts
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) { s.fuzzStartICE(arg) },
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) { s.fuzzStartDTLS(arg) },
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) { s.fuzzStartSCTP(arg) },
	// I to L: the stops
	func(_ *fuzzRun, s *fuzzSide, _ fuzzArg) {
		s.stops("ice", s.ice.Stop, func() string { return s.ice.State().String() })
	},
	func(_ *fuzzRun, s *fuzzSide, _ fuzzArg) {
		s.stops("dtls", s.dtls.Stop, func() string { return s.dtls.State().String() })
	},
	func(_ *fuzzRun, s *fuzzSide, _ fuzzArg) {
		s.stops("sctp", s.sctp.Stop, func() string { return s.sctp.State().String() })
	},
	func(_ *fuzzRun, s *fuzzSide, _ fuzzArg) {
		s.stops("ice", s.gatherer.Close, func() string { return s.gatherer.State().String() })
	},
	// M: Shutdown of a layer
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.waits(arg, "shutdown", []func(context.Context) error{
			s.ice.Shutdown, s.dtls.Shutdown, s.sctp.Shutdown,
		}[arg.variant%3])
	},
	// N: Run of a layer
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.graceful(arg, "run", []func(context.Context) error{s.ice.Run, s.dtls.Run, s.sctp.Run}[arg.variant%3])
	},
	// O: the calls that wait for handlers
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.graceful(arg, "graceful", func(context.Context) error {
			return []func() error{
				s.ice.GracefulStop, s.dtls.GracefulStop, s.sctp.GracefulStop, s.gatherer.GracefulClose,
				s.channel(0).GracefulClose,
			}[arg.variant%5]()
		})
	},
	// P, Q: make a channel, open one
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		err := s.addChannel(s.api.NewDataChannel(s.sctp, fuzzParameters(arg.variant)))
		s.checkError("new channel", err)
	},
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.waits(arg, "open", func(ctx context.Context) error {
			return s.addChannel(s.sctp.OpenDataChannel(ctx, fuzzParameters(arg.variant)))
		})
	},
	// R: accept one
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.waits(arg, "accept", func(ctx context.Context) error {
			return s.addChannel(s.sctp.AcceptDataChannel(ctx))
		})
	},
	// S: a handler of channels
	func(r *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.sctp.OnDataChannel([]func(*DataChannel){
			nil,
			func(c *DataChannel) { _ = s.addChannel(c, nil) },
			func(*DataChannel) { <-r.release },
			func(c *DataChannel) { _ = c.Close() },
			func(c *DataChannel) { _ = c.SendText("hello"); _ = s.addChannel(c, nil) },
			func(*DataChannel) { _ = s.sctp.Stop() },
			func(c *DataChannel) { c.OnMessage(func(m DataChannelMessage) { _ = c.Send(m.Data) }) },
			func(*DataChannel) { _ = s.ice.Stop() },
		}[arg.variant])
	},
	// T: send at once
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		c := s.channel(arg.context)
		s.checkError("send", c.Send(make([]byte, fuzzSize(arg.variant))))
		s.checkError("send", c.SendText(strings.Repeat("x", fuzzSize(arg.variant))))
	},
	// U: send under a context
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.waits(arg, "send", func(ctx context.Context) error {
			return s.channel(arg.variant).SendContext(ctx, make([]byte, fuzzSize(arg.variant)))
		})
	},
	// V: receive
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.waits(arg, "receive", func(ctx context.Context) error {
			if arg.variant%2 == 0 {
				return second(s.channel(arg.variant / 2).ReceiveContext(ctx))
			}
			_, _, err := s.channel(arg.variant/2).ReadMessage(ctx, make([]byte, 10))

			return err
		})
	},
	// W: close a channel
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) { s.checkError("close", s.channel(arg.variant).Close()) },
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) { // X
		s.waits(arg, "channel shutdown", func(ctx context.Context) error { return s.channel(arg.variant).Shutdown(ctx) })
	},
	// Y: handlers of a channel
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) { s.fuzzChannelHandlers(s.channel(arg.context), arg.variant) },
	// Z: handlers of states
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) { s.setStateHandlers(arg.variant) },
	// [: wait for a state
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.waits(arg, "await", func(ctx context.Context) error {
			switch arg.variant % 3 {
			case 0:
				return second(s.ice.AwaitState(ctx, ICETransportState(arg.variant)))
			case 1:
				return second(s.dtls.AwaitState(ctx, DTLSTransportState(arg.variant)))
			default:
				return second(s.sctp.AwaitState(ctx, SCTPTransportState(arg.variant)))
			}
		})
	},
	// \: cut the network, or mend it
	func(r *fuzzRun, _ *fuzzSide, _ fuzzArg) {
		r.cut = !r.cut
		r.network.Cut(r.cut)
	},
	// ]: lose the next packets
	func(r *fuzzRun, _ *fuzzSide, arg fuzzArg) { r.dropping.Store(int64(1 + arg.variant)) },
	// ^: what tells something
	func(_ *fuzzRun, s *fuzzSide, _ fuzzArg) { s.getters() },
	// _: starts with bad arguments
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.waits(arg, "bad start", func(ctx context.Context) error {
			return []func() error{
				func() error { return s.ice.StartContext(ctx, s.peer().gatherer, goodICE, nil) },
				func() error { return s.ice.StartContext(ctx, nil, ICEParameters{}, nil) },
				func() error { return s.ice.StartContext(ctx, new(ICEGatherer), goodICE, nil) },
				func() error { return s.dtls.StartContext(ctx, DTLSParameters{}) },
				func() error { return s.dtls.StartContext(ctx, DTLSParameters{Role: 9}) },
				func() error { return second(s.api.NewDTLSTransport(nil, nil)) },
				func() error { return second(s.api.NewDataChannel(nil, nil)) },
				func() error { return s.api.NewSCTPTransport(nil).StartContext(ctx, SCTPCapabilities{}) },
			}[arg.variant]()
		})
	},
	// `: signal and start all that variant says, on both sides, and wait a second
	func(r *fuzzRun, _ *fuzzSide, arg fuzzArg) {
		for _, s := range r.sides {
			s.waits(fuzzArg{}, "gather", func(ctx context.Context) error { return second(s.gatherer.GatherContext(ctx)) })
		}
		for _, start := range []func(*fuzzSide, fuzzArg){
			(*fuzzSide).fuzzStartICE, (*fuzzSide).fuzzStartDTLS, (*fuzzSide).fuzzStartSCTP,
		}[:arg.variant%4] {
			for _, s := range r.sides {
				candidates, _ := s.gatherer.GetLocalCandidates()
				s.checkError("set candidates", s.peer().ice.SetRemoteCandidates(candidates))
				start(s, fuzzArg{})
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
	},
	// a: detach a channel, and write or read
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		c, err := s.channel(arg.context).Detach()
		s.checkError("detach", err)
		if err != nil {
			return
		}
		s.waits(fuzzArg{}, "detached", func(context.Context) error {
			switch arg.variant {
			case 0:
				_ = c.Close()
			case 1, 2:
				_, _ = c.Read(make([]byte, 10))
			default:
				_, _ = c.Write(make([]byte, fuzzSize(arg.variant)))
			}

			return nil
		})
	},
	// b: the starts that take no context
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		params, _ := s.peer().gatherer.GetLocalParameters()
		fingerprints, _ := s.peer().dtls.GetLocalParameters()
		s.waits(fuzzArg{}, "start", func(context.Context) error {
			return []func() error{
				func() error { return s.ice.Start(nil, params, &s.role) },
				func() error { return s.dtls.Start(fingerprints) },
				func() error { return s.sctp.Start(SCTPCapabilities{}) },
			}[arg.variant%3]()
		})
	},
	// c: a second transport on a layer that has one
	func(_ *fuzzRun, s *fuzzSide, arg fuzzArg) {
		s.waits(arg, "second", func(ctx context.Context) error {
			fingerprints, err := s.peer().dtls.GetLocalParameters()
			if err != nil {
				return err
			}
			if arg.variant%2 == 0 {
				return s.api.NewSCTPTransport(s.dtls).StartContext(ctx, SCTPCapabilities{})
			}
			other, err := s.api.NewDTLSTransport(s.ice, s.dtls.certificates)
			if err != nil {
				return err
			}

			return other.StartContext(ctx, fingerprints)
		})
	},
	// d: more handlers, and a new handler of channels in place of waiting ones
	func(r *fuzzRun, s *fuzzSide, arg fuzzArg) {
		opened := []func(*DataChannel){nil, func(c *DataChannel) { _ = c.Close() }, func(*DataChannel) { <-r.release }}
		s.sctp.OnDataChannelOpened(opened[arg.variant%3])
		s.sctp.OnError(func(error) {
			if arg.variant > 3 {
				_ = s.ice.Stop()
			}
		})
		s.sctp.OnDataChannel(nil)
	},
}

func (s *fuzzSide) fuzzStartICE(arg fuzzArg) {
	params, err := s.peer().gatherer.GetLocalParameters()
	if err != nil {
		s.checkError("parameters", err)

		return
	}
	role := s.role
	if arg.variant == 7 {
		role = ICERoleControlling // a conflict, for one of the sides
	}
	s.starts(arg, "ice", s.ice.Context(),
		func(ctx context.Context) error { return s.ice.StartContext(ctx, nil, params, &role) },
		func() string { return s.ice.State().String() })
}

func (s *fuzzSide) fuzzStartDTLS(arg fuzzArg) {
	params, err := s.peer().dtls.GetLocalParameters()
	s.checkError("parameters", err)
	switch arg.variant {
	case 6:
		params.Role = DTLSRoleClient
	case 7:
		params.Fingerprints[0].Value = "00"
	}
	s.starts(arg, "dtls", s.dtls.Context(),
		func(ctx context.Context) error { return s.dtls.StartContext(ctx, params) },
		func() string { return s.dtls.State().String() })
}

func (s *fuzzSide) fuzzStartSCTP(arg fuzzArg) {
	s.starts(arg, "sctp", s.sctp.Context(),
		func(ctx context.Context) error {
			return s.sctp.StartContext(ctx, s.peer().sctp.GetCapabilities())
		},
		func() string { return s.sctp.State().String() })
}

// fuzzParameters are good and bad ones.
func fuzzParameters(variant int) *DataChannelParameters {
	four, large := uint16(4), uint16(65535)

	return []*DataChannelParameters{
		{Label: "a", Ordered: true},
		{Label: "b", Protocol: "p", MaxRetransmits: new(uint16)},
		{Negotiated: true, ID: &four, Ordered: true},
		{ID: &four, MaxPacketLifeTime: &four},
		{Negotiated: true},
		{MaxRetransmits: &four, MaxPacketLifeTime: &four},
		{Negotiated: true, ID: &large},
		nil,
	}[variant]
}

func fuzzSize(variant int) int {
	return []int{0, 1, 100, 1200, 60_000, 300_000, 1 << 20, 2 << 20}[variant]
}

func (s *fuzzSide) fuzzChannelHandlers(c *DataChannel, variant int) {
	handler := []func(){
		nil, s.getters,
		func() { <-s.run.release },
		func() { _ = c.Close() },
		func() { _ = s.sctp.Stop() },
		func() { _ = c.SendText("from a handler") },
		func() { _ = s.ice.Stop() },
		func() { c.OnMessage(nil) },
	}[variant]
	if handler == nil {
		c.OnMessage(nil)
		c.OnError(nil)
	} else {
		c.OnMessage(func(DataChannelMessage) { handler() })
		c.OnError(func(error) { handler() })
	}
	c.OnOpen(handler)
	c.OnDial(handler)
	c.OnClose(handler)
	c.OnBufferedAmountLow(handler)
	c.SetBufferedAmountLowThreshold(uint64(variant) * 1000) //nolint:gosec // 0 to 7
}

// callGetters calls every method that takes nothing and does nothing.
func callGetters(object any) {
	value := reflect.ValueOf(object)
	for i := range value.NumMethod() {
		method := value.Type().Method(i)
		if method.Type.NumIn() > 1 || strings.HasPrefix(method.Name, "Graceful") {
			continue
		}
		switch method.Name {
		case "Stop", "Close", "Gather":
		default:
			value.Method(i).Call(nil)
		}
	}
}
