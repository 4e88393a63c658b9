package oggreader

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// OggHeader is the OpusHead of a stream.
// https://www.rfc-editor.org/rfc/rfc7845#section-5.1
type OggHeader struct {
	// ChannelMap is the family of the channel mapping: 0 for mono and stereo, 1
	// for the orders of Vorbis, 2 for ambisonics, 255 for none of them.
	ChannelMap uint8
	Channels   uint8
	// OutputGain is a signed number of 1/256 dB to amplify by.
	OutputGain uint16
	// PreSkip is the number of samples of 48 kHz to throw away at the beginning.
	PreSkip uint16
	// SampleRate is that of the sound before it was encoded, in hertz; zero if
	// it is not known. Opus is always decoded as if at 48 kHz.
	SampleRate uint32
	Version    uint8
	// StreamCount and CoupledCount are the numbers of Opus streams in a packet
	// and of those in stereo, and ChannelMapping has a byte for each channel:
	// which decoded channel it is, or 255 for silence. They are zero in family
	// 0, in which there is one stream.
	StreamCount    uint8
	CoupledCount   uint8
	ChannelMapping string
}

// Sizes of an OpusHead: without a mapping table, and of what comes before the
// table's bytes for the channels.
const (
	headSize  = 19
	tableFrom = 21
)

// ParseOpusHead reads the payload of the first page of a stream. Errors match
// media.ErrMalformed.
func ParseOpusHead(payload []byte) (*OggHeader, error) {
	if kind := headerType(payload); kind != HeaderOpusID {
		return nil, malformedHead("begins with %q, not %q", payload[:min(len(payload), len(HeaderOpusID))], HeaderOpusID)
	}
	if len(payload) < headSize {
		return nil, malformedHead("%d bytes, at least %d", len(payload), headSize)
	}
	header := &OggHeader{
		Version:    payload[8],
		Channels:   payload[9],
		PreSkip:    binary.LittleEndian.Uint16(payload[10:]),
		SampleRate: binary.LittleEndian.Uint32(payload[12:]),
		OutputGain: binary.LittleEndian.Uint16(payload[16:]),
		ChannelMap: payload[18],
	}
	// The upper half is for changes that older readers do not understand.
	if header.Version&0xf0 != 0 {
		return nil, malformedHead("version %d", header.Version)
	}
	if header.Channels == 0 {
		return nil, malformedHead("no channels")
	}
	size := headSize
	switch header.ChannelMap {
	case 0:
		if header.Channels > 2 {
			return nil, malformedHead("%d channels in mapping family 0", header.Channels)
		}
	case 1, 2, 255:
		size = tableFrom + int(header.Channels)
	default:
		return nil, malformedHead("mapping family %d is not known", header.ChannelMap)
	}
	// Later versions can have more behind it.
	if len(payload) < size || len(payload) > size && header.Version <= 1 {
		return nil, malformedHead("%d bytes, not %d", len(payload), size)
	}
	if header.ChannelMap != 0 {
		if err := header.table(payload[headSize:size]); err != nil {
			return nil, err
		}
	}

	return header, nil
}

// https://www.rfc-editor.org/rfc/rfc7845#section-5.1.1
func (h *OggHeader) table(table []byte) error {
	h.StreamCount, h.CoupledCount = table[0], table[1]
	h.ChannelMapping = string(table[2:])
	decoded := int(h.StreamCount) + int(h.CoupledCount)
	if h.StreamCount == 0 || h.CoupledCount > h.StreamCount || decoded > 255 {
		return malformedHead("%d streams with %d in stereo", h.StreamCount, h.CoupledCount)
	}
	for channel, from := range table[2:] {
		if from != 255 && int(from) >= decoded {
			return malformedHead("channel %d is decoded channel %d of %d", channel, from, decoded)
		}
	}

	return nil
}

func malformedHead(format string, args ...any) error {
	return fmt.Errorf("ogg: OpusHead: %w: %s", media.ErrMalformed, fmt.Sprintf(format, args...))
}

// OpusTags are the comments of a stream.
// https://www.rfc-editor.org/rfc/rfc7845#section-5.2
type OpusTags struct {
	// Vendor names what has encoded the stream.
	Vendor string
	// UserComments are in the order of the file, a name may come more than once.
	UserComments []UserComment
}

// UserComment is a name and a value.
type UserComment struct {
	// Comment is the name, such as TITLE; case does not matter.
	Comment string
	// Value is any text in UTF-8.
	Value string
}

// ParseOpusTags reads the packet after the OpusHead. Bytes behind the comments
// are ignored, as they may be. Errors match media.ErrMalformed.
func ParseOpusTags(payload []byte) (*OpusTags, error) {
	if kind := headerType(payload); kind != HeaderOpusTags {
		return nil, malformedTags("begins with %q, not %q", payload[:min(len(payload), len(HeaderOpusTags))], HeaderOpusTags)
	}
	rest := payload[len(HeaderOpusTags):]
	vendor, rest, err := text(rest, "vendor")
	if err != nil {
		return nil, err
	}
	if len(rest) < lengthSize {
		return nil, malformedTags("ends before the number of comments")
	}
	count := binary.LittleEndian.Uint32(rest)
	rest = rest[lengthSize:]
	// Each has its length at least.
	if uint64(count)*lengthSize > uint64(len(rest)) {
		return nil, malformedTags("%d comments in %d bytes", count, len(rest))
	}
	tags := &OpusTags{Vendor: vendor, UserComments: make([]UserComment, 0, count)}
	for i := range count {
		var comment string
		comment, rest, err = text(rest, fmt.Sprintf("comment %d", i))
		if err != nil {
			return nil, err
		}
		name, value, found := strings.Cut(comment, "=")
		if !found {
			return nil, malformedTags("comment %d has no =", i)
		}
		tags.UserComments = append(tags.UserComments, UserComment{Comment: name, Value: value})
	}

	return tags, nil
}

const lengthSize = 4

// text takes a text with its length in front off data.
func text(data []byte, what string) (string, []byte, error) {
	if len(data) < lengthSize {
		return "", nil, malformedTags("ends before the length of %s", what)
	}
	length := binary.LittleEndian.Uint32(data)
	data = data[lengthSize:]
	if uint64(length) > uint64(len(data)) {
		return "", nil, malformedTags("%s of %d bytes in %d", what, length, len(data))
	}

	return string(data[:length]), data[length:], nil
}

func malformedTags(format string, args ...any) error {
	return fmt.Errorf("ogg: OpusTags: %w: %s", media.ErrMalformed, fmt.Sprintf(format, args...))
}
