// Package oggreader reads Opus in Ogg.
// https://www.rfc-editor.org/rfc/rfc3533 https://www.rfc-editor.org/rfc/rfc7845
package oggreader

import (
	"errors"
	"fmt"
	"io"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/ogg"
)

// MaxPacketSize is how many bytes of a packet ParseNextPacket keeps while it
// looks for the page on which the packet ends, and MaxStreams is of how many
// logical streams it does so at a time. What is above is media.ErrTooLarge.
const (
	MaxPacketSize = 1 << 20
	MaxStreams    = 64
)

// OggReader reads one file, page by page or packet by packet.
type OggReader struct {
	stream     io.Reader
	read       int64 // bytes of whole pages
	page       int   // the one that comes next
	doChecksum bool

	// What ParseNextPacket has read and not yet given out.
	packets  [][]byte
	header   *OggPageHeader
	begun    map[uint32][]byte // packets whose end is on a later page, by serial
	leftover error
}

// Option changes what a reader does.
type Option func(*OggReader) error

// WithDoChecksum tells whether checksums of pages are verified, as they are
// without this option.
func WithDoChecksum(doChecksum bool) Option {
	return func(o *OggReader) error {
		o.doChecksum = doChecksum

		return nil
	}
}

// OggPageHeader is what a page says of itself.
type OggPageHeader struct {
	// GranulePosition is the number of samples of 48 kHz in the stream until the
	// end of the last packet that ends on this page, with the PreSkip of the
	// stream's header; all bits are set if none does.
	GranulePosition uint64
	// Serial tells the logical streams of a file apart.
	Serial uint32

	flags byte
}

// HeaderType says what a page's payload begins with.
type HeaderType string

// The pages that are not of sound.
const (
	HeaderOpusID   HeaderType = "OpusHead"
	HeaderOpusTags HeaderType = "OpusTags"
)

// headerType is what a payload begins with, or empty.
func headerType(payload []byte) HeaderType {
	const size = len(HeaderOpusID)
	if len(payload) < size {
		return ""
	}
	switch kind := HeaderType(payload[:size]); kind {
	case HeaderOpusID, HeaderOpusTags:
		return kind
	default:
		return ""
	}
}

// HeaderType tells whether a page with this header and payload has an OpusHead,
// to be read with [ParseOpusHead], or OpusTags, to be read with [ParseOpusTags].
func (p *OggPageHeader) HeaderType(payload []byte) (HeaderType, bool) {
	kind := headerType(payload)
	if p == nil || kind == "" || kind == HeaderOpusID && p.flags&ogg.Begin == 0 {
		return "", false
	}

	return kind, true
}

// NewWith reads the first page, which has to be the OpusHead of the only
// stream or of the first of several. For a file of several take
// [NewWithOptions], and look for their headers with [OggPageHeader.HeaderType].
// Errors are io.EOF for a stream without any byte, and those that match
// io.ErrUnexpectedEOF, media.ErrMalformed, media.ErrInvalidArgument, and the
// stream's own.
func NewWith(in io.Reader) (*OggReader, *OggHeader, error) {
	reader, err := NewWithOptions(in)
	if err != nil {
		return nil, nil, err
	}
	payload, page, err := reader.ParseNextPage()
	switch {
	case err != nil:
		return nil, nil, err
	case page.flags&ogg.Begin == 0:
		return nil, nil, fmt.Errorf("ogg: %w: first page does not begin a stream", media.ErrMalformed)
	}
	header, err := ParseOpusHead(payload)
	if err != nil {
		return nil, nil, err
	}

	return reader, header, nil
}

// NewWithOptions makes a reader that has read nothing yet. A nil stream or
// option is media.ErrInvalidArgument.
func NewWithOptions(in io.Reader, options ...Option) (*OggReader, error) {
	if in == nil {
		return nil, fmt.Errorf("ogg: %w: stream is nil", media.ErrInvalidArgument)
	}
	reader := &OggReader{stream: in, doChecksum: true, begun: map[uint32][]byte{}}
	for _, option := range options {
		if option == nil {
			return nil, fmt.Errorf("ogg: %w: nil option", media.ErrInvalidArgument)
		}
		if err := option(reader); err != nil {
			return nil, err
		}
	}

	return reader, nil
}

// ParseNextPage returns the payload and the header of the next page. A page can
// have several packets, which the payload does not tell apart:
// [OggReader.ParseNextPacket] does; files with one packet a page come of
// ffmpeg's -page_duration 20000.
//
// After the last page it returns io.EOF, within one that is cut off an error
// that matches io.ErrUnexpectedEOF; of a file that is still written to, the page
// can be read again after ResetReader. Other errors are media.ErrMalformed, also
// for a wrong checksum, and those of the stream.
func (o *OggReader) ParseNextPage() ([]byte, *OggPageHeader, error) {
	page, header, err := o.next()
	if err != nil {
		return nil, nil, err
	}

	return page.Payload, header, nil
}

func (o *OggReader) next() (*ogg.Page, *OggPageHeader, error) {
	if o == nil || o.stream == nil {
		return nil, nil, fmt.Errorf("ogg: %w: reader without a stream", media.ErrInvalidArgument)
	}
	page, size, err := ogg.Read(o.stream, o.doChecksum)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil, io.EOF
	case err != nil:
		return nil, nil, o.errorf("%w", err)
	}
	o.read += size
	o.page++

	return page, &OggPageHeader{GranulePosition: page.Granule, Serial: page.Serial, flags: page.Flags}, nil
}

func (o *OggReader) errorf(format string, args ...any) error {
	return fmt.Errorf("ogg: page %d at byte %d: %w", o.page, o.read, fmt.Errorf(format, args...))
}

// ParseNextPacket returns the next packet and the header of the page on which it
// ends; OpusHead and OpusTags are packets too. A packet whose beginning was not
// read, or whose end does not come, is left out. Errors are those of
// ParseNextPage, and media.ErrTooLarge. The two calls do not go together: pages
// that the one has read the other does not see.
func (o *OggReader) ParseNextPacket() ([]byte, *OggPageHeader, error) {
	if o == nil {
		return o.ParseNextPage()
	}
	for len(o.packets) == 0 {
		if err := o.leftover; err != nil {
			o.leftover = nil

			return nil, nil, err
		}
		page, header, err := o.next()
		if err != nil {
			return nil, nil, err
		}
		o.header = header
		o.leftover = o.split(page)
	}
	packet := o.packets[0]
	o.packets = o.packets[1:]
	header := *o.header

	return packet, &header, nil
}

// split takes the packets off a page. What is wrong with the last of them is
// told when the others have been given out.
func (o *OggReader) split(page *ogg.Page) error {
	packet, known := o.begun[page.Serial]
	delete(o.begun, page.Serial)
	// Of a packet whose beginning is not there, the rest is left out.
	skip := page.Flags&ogg.Continued != 0 && !known
	if page.Flags&ogg.Continued == 0 {
		packet = nil
	}
	rest, open := page.Payload, false
	for _, segment := range page.Segments {
		if !skip {
			packet = append(packet, rest[:segment]...)
		}
		rest = rest[segment:]
		open = segment == 255
		if !open {
			if !skip {
				o.packets = append(o.packets, packet)
			}
			packet, skip = []byte{}, false
		}
	}
	switch {
	case !open || skip || page.Flags&ogg.End != 0:
		return nil
	case len(packet) > MaxPacketSize:
		return o.errorf("%w: packet of more than %d bytes before it", media.ErrTooLarge, MaxPacketSize)
	case len(o.begun) >= MaxStreams:
		return o.errorf("%w: packets of more than %d streams begun before it", media.ErrTooLarge, MaxStreams)
	}
	o.begun[page.Serial] = packet

	return nil
}

// ResetReader replaces the stream, for files that grow while they are read.
// reset is given the number of bytes in front of the first page that was not
// read whole, and returns a stream that goes on from there.
func (o *OggReader) ResetReader(reset func(bytesRead int64) io.Reader) {
	if o == nil || reset == nil {
		return
	}
	o.stream = reset(o.read)
}
