package oggwriter

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/oggreader"
)

// maxTags is the largest OpusTags that is written, in bytes: what our reader
// puts together.
const maxTags = oggreader.MaxPacketSize

// WriterOption sets up a [Writer].
type WriterOption interface {
	applyWriter(*config) error
}

// TrackOption sets up a [Track].
type TrackOption interface {
	applyTrack(*config) error
}

// WriterTrackOption is a default of a [Writer], or for one [Track].
type WriterTrackOption interface {
	WriterOption
	TrackOption
}

// What is written is what a reader of this module returns.
type (
	// OpusTags are the comments of a stream.
	// https://www.rfc-editor.org/rfc/rfc7845#section-5.2
	OpusTags = oggreader.OpusTags
	// UserComment is one of them.
	UserComment = oggreader.UserComment
)

// config is what the options have set.
type config struct {
	sampleRate uint32
	mapping    mapping
	tags       OpusTags
	serial     uint32
	serialSet  bool
}

// mapping of channels. https://www.rfc-editor.org/rfc/rfc7845#section-5.1.1
type mapping struct {
	family   uint8
	channels uint8
	streams  uint8
	coupled  uint8
	table    []byte
}

func defaults() config {
	return config{
		sampleRate: 48_000,
		mapping:    mapping{channels: 2, streams: 1, coupled: 1},
		tags:       OpusTags{Vendor: "ctxrtc"},
	}
}

func (c config) clone() config {
	c.tags.UserComments = slices.Clone(c.tags.UserComments)

	return c
}

// both, ofWriter and ofTrack are options for what their names say.
type (
	both     func(*config) error
	ofWriter func(*config) error
	ofTrack  func(*config) error
)

func (o both) applyWriter(c *config) error     { return o(c) }
func (o both) applyTrack(c *config) error      { return o(c) }
func (o ofWriter) applyWriter(c *config) error { return o(c) }
func (o ofTrack) applyTrack(c *config) error   { return o(c) }

func invalid(format string, args ...any) error {
	return fmt.Errorf("ogg: %w: %s", media.ErrInvalidArgument, fmt.Sprintf(format, args...))
}

// WithSerial sets the serial number that tells a track's pages from those of
// others. It is random otherwise.
func WithSerial(serial uint32) TrackOption {
	return ofTrack(func(c *config) error {
		c.serial, c.serialSet = serial, true

		return nil
	})
}

// WithSampleRate sets the rate of the sound before it was encoded, in hertz,
// which players are told: 48,000 if it is not given, and zero if it is not
// known. It changes nothing else.
func WithSampleRate(sampleRate uint32) WriterTrackOption {
	return both(func(c *config) error {
		c.sampleRate = sampleRate

		return nil
	})
}

// WithChannelCount sets mono, 1, or stereo, 2, which is the default. Others need
// WithChannelMapping.
func WithChannelCount(channelCount uint16) WriterTrackOption {
	return both(func(c *config) error {
		if channelCount != 1 && channelCount != 2 {
			return invalid("%d channels", channelCount)
		}
		channels := uint8(channelCount)
		c.mapping = mapping{channels: channels, streams: 1, coupled: channels - 1}

		return nil
	})
}

// WithChannelMapping sets a channel mapping with a table, which has the decoded
// channel of each channel of the file, or 255 for silence. One Opus packet comes
// in an RTP packet, so streamCount has to be 1. Family 1 is mono or stereo,
// family 2 ambisonics of order zero, and family 255 anything.
// https://www.rfc-editor.org/rfc/rfc7845#section-5.1.1
func WithChannelMapping(family, streamCount, coupledCount uint8, mapping []byte) WriterTrackOption {
	m := newMapping(family, streamCount, coupledCount, mapping)

	return both(func(c *config) error {
		if err := m.check(len(mapping)); err != nil {
			return err
		}
		c.mapping = m

		return nil
	})
}

func newMapping(family, streams, coupled uint8, table []byte) mapping {
	return mapping{
		family:   family,
		channels: uint8(len(table)), // check is given the length
		streams:  streams,
		coupled:  coupled,
		table:    bytes.Clone(table),
	}
}

func (m mapping) check(channels int) error {
	switch {
	case channels == 0 || channels > 255:
		return invalid("mapping of %d channels", channels)
	case m.streams != 1:
		return invalid("mapping of %d streams, not 1", m.streams)
	case m.coupled > m.streams:
		return invalid("mapping of %d streams with %d in stereo", m.streams, m.coupled)
	}
	for channel, from := range m.table {
		if from != 255 && from >= m.streams+m.coupled {
			return invalid("channel %d is decoded channel %d of %d", channel, from, m.streams+m.coupled)
		}
	}
	known := true
	switch m.family {
	case 1:
		known = bytes.Equal(m.table, []byte{0, 1}[:m.streams+m.coupled])
	case 2:
		known = m.coupled == 0 && bytes.Equal(m.table, []byte{0})
	case 255:
	default:
		return invalid("mapping family %d", m.family)
	}
	if !known {
		return invalid("mapping %v of %d streams with %d in stereo in family %d", m.table, m.streams, m.coupled, m.family)
	}

	return nil
}

// WithVendor sets the name of the program in the tags of a stream, in UTF-8.
func WithVendor(vendor string) WriterTrackOption {
	return both(func(c *config) error {
		tags := OpusTags{Vendor: vendor, UserComments: c.tags.UserComments}
		if err := checkTags(tags); err != nil {
			return err
		}
		c.tags = tags

		return nil
	})
}

// WithUserComments adds comments to those that were set. A name has characters
// of ASCII from space to }, without =, and a value is UTF-8. More than 1 MiB of
// comments is media.ErrTooLarge.
func WithUserComments(comments ...UserComment) WriterTrackOption {
	comments = slices.Clone(comments)

	return both(func(c *config) error {
		tags := OpusTags{Vendor: c.tags.Vendor, UserComments: append(slices.Clone(c.tags.UserComments), comments...)}
		if err := checkTags(tags); err != nil {
			return err
		}
		c.tags = tags

		return nil
	})
}

func checkTags(t OpusTags) error {
	if !utf8.ValidString(t.Vendor) {
		return invalid("vendor is not UTF-8")
	}
	size := 16 + len(t.Vendor)
	for i, comment := range t.UserComments {
		if comment.Comment == "" {
			return invalid("comment %d has no name", i)
		}
		for _, b := range []byte(comment.Comment) {
			if b < ' ' || b > '}' || b == '=' {
				return invalid("name %q of comment %d", comment.Comment, i)
			}
		}
		if !utf8.ValidString(comment.Value) {
			return invalid("comment %d, %s, is not UTF-8", i, comment.Comment)
		}
		size += 5 + len(comment.Comment) + len(comment.Value)
	}
	if size > maxTags {
		return fmt.Errorf("ogg: %w: OpusTags of %d bytes, at most %d", media.ErrTooLarge, size, maxTags)
	}

	return nil
}

// WithSeekableOutput is for programs that were written for pion, where it lets
// Close mark the last page. Here that page is held back, and nothing has to be
// written a second time. A nil output is media.ErrInvalidArgument.
func WithSeekableOutput(output interface {
	io.Seeker
	io.WriterAt
},
) WriterOption {
	return ofWriter(func(*config) error {
		if output == nil {
			return invalid("seekable output is nil")
		}

		return nil
	})
}
