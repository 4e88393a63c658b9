// Package ortc connects two peers as Minecraft's NetherNet does it: ICE, DTLS
// and SCTP one by one, with signaling of one's own, and a data channel for the
// packets. The README two folders up says which step of moving from
// pion/webrtc this is.
//
//nolint:contextcheck // the calls that pion programs know have no context
package ortc

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
)

const (
	label     = "ReliableDataChannel"
	closeTime = 5 * time.Second
)

// Parameters are what one side signals to the other.
type Parameters struct {
	ICE        webrtc.ICEParameters    `json:"ice"`
	DTLS       webrtc.DTLSParameters   `json:"dtls"`
	SCTP       webrtc.SCTPCapabilities `json:"sctp"`
	Candidates []webrtc.ICECandidate   `json:"candidates"`
}

// Conn is one side: its transports, and the channel between the two.
type Conn struct {
	offering bool
	api      *webrtc.API
	gatherer *webrtc.ICEGatherer
	ice      *webrtc.ICETransport
	dtls     *webrtc.DTLSTransport
	sctp     *webrtc.SCTPTransport

	channel *webrtc.DataChannel
	opened  chan *webrtc.DataChannel
	packets chan []byte
	closed  chan struct{}
	once    sync.Once
}

// New makes a side and gathers its candidates.
func New(ctx context.Context, offering bool, settings webrtc.SettingEngine) (*Conn, error) {
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings))
	gatherer, err := api.NewICEGatherer(webrtc.ICEGatherOptions{})
	if err != nil {
		return nil, err
	}
	ice := api.NewICETransport(gatherer)
	dtls, err := api.NewDTLSTransport(ice, nil)
	if err != nil {
		_ = gatherer.Close()

		return nil, err
	}
	c := &Conn{
		offering: offering, api: api, gatherer: gatherer, ice: ice, dtls: dtls, sctp: api.NewSCTPTransport(dtls),
		opened:  make(chan *webrtc.DataChannel, 1),
		packets: make(chan []byte, 64),
		closed:  make(chan struct{}),
	}
	ice.OnConnectionStateChange(func(state webrtc.ICETransportState) {
		if state == webrtc.ICETransportStateFailed {
			go c.Close() // nothing above notices by itself
		}
	})
	dtls.OnStateChange(func(state webrtc.DTLSTransportState) {
		if state == webrtc.DTLSTransportStateClosed || state == webrtc.DTLSTransportStateFailed {
			go c.Close() // the transport is locked here
		}
	})
	gathered := make(chan struct{})
	var once sync.Once
	gatherer.OnLocalCandidate(func(candidate *webrtc.ICECandidate) {
		if candidate == nil {
			once.Do(func() { close(gathered) })
		}
	})
	if err = gatherer.Gather(); err != nil {
		c.Close()

		return nil, err
	}
	select {
	case <-gathered:
		return c, nil
	case <-ctx.Done():
		c.Close()

		return nil, ctx.Err()
	}
}

// Parameters returns what the other side has to know.
func (c *Conn) Parameters() (p Parameters, err error) {
	if p.ICE, err = c.gatherer.GetLocalParameters(); err != nil {
		return p, err
	}
	if p.DTLS, err = c.dtls.GetLocalParameters(); err != nil {
		return p, err
	}
	p.SCTP = c.sctp.GetCapabilities()
	p.Candidates, err = c.gatherer.GetLocalCandidates()

	return p, err
}

// Connect starts the transports, and opens the channel or waits for it.
func (c *Conn) Connect(ctx context.Context, remote Parameters) error {
	if err := c.ice.SetRemoteCandidates(remote.Candidates); err != nil {
		return err
	}
	role := webrtc.ICERoleControlled
	if c.offering {
		role = webrtc.ICERoleControlling
	}
	c.sctp.OnDataChannel(func(channel *webrtc.DataChannel) {
		if channel.Label() == label {
			c.use(channel)
		}
	})
	err := c.start(ctx, func() error { return c.ice.Start(nil, remote.ICE, &role) })
	if err == nil {
		err = c.start(ctx, func() error { return c.dtls.Start(remote.DTLS) })
	}
	if err == nil {
		err = c.start(ctx, func() error { return c.sctp.Start(remote.SCTP) })
	}
	if err == nil && c.offering {
		var channel *webrtc.DataChannel
		channel, err = c.api.NewDataChannel(c.sctp, &webrtc.DataChannelParameters{Label: label, Ordered: true})
		if err == nil {
			c.use(channel)
		}
	}
	if err != nil {
		c.Close()

		return err
	}
	select {
	case c.channel = <-c.opened:
		return nil
	case <-c.closed:
		return io.ErrClosedPipe
	case <-ctx.Done():
		c.Close()

		return ctx.Err()
	}
}

// start runs a start that has no context, and gives it up when ctx ends.
func (c *Conn) start(ctx context.Context, start func() error) error {
	done := make(chan error, 1)
	go func() { done <- start() }()
	select {
	case err := <-done:
		return err
	case <-c.closed:
		return io.ErrClosedPipe
	case <-ctx.Done():
		return ctx.Err() // the goroutine ends when Close has stopped what it starts
	}
}

// use sets the handlers before anything comes: what comes before is lost.
func (c *Conn) use(channel *webrtc.DataChannel) {
	channel.OnOpen(func() { c.opened <- channel })
	channel.OnMessage(func(message webrtc.DataChannelMessage) {
		select {
		case c.packets <- message.Data:
		case <-c.closed:
		}
	})
	channel.OnClose(func() { go c.Close() })
}

// Send sends a packet.
func (c *Conn) Send(_ context.Context, packet []byte) error { return c.channel.Send(packet) }

// Receive returns the next packet.
func (c *Conn) Receive(ctx context.Context) ([]byte, error) {
	select {
	case packet := <-c.packets:
		return packet, nil
	default:
	}
	select {
	case packet := <-c.packets:
		return packet, nil
	case <-c.closed:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close closes everything. It may be called from every handler, and does not
// wait for what may hang.
func (c *Conn) Close() {
	c.once.Do(func() {
		close(c.closed)
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			_ = errors.Join(c.sctp.Stop(), c.dtls.Stop(), c.ice.Stop())
		}()
		select {
		case <-stopped:
		case <-time.After(closeTime):
		}
	})
}

// Finish closes when what was sent has left, or ctx ends.
func (c *Conn) Finish(ctx context.Context) error {
	defer c.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for c.channel.BufferedAmount() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	return nil
}
