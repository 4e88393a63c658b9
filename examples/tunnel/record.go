package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A data channel, as a net.Conn, is one stream of bytes each way, and cannot
// close one way alone. What a TCP connection has to say is told in records: a
// kind, the length of the content in two bytes, the content.
type kind byte

const (
	kindData   kind = 'd'
	kindEnd    kind = 'e' // of this direction: the FIN
	kindCredit kind = 'c' // so many more bytes may be sent: four bytes
	kindFailed kind = 'f' // of both directions, with the reason as text: the RST
)

const (
	recordHead = 3

	// maxRecord is the longest record with its head in bytes, so that each is
	// a message.
	maxRecord = 16 << 10
	maxData   = maxRecord - recordHead
	maxReason = 200

	// window is how much may be sent before the other side has passed it on to
	// its TCP connection, in bytes. A data channel has no window of its own:
	// what is not read fills the association's, and holds up every channel.
	window = 256 << 10
)

// appendRecord appends a record; the content is at most maxData bytes.
func appendRecord(buf []byte, k kind, content []byte) []byte {
	buf = append(buf, byte(k))
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(content))) //nolint:gosec // at most maxData

	return append(buf, content...)
}

func creditRecord(n int) []byte {
	return appendRecord(nil, kindCredit, binary.BigEndian.AppendUint32(nil, uint32(n))) //nolint:gosec // at most window
}

// failedRecord shortens the reason to what fits.
func failedRecord(reason error) []byte {
	text := reason.Error()

	return appendRecord(nil, kindFailed, []byte(text[:min(len(text), maxReason)]))
}

// told is a failure that the other side has told us.
type told string

func (t told) Error() string { return fmt.Sprintf("the other side: %q", string(t)) }

// readRecord reads a record into buf, of maxRecord bytes. io.EOF means that
// there is no more.
func readRecord(r io.Reader, buf []byte) (k kind, content []byte, err error) {
	head := buf[:recordHead]
	if _, err = io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	k, n := kind(head[0]), int(binary.BigEndian.Uint16(head[1:]))
	if !k.takes(n) {
		return 0, nil, fmt.Errorf("a record of kind %d with %d bytes", k, n)
	}
	content = buf[recordHead : recordHead+n]
	if _, err = io.ReadFull(r, content); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}

	return k, content, err
}

// takes tells whether a record of this kind has contents of n bytes.
func (k kind) takes(n int) bool {
	switch k {
	case kindData:
		return n > 0 && n <= maxData
	case kindEnd:
		return n == 0
	case kindCredit:
		return n == 4
	case kindFailed:
		return n <= maxReason
	}

	return false
}
