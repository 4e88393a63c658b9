// Package bounded reads units whose size a header claims, without trusting the
// claim.
package bounded

import (
	"errors"
	"io"
)

// step is how many bytes are allocated before the first of them has come.
const step = 64 << 10

// Read reads n bytes into a slice of its own. What it allocates grows with what
// has come: at most step bytes, or twice what was read. A stream that ends
// early gives io.ErrUnexpectedEOF and what there was, also if that is nothing.
func Read(r io.Reader, n int) ([]byte, error) {
	data := make([]byte, min(n, step))
	have := 0
	for have < n {
		if have == len(data) {
			data = append(data, make([]byte, min(n-have, have))...)
		}
		count, err := io.ReadFull(r, data[have:])
		have += count
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}

			return data[:have], err
		}
	}

	return data, nil
}

// Head fills a header that begins a unit. A stream that ends before its first
// byte gives io.EOF as it is.
func Head(r io.Reader, header []byte) (int, error) {
	n, err := io.ReadFull(r, header)
	if n == 0 && errors.Is(err, io.EOF) {
		return 0, io.EOF
	}

	return n, err
}
