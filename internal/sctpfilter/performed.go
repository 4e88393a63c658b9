package sctpfilter

const (
	// maxResetsAhead is how far a request to reset streams may be ahead of the
	// first that is missing. RFC 6525 has a peer wait for the answer before it
	// sends the next, but pion/sctp sends one for every stream that is closed.
	maxResetsAhead = 4096
	// maxResetsLost is how far ahead the first request that arrives may be for
	// its number to be believed to continue the initial one: there are no more
	// streams.
	maxResetsLost = 1 << 16
	// farTries is how often a request that is too far ahead has to come, and no
	// other such one, until those that are missing are taken for never sent.
	farTries = 4
)

// What is known of a request by its number.
const (
	resetNew = iota
	resetDone
	resetFar
)

// performed remembers which of the peer's requests the association has
// performed, by their consecutive numbers. One that was lost may come again
// after any number of later ones, and must not be taken for performed: it
// would be answered and not be done.
type performed struct {
	some       bool                        // a request has come
	cumulative uint32                      // it and all below are performed
	above      [maxResetsAhead / 64]uint64 // those above that are, as a ring of bits

	far   uint32 // the last that was too far ahead
	tries int    // how often that came in a row
}

// start begins with the peer's first TSN, which is the number of its first
// request too.
// https://www.rfc-editor.org/rfc/rfc6525#section-4.1
func (p *performed) start(initial uint32) { *p = performed{cumulative: initial - 1} }

func (p *performed) bit(number uint32) (word *uint64, mask uint64) {
	i := number % maxResetsAhead

	return &p.above[i/64], 1 << (i % 64)
}

// place tells what is known of a request that has come. A peer whose numbers
// are not where they have to be is followed there; it keeps to one request at
// a time, so that what is below was never sent or has been answered.
func (p *performed) place(number uint32) int {
	ahead := number - p.cumulative
	if !p.some && (ahead == 0 || ahead > maxResetsLost) {
		p.start(number)
		ahead = 1
	}
	p.some = true
	switch {
	case int32(ahead) <= 0:
		return resetDone
	case ahead > maxResetsAhead:
		if number != p.far {
			p.far, p.tries = number, 0
		}
		if p.tries++; p.tries < farTries {
			return resetFar
		}
		p.start(number)
		p.some = true

		return resetNew
	}
	if word, mask := p.bit(number); *word&mask != 0 {
		return resetDone
	}

	return resetNew
}

// add takes in a request that is performed now.
func (p *performed) add(number uint32) {
	if ahead := number - p.cumulative; ahead == 0 || ahead > maxResetsAhead {
		return // done before, or left behind when the peer's numbers were followed
	}
	word, mask := p.bit(number)
	*word |= mask
	for {
		word, mask = p.bit(p.cumulative + 1)
		if *word&mask == 0 {
			return
		}
		*word &^= mask
		p.cumulative++
	}
}
