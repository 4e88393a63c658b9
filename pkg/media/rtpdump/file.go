package rtpdump

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/internal/bounded"
	"github.com/ctxrtc/webrtc/pkg/media/internal/sink"
)

// maxLine is the longest first line, in bytes: the magic, an IPv6 address with
// a zone, a slash and a port.
const maxLine = 128

// Reader reads a file packet by packet. Its methods may be called at the same
// time.
type Reader struct {
	stream *bufio.Reader
	turn   sink.Turns
	read   int64 // bytes of what was read whole
	packet int   // the one that comes next
}

// NewReader reads the first line and the header. A stream without any byte is
// io.EOF; other errors match io.ErrUnexpectedEOF, media.ErrMalformed,
// media.ErrInvalidArgument, or are those of the stream.
func NewReader(r io.Reader) (*Reader, Header, error) {
	if r == nil {
		return nil, Header{}, fmt.Errorf("rtpdump: %w: stream is nil", media.ErrInvalidArgument)
	}
	reader := &Reader{stream: bufio.NewReader(r), turn: sink.NewTurns()}
	line, err := reader.line()
	if err != nil {
		return nil, Header{}, err
	}
	address, found := strings.CutPrefix(line, magic)
	host, port, slash := strings.Cut(address, "/")
	if !found || !slash {
		return nil, Header{}, fmt.Errorf("rtpdump: %w: first line %q", media.ErrMalformed, line)
	}
	if _, err := netip.ParseAddrPort("[" + host + "]:" + port); err != nil {
		if _, err = netip.ParseAddrPort(host + ":" + port); err != nil {
			return nil, Header{}, fmt.Errorf("rtpdump: %w: first line %q: %w", media.ErrMalformed, line, err)
		}
	}
	raw, err := bounded.Read(reader.stream, headerSize)
	if err != nil {
		return nil, Header{}, fmt.Errorf("rtpdump: %d of %d bytes of the header: %w", len(raw), headerSize, err)
	}
	var header Header
	if err := header.Unmarshal(raw); err != nil {
		return nil, Header{}, err
	}
	reader.read = int64(len(line) + 1 + headerSize)

	return reader, header, nil
}

// line reads the first line, without its end.
func (r *Reader) line() (string, error) {
	var line []byte
	for {
		b, err := r.stream.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return "", io.EOF
		case errors.Is(err, io.EOF):
			return "", fmt.Errorf("rtpdump: first line: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return "", fmt.Errorf("rtpdump: first line: %w", err)
		case b == '\n':
			return string(line), nil
		case len(line) == maxLine:
			return "", fmt.Errorf("rtpdump: %w: first line of more than %d bytes", media.ErrMalformed, maxLine)
		}
		line = append(line, b)
	}
}

// Next returns the next packet, whose payload is a slice of its own. After the
// last one it returns io.EOF, and within one that is cut off an error that
// matches io.ErrUnexpectedEOF. Other errors are media.ErrMalformed and those of
// the stream.
func (r *Reader) Next() (Packet, error) {
	if r == nil || r.stream == nil {
		return Packet{}, fmt.Errorf("rtpdump: %w: reader without a stream", media.ErrInvalidArgument)
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	raw := make([]byte, packetHeaderSize)
	n, err := bounded.Head(r.stream, raw)
	switch {
	case errors.Is(err, io.EOF):
		return Packet{}, io.EOF
	case err != nil:
		return Packet{}, r.errorf("%d of %d bytes of its header: %w", n, packetHeaderSize, err)
	}
	packet, size, err := parseHeader(raw)
	if err != nil {
		return Packet{}, r.errorf("%w", err)
	}
	packet.Payload, err = bounded.Read(r.stream, size)
	if err != nil {
		return Packet{}, r.errorf("%d of %d bytes: %w", len(packet.Payload), size, err)
	}
	r.packet++
	r.read += int64(packetHeaderSize + size)

	return packet, nil
}

// errorf says of which packet an error is.
func (r *Reader) errorf(format string, args ...any) error {
	return fmt.Errorf("rtpdump: packet %d at byte %d: %w", r.packet, r.read, fmt.Errorf(format, args...))
}

// Writer writes a file packet by packet. Its methods may be called at the same
// time. It does not close its output.
type Writer struct {
	sink *sink.Sink
	turn sink.Turns
}

// NewWriter writes the first line and the header. A nil output and a header that
// cannot be written are media.ErrInvalidArgument; other errors are those of the
// output.
func NewWriter(w io.Writer, hdr Header) (*Writer, error) {
	if w == nil {
		return nil, fmt.Errorf("rtpdump: %w: output is nil", media.ErrInvalidArgument)
	}
	raw, err := hdr.Marshal()
	if err != nil {
		return nil, err
	}
	source := netip.AddrFrom4([4]byte(raw[8:12]))
	writer := &Writer{sink: sink.New(w), turn: sink.NewTurns()}
	if err := writer.sink.Write(fmt.Appendf(nil, "%s%s/%d\n", magic, source, hdr.Port), raw); err != nil {
		return nil, fmt.Errorf("rtpdump: header: %w", err)
	}

	return writer, nil
}

// WritePacket adds a packet. Errors are those of [Packet.Marshal],
// media.ErrInvalidArgument for a nil writer, and those of the output.
func (w *Writer) WritePacket(p Packet) error {
	if w == nil || w.sink == nil {
		return fmt.Errorf("rtpdump: %w: writer without an output", media.ErrInvalidArgument)
	}
	raw, err := p.Marshal()
	if err != nil {
		return err
	}
	w.turn.Lock()
	defer w.turn.Unlock()
	if err := w.sink.Write(raw); err != nil {
		return fmt.Errorf("rtpdump: %w", err)
	}

	return nil
}
