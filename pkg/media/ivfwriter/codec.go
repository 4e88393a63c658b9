package ivfwriter

import (
	"bytes"

	"github.com/pion/rtp/codecs"
	"github.com/pion/rtp/codecs/av1/obu"
)

// codec is what the codecs do not have in common. Its value in knownCodecs is
// copied for each writer.
type codec struct {
	mimeType string
	fourCC   string
	// read takes a payload apart. follows tells that the payload comes directly
	// behind the end of a frame, and collecting that a frame has been begun.
	read func(c *codec, payload []byte, follows, collecting bool) (part, error)

	av1 *codecs.AV1Depacketizer
}

// part is what a payload adds to a frame.
type part struct {
	data  []byte
	start bool // of a frame
	key   bool // of a frame that decoding can begin with
}

var knownCodecs = []codec{
	{mimeType: "video/VP8", fourCC: "VP80", read: readVP8},
	{mimeType: "video/VP9", fourCC: "VP90", read: readVP9},
	{mimeType: "video/AV1", fourCC: "AV01", read: readAV1},
}

func (c *codec) parse(payload []byte, follows, collecting bool) (part, error) {
	return c.read(c, payload, follows, collecting)
}

// https://www.rfc-editor.org/rfc/rfc7741#section-4.2
func readVP8(_ *codec, payload []byte, _, _ bool) (part, error) {
	var packet codecs.VP8Packet
	data, err := packet.Unmarshal(payload)
	if err != nil {
		return part{}, err
	}
	start := packet.S == 1 && packet.PID == 0 && len(data) > 0

	// https://www.rfc-editor.org/rfc/rfc6386#section-9.1
	return part{data: data, start: start, key: start && data[0]&1 == 0}, nil
}

// https://www.rfc-editor.org/rfc/rfc9628#section-4.2
func readVP9(_ *codec, payload []byte, _, _ bool) (part, error) {
	var packet codecs.VP9Packet
	data, err := packet.Unmarshal(payload)
	if err != nil {
		return part{}, err
	}
	// A picture begins with its lowest spatial layer.
	start := packet.B && packet.SID == 0 && len(data) > 0

	return part{data: data, start: start, key: start && !packet.P}, nil
}

// https://aomediacodec.github.io/av1-rtp-spec/#44-av1-aggregation-header
func readAV1(c *codec, payload []byte, follows, collecting bool) (part, error) {
	const continued, newSequence = 0x80, 0x08
	start := payload[0]&continued == 0 && (follows || payload[0]&newSequence != 0)
	if !collecting {
		c.av1 = &codecs.AV1Depacketizer{}
		// Nothing tells the beginning of a stream from the middle of a frame but
		// what it begins with.
		start = start || payload[0]&continued == 0 && beginsSequence(payload)
		if !start {
			return part{}, nil
		}
	}
	// It may keep a fragment, whose array the caller may use again.
	data, err := c.av1.Unmarshal(bytes.Clone(payload))
	if err != nil {
		return part{}, err
	}

	return part{data: data, start: start, key: start && (c.av1.N || beginsSequence(payload))}, nil
}

// beginsSequence tells whether the first OBU of a payload is a sequence header,
// which comes with each key frame. In front of it stands its length, unless it
// is the only one.
func beginsSequence(payload []byte) bool {
	const count = 0x30
	first := payload[1:]
	if payload[0]&count != 0x10 {
		_, n, err := obu.ReadLeb128(first)
		if err != nil || int(n) > len(first) { // at most 8
			return false
		}
		first = first[n:]
	}
	if len(first) == 0 {
		return false
	}
	header, err := obu.ParseOBUHeader(first)

	return err == nil && header.Type == obu.OBUSequenceHeader
}

// finish makes a frame of the file of what was collected.
func (c *codec) finish(data []byte) []byte {
	if c.av1 == nil || len(data) == 0 {
		return data
	}
	// An OBU whose rest has not come makes the frame one that is not whole.
	if c.av1.Y {
		return nil
	}
	// In a file a temporal unit begins with a delimiter, which packets leave out.
	// https://aomediacodec.github.io/av1-spec/#ordering-of-obus
	delimiter := (&obu.Header{Type: obu.OBUTemporalDelimiter, HasSizeField: true}).Marshal()

	return append(append(delimiter, 0), data...)
}
