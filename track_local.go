package webrtc

import (
	"fmt"
	"reflect"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
)

// TrackLocal is a source of audio or video that senders take. Programs can have
// their own; TrackLocalStaticRTP and TrackLocalStaticSample are those that most
// need.
//
// Its methods are called by senders with no lock held. A track may be bound to
// any number of senders at once. Bind and Unbind may call all of a sender's methods
// but Send, ReplaceTrack and Run of the one that calls them: those wait for them.
// Nothing waits for the Unbind of a sender that ends, but Run.
type TrackLocal interface {
	// Bind begins a sender: the track writes to the context's WriteStream from now
	// on. It chooses one of the context's codecs and returns it, or an error that
	// the sender's Send returns; [ErrUnsupportedCodec] if there is none for it.
	Bind(t TrackLocalContext) (RTPCodecParameters, error)

	// Unbind ends a sender, with the context that Bind was called with.
	Unbind(t TrackLocalContext) error

	// ID names the track within its stream: "video", for example.
	ID() string

	// RID names the encoding among those of one track that is sent in several, and
	// is empty otherwise. https://www.rfc-editor.org/rfc/rfc8851
	RID() string

	// StreamID names the stream that the track is part of: what a receiver plays
	// together.
	StreamID() string

	// Kind is audio or video.
	Kind() RTPCodecType
}

// mayCompare refuses a track of a type that == panics on.
func mayCompare(track TrackLocal) error {
	if track != nil && !reflect.ValueOf(track).Comparable() {
		return fmt.Errorf("%w: a %T, which cannot be compared; a pointer to one can", ErrInvalidArgument, track)
	}

	return nil
}

// TrackLocalWriter sends the packets of a track, by way of the interceptors. A
// packet that is sent before the transport is connected is lost.
type TrackLocalWriter interface {
	// WriteRTP sends a packet. It returns the packet's length in bytes, 0 if it was
	// lost for want of a connection. header and payload are not kept.
	WriteRTP(header *rtp.Header, payload []byte) (int, error)

	// Write is WriteRTP of a whole packet.
	Write(b []byte) (int, error)
}

// TrackLocalContext is what a sender gives to its track.
type TrackLocalContext interface {
	// CodecParameters are the codecs that were agreed on, the preferred one first.
	CodecParameters() []RTPCodecParameters

	// HeaderExtensions are those that were agreed on.
	HeaderExtensions() []RTPHeaderExtensionParameter

	// SSRC has to stand in the packets.
	SSRC() SSRC

	// SSRCRetransmission is that of the stream of retransmissions, zero if there is
	// none.
	SSRCRetransmission() SSRC

	// SSRCForwardErrorCorrection is that of the stream of repair packets, zero if
	// there is none.
	SSRCForwardErrorCorrection() SSRC

	// WriteStream is where the packets go.
	WriteStream() TrackLocalWriter

	// ID names the pair of this track and this sender.
	ID() string

	// RTCPReader reads what the peer reports about the stream, as the sender's Read
	// does: what the one has read the other has not.
	RTCPReader() interceptor.RTCPReader
}

// trackContext is the TrackLocalContext of one encoding of a sender.
type trackContext struct {
	id      string
	params  RTPParameters
	coding  RTPCodingParameters
	writer  *trackWriter
	reports interceptor.RTCPReader
}

func (c *trackContext) CodecParameters() []RTPCodecParameters { return cloneCodecs(c.params.Codecs) }

func (c *trackContext) HeaderExtensions() []RTPHeaderExtensionParameter {
	return append([]RTPHeaderExtensionParameter(nil), c.params.HeaderExtensions...)
}

func (c *trackContext) SSRC() SSRC                         { return c.coding.SSRC }
func (c *trackContext) SSRCRetransmission() SSRC           { return c.coding.RTX.SSRC }
func (c *trackContext) SSRCForwardErrorCorrection() SSRC   { return c.coding.FEC.SSRC }
func (c *trackContext) WriteStream() TrackLocalWriter      { return c.writer }
func (c *trackContext) ID() string                         { return c.id }
func (c *trackContext) RTCPReader() interceptor.RTCPReader { return c.reports }
