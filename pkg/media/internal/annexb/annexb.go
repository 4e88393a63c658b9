// Package annexb splits a byte stream into NAL units at the start codes between
// them. H.264 and H.265 have the same stream format in their annexes B.
// https://www.itu.int/rec/T-REC-H.264 https://www.itu.int/rec/T-REC-H.265
package annexb

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// MaxUnitSize is the largest NAL unit that is read, in bytes.
const MaxUnitSize = 64 << 20

// chunk is how much is asked of the stream at a time, and noProgress how many
// times in a row it may give nothing.
const (
	chunk      = 16 << 10
	noProgress = 100
)

// startCode stands before each unit. A zero byte in front of it belongs to what
// may be filled up with zeros.
var startCode = []byte{0, 0, 1}

// Scanner reads units one after the other.
type Scanner struct {
	stream io.Reader
	buffer []byte // read and not yet given out
	free   []byte // what the stream reads into
	offset int64  // of buffer in the stream
	begun  bool   // the first start code is behind us
	err    error  // the end, once it has come
}

// New makes a scanner of a stream that is not nil.
func New(stream io.Reader) *Scanner {
	return &Scanner{stream: stream, free: make([]byte, chunk)}
}

// Next returns the next unit without its start code and the zeros behind it, in
// a slice of its own, and at which byte of the stream it begins. After the last
// one it returns io.EOF, and goes on to do so. Errors of the stream end the
// scan too; what was read of a unit then is not given out. They and
// media.ErrMalformed and media.ErrTooLarge come with the place.
func (s *Scanner) Next() (unit []byte, offset int64, err error) {
	if err := s.begin(); err != nil {
		return nil, 0, err
	}
	searched := 0
	for {
		end := -1
		if at := bytes.Index(s.buffer[searched:], startCode); at >= 0 {
			end = searched + at
		} else if errors.Is(s.err, io.EOF) && len(s.buffer) > 0 {
			end = len(s.buffer)
		}
		if end >= 0 {
			// Zeros that end a unit are the stream's: a unit never ends with one.
			unit, offset = bytes.Clone(bytes.TrimRight(s.buffer[:end], "\x00")), s.offset
			s.drop(min(end+len(startCode), len(s.buffer)))
			searched = 0
			if len(unit) > MaxUnitSize {
				return nil, 0, s.tooLarge(offset)
			}
			if len(unit) > 0 {
				return unit, offset, nil
			}

			continue
		}
		if s.err != nil {
			return nil, 0, s.err
		}
		if len(s.buffer) > MaxUnitSize+len(startCode) {
			return nil, 0, s.tooLarge(s.offset)
		}
		// A start code can have begun in the last two bytes.
		searched = max(0, len(s.buffer)-len(startCode)+1)
		s.fill()
	}
}

// begin takes the first start code and the zeros in front of it; anything else
// there is no stream of this kind.
func (s *Scanner) begin() error {
	for !s.begun {
		zeros := len(s.buffer) - len(bytes.TrimLeft(s.buffer, "\x00"))
		switch {
		case zeros < len(s.buffer) && (zeros < 2 || s.buffer[zeros] != 1):
			s.err = fmt.Errorf("%w: no start code but 0x%02x at byte %d", media.ErrMalformed, s.buffer[zeros],
				s.offset+int64(zeros))
			s.buffer, s.begun = nil, true
		case zeros < len(s.buffer):
			s.drop(zeros + 1)
			s.begun = true
		case errors.Is(s.err, io.EOF) && s.offset+int64(zeros) > 0:
			s.err = fmt.Errorf("byte %d: no start code: %w", s.offset+int64(zeros), io.ErrUnexpectedEOF)
			s.buffer, s.begun = nil, true
		case s.err != nil:
			return s.err
		default:
			s.drop(max(0, zeros-2))
			s.fill()
		}
	}

	return nil
}

// drop takes n bytes off the front. What is left moves only when most of the
// array behind it has been used up, by append.
func (s *Scanner) drop(n int) {
	s.buffer = s.buffer[n:]
	s.offset += int64(n)
}

// fill reads once, or keeps the error.
func (s *Scanner) fill() {
	for range noProgress {
		n, err := s.stream.Read(s.free)
		if n < 0 || n > len(s.free) {
			n, err = 0, fmt.Errorf("%w: stream read %d bytes into %d", media.ErrMalformed, n, len(s.free))
		}
		s.buffer = append(s.buffer, s.free[:n]...)
		if err != nil {
			s.err = io.EOF
			if !errors.Is(err, io.EOF) {
				s.err = fmt.Errorf("byte %d: %w", s.offset+int64(len(s.buffer)), err)
			}
		}
		if n > 0 || err != nil {
			return
		}
	}
	s.err = fmt.Errorf("byte %d: %w", s.offset+int64(len(s.buffer)), io.ErrNoProgress)
}

// tooLarge ends the scan: the rest of the unit would be taken for others.
func (s *Scanner) tooLarge(offset int64) error {
	s.buffer = nil
	s.err = fmt.Errorf("%w: NAL unit at byte %d has more than %d bytes", media.ErrTooLarge, offset, MaxUnitSize)

	return s.err
}
