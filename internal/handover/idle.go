package handover

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/pion/transport/v5/deadline"
)

// ErrNoPath is a write while there is nothing that could carry it.
var ErrNoPath = errors.New("there is no path")

// idle is a connection over which nothing comes and nothing goes.
type idle struct {
	deadline *deadline.Deadline
	done     <-chan struct{}
}

// NewIdle returns a connection for the time in which there is none: a Read waits
// for its deadline, or for done.
func NewIdle(done <-chan struct{}) Conn { return &idle{deadline.New(), done} }

func (c *idle) Read([]byte) (int, error) {
	select {
	case <-c.done:
		return 0, net.ErrClosed
	case <-c.deadline.Done():
		return 0, os.ErrDeadlineExceeded
	}
}

func (c *idle) Write([]byte) (int, error) { return 0, ErrNoPath }

func (c *idle) SetReadDeadline(t time.Time) error {
	c.deadline.Set(t)

	return nil
}

func (c *idle) LocalAddr() net.Addr  { return nil }
func (c *idle) RemoteAddr() net.Addr { return nil }
