package sctpfilter

import "slices"

// fragment is a chunk of a message that has not come as a whole. The user data
// is with the association; this is what it takes to tell when the message is
// complete, and what a FORWARD-TSN gives up.
type fragment struct {
	unordered  bool
	begin, end bool
	// message is the stream sequence number of ordered DATA, the message
	// identifier of I-DATA; unordered DATA has none.
	message uint32
	place   uint32 // in the message: the TSN of DATA, the fragment number of I-DATA
	tsn     uint32
	bytes   int
}

func (a *fragment) sameMessage(b *fragment) bool {
	return a.unordered == b.unordered && a.message == b.message
}

// partial holds the fragments of one stream, by message and place.
type partial struct {
	fragments []fragment
	bytes     int
}

// find returns where a fragment belongs, and whether its place is taken.
func (p *partial) find(f *fragment) (int, bool) {
	return slices.BinarySearchFunc(p.fragments, f, func(have fragment, want *fragment) int {
		switch {
		case have.unordered != want.unordered:
			if want.unordered {
				return -1
			}

			return 1
		case have.message != want.message:
			if have.message < want.message {
				return -1
			}

			return 1
		default:
			return int(int32(have.place - want.place))
		}
	})
}

// add takes in a fragment. complete is true if it was the last one missing of
// its message, whose fragments are gone then. tooLong is true if what has come
// of the message without a gap is more than limit bytes (0: no limit).
func (p *partial) add(f fragment, limit int) (complete, tooLong bool) {
	at, taken := p.find(&f)
	if taken {
		return false, false // the association drops it
	}
	p.fragments = slices.Insert(p.fragments, at, f)
	p.bytes += f.bytes
	first, last := at, at
	for last+1 < len(p.fragments) && p.follows(last+1) {
		last++
	}
	ends := p.fragments[last].end
	if !ends && (limit == 0 || p.bytes <= limit) {
		return false, false // as most often: the end is not here
	}
	for first > 0 && p.follows(first) {
		first--
	}
	size := 0
	for i := first; i <= last; i++ {
		size += p.fragments[i].bytes
	}
	tooLong = limit != 0 && size > limit
	if !ends || !p.fragments[first].begin {
		return false, tooLong
	}
	p.fragments = slices.Delete(p.fragments, first, last+1)
	p.bytes -= size
	p.release()

	return true, tooLong
}

// follows tells whether fragment i goes on where fragment i-1 ends.
func (p *partial) follows(i int) bool {
	a, b := &p.fragments[i-1], &p.fragments[i]

	return a.sameMessage(b) && a.place+1 == b.place && !a.end && !b.begin
}

// giveUp drops the fragments that match and returns how many bytes and
// fragments they were.
func (p *partial) giveUp(match func(*fragment) bool) (bytes, count int) {
	kept := p.fragments[:0]
	for i := range p.fragments {
		f := p.fragments[i]
		if match(&f) {
			bytes += f.bytes
			count++

			continue
		}
		kept = append(kept, f)
	}
	p.fragments = kept
	p.bytes -= bytes
	p.release()

	return bytes, count
}

// release lets go of the memory when there is nothing to hold.
func (p *partial) release() {
	if len(p.fragments) == 0 && cap(p.fragments) > 64 {
		p.fragments = nil
	}
}

// settled measures the fragments whose TSN the window has passed. But for a
// message that goes on at the window's edge they can never become one.
func (p *partial) settled(w *tsnWindow) (bytes, count int) {
	for i := range p.fragments {
		if !before(w.cumulative, p.fragments[i].tsn) {
			bytes += p.fragments[i].bytes
			count++
		}
	}

	return bytes, count
}
