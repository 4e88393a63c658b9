package lifecycle

// Changes wakes those that wait for a change of what a lock guards. The zero
// value is ready; both methods are called under that lock.
type Changes struct{ next chan struct{} }

// Next is closed at the next change.
func (c *Changes) Next() <-chan struct{} {
	if c.next == nil {
		c.next = make(chan struct{})
	}

	return c.next
}

// Note tells that something has changed. It costs nothing while nobody waits.
func (c *Changes) Note() {
	if c.next != nil {
		close(c.next)
		c.next = nil
	}
}
