package dtlsfilter

import (
	"errors"
	"net"
	"time"
)

// The peer's first application data may come right behind its Finished, or
// overtake it. Until its handshake is over the module keeps one such record and
// loses all others, so they wait here. There are not many: a peer that sends so
// early has sent what its first window holds, and sends it again if it must.
const maxHeldRecords = 16

// held are the records that wait. The filter's mu guards it.
type held struct {
	records  [][]byte // in their order
	bytes    int
	deadline time.Time // what the path's read deadline has to be
	wake     bool      // end a read of the path once, to look for the records
	changes  uint      // of these two
}

// hold keeps a record of application data that has come before the end of the
// handshake.
func (f *Filter) hold(r record) verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch h := &f.held; {
	case f.phase.Load()&connected != 0: // in this moment
		f.countPassed(r)

		return pass
	case len(h.records) == maxHeldRecords || h.bytes+len(r) > f.early.limit:
		return overBudget
	default:
		h.add(r)
		f.holding.Store(true)
		f.countPassed(r)

		return later
	}
}

func (h *held) add(p []byte) {
	h.records = append(h.records, append([]byte(nil), p...))
	h.bytes += len(p)
}

// behind keeps what was read in the moment in which the handshake was over, if
// there are records that come before it.
func (f *Filter) behind(p []byte) bool {
	if !f.holding.Load() || f.phase.Load()&connected == 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held.add(p)

	return true
}

// release returns the length of the next record that has waited, 0 if there is
// none or the handshake is not over.
func (f *Filter) release(p []byte) int {
	if !f.holding.Load() || f.phase.Load()&connected == 0 {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &f.held
	n := copy(p, h.records[0])
	h.records = h.records[1:]
	if len(h.records) == 0 {
		h.records = nil
		f.holding.Store(false)
	}

	return n
}

// Connected tells that the handshake has succeeded. From here on nothing in
// plaintext is believed, and application data is read: a read of the path that is
// under way ends if there are records to release.
func (f *Filter) Connected() {
	f.mu.Lock()
	f.phase.Or(connected)
	wake := len(f.held.records) > 0
	if wake {
		f.held.wake = true
		f.held.changes++
	}
	f.mu.Unlock()
	if wake {
		_ = f.applyDeadline()
	}
}

// roused tells whether a read of the path has ended for Connected, and not by the
// module's own deadline.
func (f *Filter) roused(err error) bool {
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		return false
	}
	f.mu.Lock()
	was := f.held.wake
	if was {
		f.held.wake = false
		f.held.changes++
	}
	f.mu.Unlock()
	if was {
		_ = f.applyDeadline()
	}

	return was
}

// applyDeadline brings the path's deadline to the newest that was set,
// whichever goroutine is the last to do so.
func (f *Filter) applyDeadline() error {
	for {
		f.mu.Lock()
		t, changes := f.held.deadline, f.held.changes
		if f.held.wake {
			t = past
		}
		f.mu.Unlock()
		err := f.path.SetReadDeadline(t)
		f.mu.Lock()
		same := changes == f.held.changes
		f.mu.Unlock()
		if same {
			return err
		}
	}
}
