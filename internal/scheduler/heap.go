package scheduler

// head stands for the chunk or message at the front of a flow.
type head struct {
	finish  uint64
	arrival uint64 // of equal finish times the first to come is served
	flow    *flow
}

// before compares times that may have started again at 0.
func (h head) before(other head) bool {
	if h.finish != other.finish {
		return int64(h.finish-other.finish) < 0
	}

	return int64(h.arrival-other.arrival) < 0
}

// heap is a binary heap, the earliest at 0.
type heap []head

func (h *heap) push(added head) {
	*h = append(*h, added)
	heads := *h
	for i := len(heads) - 1; i > 0; {
		parent := (i - 1) / 2
		if !heads[i].before(heads[parent]) {
			return
		}
		heads[i], heads[parent] = heads[parent], heads[i]
		i = parent
	}
}

// pop takes the earliest out.
func (h *heap) pop() {
	heads := *h
	last := len(heads) - 1
	heads[0] = heads[last]
	heads[last] = head{}
	*h = heads[:last]
	h.down()
}

// replace puts another in the place of the earliest.
func (h *heap) replace(next head) {
	(*h)[0] = next
	h.down()
}

// down moves the top of the heap to its place.
func (h *heap) down() {
	heads := *h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heads); child++ {
			if heads[child].before(heads[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		heads[i], heads[least] = heads[least], heads[i]
		i = least
	}
}
