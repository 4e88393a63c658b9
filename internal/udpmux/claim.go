package udpmux

import (
	"net/netip"
	"slices"
	"time"
)

// What a session can be the cause of holding, beside its packets.
const (
	// maxClaims is how many remote addresses a session has on a socket. The
	// agent's own limit of remote candidates is below it by default.
	maxClaims = 64
	// maxRequests and requestLife are how many checks a session has under way
	// on a socket, and how long the answer of one is waited for. The agent
	// gives up sooner.
	maxRequests = 128
	requestLife = 10 * time.Second
)

// evidence that an address belongs to a session. The package comment has what
// each is worth.
type evidence uint8

const (
	answered evidence = 1 << iota
	nominated
	used
	heard
)

// claim is a session's to a remote address. Those of all sessions to one
// address make a ring, from the one that has the address to the oldest.
type claim struct {
	conn   *conn
	addr   netip.AddrPort
	proofs evidence

	older, newer *claim // nil while it is not in the ring
}

// taking is the evidence with which a session takes an address from another.
func (s *session) taking() evidence {
	if s.full {
		return nominated | used
	}

	return answered | nominated | used
}

// proven tells whether the claim is good enough to take the address.
func (c *claim) proven() bool {
	s := c.conn.session

	return c.proofs&s.taking() != 0 && (c.proofs&heard != 0 || !s.full)
}

// note adds to what speaks for a connection's claim to an address.
func (m *Mux) note(c *conn, addr netip.AddrPort, proof evidence) {
	m.mu.Lock()
	m.noteLocked(c, addr, proof)
	m.mu.Unlock()
	c.session.started.Store(true)
}

func (m *Mux) noteLocked(c *conn, addr netip.AddrPort, proof evidence) {
	if c.removed {
		return
	}
	cl := c.claimLocked(addr)
	before := cl.proven()
	cl.proofs |= proof
	if cl.proofs&^heard == 0 {
		return
	}
	// What has been proven is proven once more by new evidence, but for one more
	// answer: every check of ours has one.
	takes := cl.proven() && (!before || proof&c.session.taking() != 0)
	owner := c.socket.owners[addr]
	switch {
	case owner == cl:
	case owner == nil:
		cl.older, cl.newer = cl, cl
		c.socket.owners[addr] = cl
	case takes || cl.proofs&heard != 0 && owner.proofs&heard == 0 && owner.conn.session.full:
		cl.unlinkLocked()
		cl.insertLocked(owner)
		c.socket.owners[addr] = cl
		m.counters.moves.Add(1)
	case cl.older == nil:
		cl.insertLocked(owner) // as the oldest: it takes over when no other is left
	}
}

// insertLocked puts the claim between the oldest of a ring and its owner.
func (c *claim) insertLocked(owner *claim) {
	c.older, c.newer = owner, owner.newer
	c.newer.older, c.older.newer = c, c
}

// unlinkLocked takes the claim out of its ring. The next one has the address
// then.
func (c *claim) unlinkLocked() {
	if c.older == nil {
		return
	}
	owners := c.conn.socket.owners
	switch {
	case c.older == c:
		delete(owners, c.addr)
	case owners[c.addr] == c:
		owners[c.addr] = c.older
	}
	c.older.newer, c.newer.older = c.newer, c.older
	c.older, c.newer = nil, nil
}

// claimLocked returns the claim to an address, which may be a new one, and
// makes it the last of the connection's. A connection that has too many loses
// the first: the one that was spoken for longest ago.
func (c *conn) claimLocked(addr netip.AddrPort) *claim {
	i := slices.IndexFunc(c.claims, func(cl *claim) bool { return cl.addr == addr })
	if i >= 0 {
		cl := c.claims[i]
		c.claims = append(slices.Delete(c.claims, i, i+1), cl)

		return cl
	}
	if len(c.claims) == maxClaims {
		c.claims[0].unlinkLocked()
		c.claims = slices.Delete(c.claims, 0, 1)
		c.lastTo.Store(nil) // data that goes there is evidence once more
	}
	cl := &claim{conn: c, addr: addr}
	c.claims = append(c.claims, cl)

	return cl
}

// request is a check that a session has sent.
type request struct {
	id transaction
	at time.Time
}

// pending is where the answer to a check goes, and where it has to come from.
type pending struct {
	conn *conn
	to   netip.AddrPort
}

// expect notes a check that a session sends.
func (m *Mux) expect(c *conn, id transaction, to netip.AddrPort, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.removed {
		return
	}
	over := 0
	for over < len(c.sent) && (now.Sub(c.sent[over].at) > requestLife || len(c.sent)-over == maxRequests) {
		c.socket.forgetLocked(c.sent[over].id, c)
		over++
	}
	c.sent = append(slices.Delete(c.sent, 0, over), request{id, now})
	c.socket.pending[id] = pending{c, to}
}

func (s *socket) forgetLocked(id transaction, of *conn) {
	if s.pending[id].conn == of {
		delete(s.pending, id)
	}
}
