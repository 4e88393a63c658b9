package annexb

import (
	"errors"
	"fmt"
	"io"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// Reader is what the readers of all codecs have in common: a Scanner whose errors
// name the codec.
type Reader struct {
	codec   string
	scanner *Scanner
}

// NewReader makes one. A nil stream is media.ErrInvalidArgument.
func NewReader(codec string, stream io.Reader) (*Reader, error) {
	if stream == nil {
		return nil, fmt.Errorf("%s: %w: stream is nil", codec, media.ErrInvalidArgument)
	}

	return &Reader{codec, New(stream)}, nil
}

// Next is Scanner.Next. The end is io.EOF as it is; a nil Reader is
// media.ErrInvalidArgument.
func (r *Reader) Next() (unit []byte, offset int64, err error) {
	if r == nil {
		return nil, 0, fmt.Errorf("%w: reader without a stream", media.ErrInvalidArgument)
	}
	unit, offset, err = r.scanner.Next()
	switch {
	case errors.Is(err, io.EOF):
		err = io.EOF
	case err != nil:
		err = fmt.Errorf("%s: %w", r.codec, err)
	}

	return unit, offset, err
}

// Apply sets up what a package calls its reader. A nil option is
// media.ErrInvalidArgument.
func Apply[R any, O ~func(*R) error](codec string, reader *R, options []O) error {
	for _, option := range options {
		if option == nil {
			return fmt.Errorf("%s: %w: nil option", codec, media.ErrInvalidArgument)
		}
		if err := option(reader); err != nil {
			return err
		}
	}

	return nil
}
