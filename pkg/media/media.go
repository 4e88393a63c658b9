// Package media holds what its readers, writers and the tracks of the library
// have in common: a sample of encoded media, and the errors of files.
//
// The packages below read and write files of media:
//
//   - ivfreader and ivfwriter: VP8, VP9 and AV1 in IVF
//   - h264reader and h264writer, h265reader and h265writer: Annex B streams
//   - oggreader and oggwriter: Opus in Ogg
//   - rtpdump: packets as they came
//   - samplebuilder: from RTP packets back to samples
//
// Their names and signatures are those of pion/webrtc, so that a program
// changes the import path alone. A reader or a writer is for one goroutine at a
// time unless it says otherwise. No reader panics on bad input, and none
// allocates much more than it has read: a size that a header merely claims
// costs nothing until the bytes are there.
//
// # Deviations from pion/webrtc
//
// Names and signatures are those of pion/webrtc v4.2.20. These things differ:
//
//   - Errors are those of this package, wrapped, where pion's are not exported.
//   - A unit that is cut off is never io.EOF, and an error of the stream is
//     never taken for its end.
//   - ivfwriter: time stamps are in the time base of the header, one for each
//     thirtieth of a second by default, where pion's are the milliseconds divided
//     by 30. The number of frames in the header is zero until Close, not 900.
//   - ivfwriter, h264writer, h265writer: a frame or a NAL unit of which a packet
//     is missing is left out.
//   - h264writer and h265writer: Close can be called twice.
//   - h264reader and h265reader: SEI at the end of a stream is skipped too. All
//     zeros behind a unit are taken off, and any number of zeros may stand in
//     front of the first start code.
//   - oggreader: ParseOpusHead checks the signature and the values.
//   - oggwriter: a page is written when the next one is there, or with Close. A
//     gap in the timestamps is filled in. The vendor is ctxrtc.
//   - samplebuilder: Pop goes on past what it drops to the next sample. Padding
//     is not among PrevDroppedPackets and does not end a Duration. A packet that
//     comes twice is released the second time. PopWithTimestamp is here again.
package media

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pion/rtp"
)

// Errors of the readers and writers; they come wrapped with what was wrong and
// where, and are to be matched with errors.Is. A stream that ends between two
// units gives io.EOF as it is, one that ends within a unit an error that
// matches io.ErrUnexpectedEOF.
var (
	// ErrMalformed is input that is not what its format demands.
	ErrMalformed = errors.New("malformed media")

	// ErrTooLarge is a unit above the limit that its package states.
	ErrTooLarge = errors.New("media unit too large")

	// ErrInvalidArgument is a nil, zero or contradictory argument. The call
	// changed nothing.
	ErrInvalidArgument = errors.New("invalid argument")

	// ErrClosed is a write after Close. It also matches os.ErrClosed.
	ErrClosed = fmt.Errorf("media writer: %w", os.ErrClosed)
)

// Sample is a piece of encoded media that is shown or played at one time, with
// its timing: a frame of video, a packet of audio.
type Sample struct {
	// Data is the encoded media, in the form that the codec's packetizer takes:
	// a VP8, VP9 or AV1 frame, H.264 or H.265 with Annex B start codes, an Opus
	// packet.
	Data []byte
	// Timestamp is the time of the capture, if it is known.
	Timestamp time.Time
	// Duration is the time until the next sample.
	Duration time.Duration
	// PacketTimestamp is the RTP timestamp that the sample came with, in ticks
	// of the codec's clock.
	PacketTimestamp uint32
	// PrevDroppedPackets counts the RTP packets that were lost or thrown away
	// between the previous sample and this one.
	PrevDroppedPackets uint16
	// Metadata is what the packet head handler of a SampleBuilder returned.
	Metadata any

	// RTPHeaders are the headers of the packets that the sample came in, if the
	// SampleBuilder was asked for them.
	RTPHeaders []*rtp.Header
}

// Writer makes a file of RTP packets.
type Writer interface {
	// WriteRTP adds the payload of a packet. Packets have to come in the order
	// of their sequence numbers. The packet is not kept.
	WriteRTP(packet *rtp.Packet) error
	// Close completes the file. A second call does nothing.
	Close() error
}
