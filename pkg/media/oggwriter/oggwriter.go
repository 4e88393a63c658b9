// Package oggwriter writes the Opus of RTP packets into Ogg files.
// https://www.rfc-editor.org/rfc/rfc7845 https://www.rfc-editor.org/rfc/rfc7587
//
// A file keeps the time of what it records: sound that was lost, or not sent
// because there was silence, is filled in with packets that tell a decoder to
// conceal it, as RFC 7845 section 4.1 describes, for gaps of up to a minute.
// Packets that are overtaken by later ones are left out.
//
// The last page of each stream is held back until the next one comes or the
// writer is closed, because it has to be marked as the last one. An output need
// not be able to seek for that.
package oggwriter

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/pion/rtp"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/sink"
)

// file is an output that several goroutines write to.
type file struct {
	sink *sink.Sink
	turn sink.Turns
}

func newFile(out *sink.Sink) *file { return &file{sink: out, turn: sink.NewTurns()} }

// OggWriter writes a file of one stream. Its methods may be called at the same
// time.
type OggWriter struct {
	file   *file
	stream *stream
}

var _ media.Writer = (*OggWriter)(nil)

// New creates the file, or empties the one that is there, and writes its
// headers. sampleRate is that of the sound before it was encoded, in hertz, and
// zero if it is not known; channelCount is 1 or 2. Other numbers of channels are
// media.ErrInvalidArgument and leave the file alone. Other errors are those of
// os.Create and of writing.
func New(fileName string, sampleRate uint32, channelCount uint16) (*OggWriter, error) {
	writer, err := newOggWriter(sampleRate, channelCount)
	if err != nil {
		return nil, err
	}
	out, err := sink.Create(fileName)
	if err != nil {
		return nil, err
	}
	if err := writer.open(out); err != nil {
		return nil, errors.Join(err, out.Close())
	}

	return writer, nil
}

// NewWith writes the headers to out, which Close closes if it is an io.Closer. A
// nil out is media.ErrInvalidArgument. For the rest it is as New.
func NewWith(out io.Writer, sampleRate uint32, channelCount uint16) (*OggWriter, error) {
	if out == nil {
		return nil, fmt.Errorf("ogg: %w: output is nil", media.ErrInvalidArgument)
	}
	writer, err := newOggWriter(sampleRate, channelCount)
	if err != nil {
		return nil, err
	}
	if err := writer.open(sink.New(out)); err != nil {
		return nil, err
	}

	return writer, nil
}

func newOggWriter(sampleRate uint32, channelCount uint16) (*OggWriter, error) {
	set := defaults()
	for _, o := range []WriterTrackOption{WithSampleRate(sampleRate), WithChannelCount(channelCount)} {
		if err := o.applyTrack(&set); err != nil {
			return nil, err
		}
	}

	return &OggWriter{stream: newStream(set, rand.Uint32())}, nil
}

func (w *OggWriter) open(out *sink.Sink) error {
	w.file = newFile(out)
	if err := out.Write(w.stream.head(), w.stream.tags()); err != nil {
		return fmt.Errorf("ogg: headers: %w", err)
	}

	return nil
}

// WriteRTP adds a packet. A payload that is not Opus is media.ErrMalformed, and
// the packets after it can be written. Other errors are media.ErrClosed,
// media.ErrInvalidArgument, and those of the output.
func (w *OggWriter) WriteRTP(packet *rtp.Packet) error {
	if w == nil || w.file == nil {
		return fmt.Errorf("ogg: %w: writer without an output", media.ErrInvalidArgument)
	}
	w.file.turn.Lock()
	defer w.file.turn.Unlock()
	if err := w.file.sink.Check(packet != nil); err != nil {
		return fmt.Errorf("ogg: %w", err)
	}

	return w.stream.write(w.file.sink, packet)
}

// Close writes the last page and closes the output. A second call does nothing.
func (w *OggWriter) Close() error {
	if w == nil || w.file == nil {
		return nil
	}
	w.file.turn.Lock()
	defer w.file.turn.Unlock()
	if w.file.sink.Closed() {
		return nil
	}
	if err := errors.Join(w.file.sink.Write(w.stream.end()), w.file.sink.Close()); err != nil {
		return fmt.Errorf("ogg: close: %w", err)
	}

	return nil
}

// Writer writes a file of several streams, each of which is a [Track]. Its
// methods and those of its tracks may be called at the same time.
type Writer struct {
	file    *file
	set     config
	tracks  []*Track
	started bool // the headers have been written
}

// Track is one stream of a [Writer].
type Track struct {
	parent *Writer
	ssrc   uint32
	stream *stream
}

// NewWriter makes a writer without tracks. The options are defaults for its
// tracks. Nothing is written yet. A nil out, and options that are refused, are
// media.ErrInvalidArgument.
func NewWriter(out io.Writer, opts ...WriterOption) (*Writer, error) {
	if out == nil {
		return nil, fmt.Errorf("ogg: %w: output is nil", media.ErrInvalidArgument)
	}
	set := defaults()
	for _, o := range opts {
		if o == nil {
			return nil, fmt.Errorf("ogg: %w: nil option", media.ErrInvalidArgument)
		}
		if err := o.applyWriter(&set); err != nil {
			return nil, err
		}
	}

	return &Writer{file: newFile(sink.New(out)), set: set}, nil
}

// NewTrack adds a stream for the packets with an SSRC. All tracks have to be
// there before the first packet is written, because the headers of all streams
// stand at the beginning of a file. A late one, an SSRC or a serial that is
// there already, and options that are refused, are media.ErrInvalidArgument.
func (w *Writer) NewTrack(ssrc uint32, opts ...TrackOption) (*Track, error) {
	if w == nil || w.file == nil {
		return nil, fmt.Errorf("ogg: %w: writer without an output", media.ErrInvalidArgument)
	}
	w.file.turn.Lock()
	defer w.file.turn.Unlock()
	set := w.set.clone()
	for _, o := range opts {
		if o == nil {
			return nil, fmt.Errorf("ogg: %w: nil option", media.ErrInvalidArgument)
		}
		if err := o.applyTrack(&set); err != nil {
			return nil, err
		}
	}
	switch err := w.file.sink.Check(true); {
	case err != nil:
		return nil, fmt.Errorf("ogg: %w", err)
	case w.started:
		return nil, fmt.Errorf("ogg: %w: track after the first packet", media.ErrInvalidArgument)
	case w.find(func(t *Track) bool { return t.ssrc == ssrc }):
		return nil, fmt.Errorf("ogg: %w: second track of SSRC %d", media.ErrInvalidArgument, ssrc)
	}
	serial := rand.Uint32()
	for !set.serialSet && w.hasSerial(serial) {
		serial = rand.Uint32()
	}
	if set.serialSet {
		serial = set.serial
	}
	if w.hasSerial(serial) {
		return nil, fmt.Errorf("ogg: %w: second track of serial %d", media.ErrInvalidArgument, serial)
	}
	track := &Track{parent: w, ssrc: ssrc, stream: newStream(set, serial)}
	w.tracks = append(w.tracks, track)

	return track, nil
}

func (w *Writer) find(match func(*Track) bool) bool {
	for _, track := range w.tracks {
		if match(track) {
			return true
		}
	}

	return false
}

func (w *Writer) hasSerial(serial uint32) bool {
	return w.find(func(t *Track) bool { return t.stream.serial == serial })
}

// start writes the headers: the first pages of all streams come before any
// other. https://www.rfc-editor.org/rfc/rfc3533#section-4
func (w *Writer) start() error {
	if w.started || len(w.tracks) == 0 {
		return nil
	}
	var pages [][]byte
	for _, track := range w.tracks {
		pages = append(pages, track.stream.head())
	}
	for _, track := range w.tracks {
		pages = append(pages, track.stream.tags())
	}
	w.started = true
	if err := w.file.sink.Write(pages...); err != nil {
		return fmt.Errorf("ogg: headers: %w", err)
	}

	return nil
}

// WriteRTP adds a packet of the track's SSRC; one of another is
// media.ErrInvalidArgument. A payload that is not Opus is media.ErrMalformed,
// and the packets after it can be written. Other errors are media.ErrClosed and
// those of the output.
func (t *Track) WriteRTP(packet *rtp.Packet) error {
	if t == nil || t.parent == nil {
		return fmt.Errorf("ogg: %w: track without a writer", media.ErrInvalidArgument)
	}
	w := t.parent
	w.file.turn.Lock()
	defer w.file.turn.Unlock()
	if err := w.file.sink.Check(packet != nil); err != nil {
		return fmt.Errorf("ogg: %w", err)
	}
	if packet.SSRC != t.ssrc {
		return fmt.Errorf("ogg: %w: packet of SSRC %d in the track of %d", media.ErrInvalidArgument, packet.SSRC, t.ssrc)
	}
	if err := w.start(); err != nil {
		return err
	}

	return t.stream.write(w.file.sink, packet)
}

// Close writes the last page of each stream and closes the output if it is an
// io.Closer. A second call does nothing.
func (w *Writer) Close() error {
	if w == nil || w.file == nil {
		return nil
	}
	w.file.turn.Lock()
	defer w.file.turn.Unlock()
	if w.file.sink.Closed() {
		return nil
	}
	errs := []error{w.start()}
	for _, track := range w.tracks {
		errs = append(errs, w.file.sink.Write(track.stream.end()))
	}
	if err := errors.Join(append(errs, w.file.sink.Close())...); err != nil {
		return fmt.Errorf("ogg: close: %w", err)
	}

	return nil
}
