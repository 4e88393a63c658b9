package signal

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync"
)

// maxLine is the longest line that is read, in bytes. The longest that is
// written is a description to paste, of a few thousand.
const maxLine = 64 << 10

// Lines reads lines under a context, which a Read of a pipe or a terminal does
// not know. One goroutine may call Next at a time.
type Lines struct {
	lines chan string
	err   error // why there are no more; read it when lines is closed
	close func()
	done  chan struct{}
}

// NewLines begins to read. Its goroutine ends with r, and with Close as soon
// as a Read that is under way returns.
func NewLines(r io.Reader) *Lines {
	l := &Lines{lines: make(chan string), done: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.done) })
	go l.read(r)

	return l
}

func (l *Lines) read(r io.Reader) {
	defer close(l.lines)
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		select {
		case l.lines <- scanner.Text():
		case <-l.done:
			l.err = io.ErrClosedPipe

			return
		}
	}
	if l.err = scanner.Err(); l.err == nil {
		l.err = io.EOF
	}
}

// Next returns the next line without its end. It returns io.EOF after the last
// one, and the cause of ctx when that ends first.
func (l *Lines) Next(ctx context.Context) (string, error) {
	select {
	case line, ok := <-l.lines:
		if !ok {
			return "", l.err
		}

		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// Close ends the reading. The reader itself stays the caller's to close.
func (l *Lines) Close() { l.close() }

// Conn carries messages over a reader and a writer, a line each.
type Conn struct {
	lines  *Lines
	number int // of the last line read

	mu sync.Mutex // one line at a time
	w  io.Writer
}

// NewConn begins to read, as NewLines does.
func NewConn(r io.Reader, w io.Writer) *Conn { return &Conn{lines: NewLines(r), w: w} }

// Send writes one message. It may be called from any goroutine.
func (c *Conn) Send(m Message) error {
	line, err := m.Format()
	if err != nil {
		return fmt.Errorf("signaling: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err = c.w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("signaling: %w", err)
	}

	return nil
}

// Receive returns the next message. It returns io.EOF when the other side has
// closed, and the cause of ctx when that ends first. A line that is no message
// is a *[LineError], and the next call reads on behind it.
func (c *Conn) Receive(ctx context.Context) (Message, error) {
	line, err := c.lines.Next(ctx)
	if err != nil {
		return Message{}, err
	}
	c.number++
	m, err := Parse([]byte(line))
	if err != nil {
		return Message{}, &LineError{c.number, err}
	}

	return m, nil
}

// LineError is a line that is no message.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("signaling: line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong with it.
func (e *LineError) Unwrap() error { return e.Err }

// Close ends the reading. Reader and writer stay the caller's to close.
func (c *Conn) Close() { c.lines.Close() }
