package sctpfilter

// tsnReach is how far above the cumulative TSN a chunk may be. pion/sctp's own
// reach depends on its receive buffer and may be shorter; the shorter one
// counts, so that the association takes every chunk that passes.
const tsnReach = 16384

// tsnWindow knows which of the peer's TSNs have come.
// https://www.rfc-editor.org/rfc/rfc9260#section-6.2
type tsnWindow struct {
	cumulative uint32 // all up to this one
	highest    uint32 // the cumulative one or one above it
	reach      uint32
	bits       [tsnReach / 64]uint64 // those above the cumulative one, by TSN modulo tsnReach
}

// Where a TSN stands.
const (
	tsnKnown = iota // it has come already
	tsnGap          // new, below the highest
	tsnNext         // new, above the highest
	tsnFar          // out of reach
)

// before compares serial numbers.
// https://www.rfc-editor.org/rfc/rfc1982
func before(a, b uint32) bool { return int32(a-b) < 0 }

func before16(a, b uint16) bool { return int16(a-b) < 0 }

// pionReach is how far pion/sctp looks ahead with a receive buffer of so many bytes.
func pionReach(buffer uint32) uint32 {
	chunks := min(max(uint64(buffer)*4%(1<<32)/500, 2000), 40000)

	return uint32(chunks+63) / 64 * 64
}

// restart begins with the peer's first TSN.
func (w *tsnWindow) restart(initial uint32) {
	*w = tsnWindow{cumulative: initial - 1, highest: initial - 1, reach: w.reach}
}

func (w *tsnWindow) bit(tsn uint32) (word *uint64, mask uint64) {
	i := tsn % tsnReach

	return &w.bits[i/64], 1 << (i % 64)
}

func (w *tsnWindow) place(tsn uint32) int {
	switch ahead := int32(tsn - w.cumulative); {
	case ahead <= 0:
		return tsnKnown
	case uint32(ahead) > w.reach:
		return tsnFar
	case before(w.highest, tsn):
		return tsnNext
	}
	if word, mask := w.bit(tsn); *word&mask != 0 {
		return tsnKnown
	}

	return tsnGap
}

// add takes in a TSN that place has called new.
func (w *tsnWindow) add(tsn uint32) {
	word, mask := w.bit(tsn)
	*word |= mask
	if before(w.highest, tsn) {
		w.highest = tsn
	}
	w.advance()
}

// advance moves the cumulative TSN over what has come.
func (w *tsnWindow) advance() {
	for w.cumulative != w.highest {
		word, mask := w.bit(w.cumulative + 1)
		if *word&mask == 0 {
			return
		}
		*word &^= mask
		w.cumulative++
	}
}

// forward moves the cumulative TSN to the peer's, who gives up what is missing
// below. It returns false if that is nothing new.
// https://www.rfc-editor.org/rfc/rfc3758#section-3.6
func (w *tsnWindow) forward(to uint32) bool {
	if !before(w.cumulative, to) {
		return false
	}
	if !before(to, w.highest) {
		w.restart(to + 1)

		return true
	}
	for w.cumulative != to {
		w.cumulative++
		word, mask := w.bit(w.cumulative)
		*word &^= mask
	}
	w.advance()

	return true
}

// missing tells whether there is a gap.
func (w *tsnWindow) missing() bool { return w.cumulative != w.highest }
