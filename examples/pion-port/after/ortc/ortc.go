// Package ortc connects two peers as Minecraft's NetherNet does it: ICE, DTLS
// and SCTP one by one, with signaling of one's own, and a data channel for the
// packets. The README two folders up says which step of moving from
// pion/webrtc this is.
package ortc

import (
	"context"
	"errors"

	"github.com/ctxrtc/webrtc"
)

const label = "ReliableDataChannel"

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
	gatherer *webrtc.ICEGatherer
	ice      *webrtc.ICETransport
	dtls     *webrtc.DTLSTransport
	sctp     *webrtc.SCTPTransport
	channel  *webrtc.DataChannel
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
		return nil, errors.Join(err, ice.Stop())
	}
	if _, err = gatherer.GatherContext(ctx); err != nil {
		return nil, errors.Join(err, ice.Stop())
	}

	return &Conn{offering: offering, gatherer: gatherer, ice: ice, dtls: dtls, sctp: api.NewSCTPTransport(dtls)}, nil
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
	err := c.ice.StartContext(ctx, nil, remote.ICE, &role)
	if err == nil {
		err = c.dtls.StartContext(ctx, remote.DTLS)
	}
	if err == nil {
		err = c.sctp.StartContext(ctx, remote.SCTP)
	}
	switch {
	case err != nil:
	case c.offering:
		c.channel, err = c.sctp.OpenDataChannel(ctx, &webrtc.DataChannelParameters{Label: label, Ordered: true})
	default:
		c.channel, err = c.sctp.AcceptDataChannel(ctx)
	}
	if err != nil {
		c.Close()
	}

	return err
}

// Send sends a packet, and waits while enough is queued.
func (c *Conn) Send(ctx context.Context, packet []byte) error {
	return c.channel.SendContext(ctx, packet)
}

// Receive returns the next packet.
func (c *Conn) Receive(ctx context.Context) ([]byte, error) {
	message, err := c.channel.ReceiveContext(ctx)

	return message.Data, err
}

// Close closes everything at once. It may be called from every handler.
func (c *Conn) Close() { _ = c.ice.Stop() }

// Finish closes when what was sent has arrived, or ctx ends.
func (c *Conn) Finish(ctx context.Context) error { return c.ice.Shutdown(ctx) }
