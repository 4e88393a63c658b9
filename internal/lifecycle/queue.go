package lifecycle

import "sync"

// Queue delivers events one at a time, in the order in which they were
// posted. It has a goroutine only while events wait. The zero value is ready.
//
// Its lock is a leaf: Post may be called under the lock of the object whose
// change the event tells of, which is what makes the order of the events the
// order of the changes.
type Queue struct {
	mu         sync.Mutex
	events     []event
	delivering bool
	idle       chan struct{} // closed when delivering ends; nil if nobody waits for it
	next       *Queue        // where events go since Forward
}

type event struct {
	group   *Group
	deliver func()
}

// Post appends an event, which counts as a handler of g until it has been
// delivered. A nil g is allowed: nobody waits for the event then.
func (q *Queue) Post(g *Group, deliver func()) {
	if g != nil {
		g.count(&g.handlers, 1)
	}
	q.post(event{g, deliver})
}

func (q *Queue) post(events ...event) {
	q.mu.Lock()
	if q.next != nil {
		next := q.next
		q.mu.Unlock()
		next.post(events...)

		return
	}
	q.events = append(q.events, events...)
	start := !q.delivering && len(q.events) > 0
	if start {
		q.delivering = true
	}
	q.mu.Unlock()
	if start {
		go q.run()
	}
}

func (q *Queue) run() {
	for {
		q.mu.Lock()
		if len(q.events) == 0 {
			q.events = nil // a burst's array is not kept
			q.delivering = false
			if q.idle != nil {
				close(q.idle)
				q.idle = nil
			}
			q.mu.Unlock()

			return
		}
		e := q.events[0]
		q.events[0] = event{}
		q.events = q.events[1:]
		q.mu.Unlock()

		e.deliver()
		if e.group != nil {
			e.group.count(&e.group.handlers, -1)
		}
	}
}

// Forward hands all that waits, and all that will be posted, to another
// queue. What q is delivering just now is finished first, so that nothing
// overtakes it. The two queues must not be forwarded in a circle.
func (q *Queue) Forward(to *Queue) {
	q.mu.Lock()
	if q == to || q.next != nil {
		q.mu.Unlock()

		return
	}
	waiting := q.events
	q.events = nil
	q.next = to
	var idle chan struct{}
	if q.delivering {
		if q.idle == nil {
			q.idle = make(chan struct{})
		}
		idle = q.idle
	}
	if idle != nil {
		waiting = append([]event{{nil, func() { <-idle }}}, waiting...)
	}
	// Under the lock, so that what is posted to q from now on comes after.
	if len(waiting) > 0 {
		to.post(waiting...)
	}
	q.mu.Unlock()
}
