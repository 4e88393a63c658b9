// Package ogg encodes and decodes pages of Ogg.
// https://www.rfc-editor.org/rfc/rfc3533#section-6
package ogg

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/bounded"
)

// Flags of a page.
const (
	Continued = 0x01 // the first packet began on an earlier page
	Begin     = 0x02 // the first page of a logical stream
	End       = 0x04 // the last one
)

// NoGranule is the granule position of a page on which no packet ends.
const NoGranule = ^uint64(0)

const (
	signature   = "OggS"
	headerSize  = 27
	checksumAt  = 22
	maxSegments = 255
	fullSegment = 255
)

// Page is one page. Its segments say where packets end: one of 255 bytes goes
// on in the next, a shorter one ends a packet.
type Page struct {
	Flags    byte
	Granule  uint64
	Serial   uint32
	Index    uint32
	Segments []byte
	Payload  []byte
}

// Split puts a packet on as many pages as it takes. The granule position is that
// of the page on which it ends.
func Split(packet []byte, flags byte, granule uint64, serial, index uint32) []*Page {
	var pages []*Page
	for ended := false; !ended; index++ {
		page := &Page{Flags: flags, Granule: NoGranule, Serial: serial, Index: index}
		for !ended && len(page.Segments) < maxSegments {
			size := min(len(packet), fullSegment)
			page.Segments = append(page.Segments, byte(size)) // at most 255
			page.Payload = append(page.Payload, packet[:size]...)
			packet = packet[size:]
			ended = size < fullSegment
		}
		if ended {
			page.Granule = granule
		}
		pages = append(pages, page)
		flags = Continued
	}

	return pages
}

// Encode gives the page as bytes.
func (p *Page) Encode() []byte {
	raw := make([]byte, headerSize, headerSize+len(p.Segments)+len(p.Payload))
	copy(raw, signature)
	raw[5] = p.Flags
	binary.LittleEndian.PutUint64(raw[6:], p.Granule)
	binary.LittleEndian.PutUint32(raw[14:], p.Serial)
	binary.LittleEndian.PutUint32(raw[18:], p.Index)
	raw[26] = byte(len(p.Segments)) // at most maxSegments
	raw = append(raw, p.Segments...)
	raw = append(raw, p.Payload...)
	binary.LittleEndian.PutUint32(raw[checksumAt:], checksum(0, raw))

	return raw
}

// Read reads a page, which has at most 65,307 bytes, and tells its size. At the
// end of the stream it gives io.EOF as it is, within a page an error that
// matches io.ErrUnexpectedEOF. The checksum is verified if verify is set.
func Read(stream io.Reader, verify bool) (*Page, int64, error) {
	raw := make([]byte, headerSize, headerSize+maxSegments)
	n, err := bounded.Head(stream, raw)
	switch {
	case n == 0 && err != nil:
		return nil, 0, err
	case err != nil:
		return nil, 0, fmt.Errorf("%d of %d bytes of its header: %w", n, headerSize, err)
	case string(raw[:4]) != signature:
		return nil, 0, fmt.Errorf("%w: begins with %q, not %q", media.ErrMalformed, raw[:4], signature)
	case raw[4] != 0:
		return nil, 0, fmt.Errorf("%w: version %d is not 0", media.ErrMalformed, raw[4])
	}
	page := &Page{
		Flags:   raw[5],
		Granule: binary.LittleEndian.Uint64(raw[6:]),
		Serial:  binary.LittleEndian.Uint32(raw[14:]),
		Index:   binary.LittleEndian.Uint32(raw[18:]),
	}
	page.Segments, err = bounded.Read(stream, int(raw[26]))
	if err != nil {
		return nil, 0, fmt.Errorf("%d of %d bytes of its segment table: %w", len(page.Segments), raw[26], err)
	}
	size := 0
	for _, segment := range page.Segments {
		size += int(segment)
	}
	page.Payload, err = bounded.Read(stream, size)
	if err != nil {
		return nil, 0, fmt.Errorf("%d of %d bytes of its payload: %w", len(page.Payload), size, err)
	}
	if verify {
		want := binary.LittleEndian.Uint32(raw[checksumAt:])
		clear(raw[checksumAt : checksumAt+4])
		if got := checksum(checksum(checksum(0, raw), page.Segments), page.Payload); got != want {
			return nil, 0, fmt.Errorf("%w: checksum %08x, not %08x", media.ErrMalformed, got, want)
		}
	}

	return page, int64(len(raw) + len(page.Segments) + size), nil
}

// table is of the generator polynomial 0x04c11db7, the highest bit first, for
// which hash/crc32 has no form.
var table = func() (table [256]uint32) {
	const polynomial = 0x04c11db7
	for i := range table {
		sum := uint32(i) << 24 // at most 255
		for range 8 {
			carry := sum >> 31
			sum = sum<<1 ^ carry*polynomial
		}
		table[i] = sum
	}

	return table
}()

// checksum continues a sum with more bytes.
func checksum(sum uint32, data []byte) uint32 {
	for _, b := range data {
		sum = sum<<8 ^ table[byte(sum>>24)^b]
	}

	return sum
}
