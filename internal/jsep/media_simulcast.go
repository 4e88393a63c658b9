package jsep

import (
	"slices"
	"strings"
)

// The directions of rid and simulcast.
const (
	ridSend = "send"
	ridRecv = "recv"
)

// rid reads a stream with a name.
// https://www.rfc-editor.org/rfc/rfc8851#section-10
func (r *rtpReader) rid(a attribute) error {
	id, rest := firstField(a.Value)
	direction, rest := firstField(rest)
	if direction != ridSend && direction != ridRecv {
		return a.fail(ErrSyntax, "a rid has a name and a direction")
	}
	if err := checkRID(a, id); err != nil {
		return err
	}
	read := RID{ID: id, Send: direction == ridSend, Restrictions: rest}
	// It comes before the other restrictions if it is there.
	if first, others, _ := strings.Cut(rest, ";"); strings.HasPrefix(first, "pt=") {
		for text := range strings.SplitSeq(strings.TrimSpace(first[len("pt="):]), ",") {
			number, err := parseNumber(text, maxPayloadType)
			if err != nil {
				return a.fail(ErrSyntax, "a payload type: %w", err)
			}
			addOnce(&read.PayloadTypes, uint8(number), maxPayloadType+1)
		}
		read.Restrictions = strings.TrimSpace(others)
	}

	if at := slices.IndexFunc(r.RIDs, func(before RID) bool { return before.ID == id }); at >= 0 {
		if !r.RIDs[at].equal(read) {
			return a.fail(ErrContradiction, "the rid %q before this one is another", clip(id))
		}

		return nil
	}
	if len(r.RIDs) == MaxRIDs {
		return a.fail(ErrLimit, "more than %d rids", MaxRIDs)
	}
	r.RIDs = append(r.RIDs, read)

	return nil
}

func (r RID) equal(other RID) bool {
	return r.ID == other.ID && r.Send == other.Send && r.Restrictions == other.Restrictions &&
		slices.Equal(r.PayloadTypes, other.PayloadTypes)
}

// checkRID looks at the name of a stream. Packets allow letters and digits
// alone, and the grammar of SDP a little more.
// https://www.rfc-editor.org/rfc/rfc8851#section-10
func checkRID(a attribute, id string) error {
	if len(id) > MaxRID {
		return a.fail(ErrLimit, "a rid of %d characters, the most is %d", len(id), MaxRID)
	}
	for i := range len(id) {
		b := id[i]
		if ('a' > b || b > 'z') && ('A' > b || b > 'Z') && ('0' > b || b > '9') && b != '-' && b != '_' {
			return a.fail(ErrSyntax, "the character %q is not allowed in a rid", b)
		}
	}
	if id == "" {
		return a.fail(ErrSyntax, "an empty rid")
	}

	return nil
}

// readSimulcast reads one or two directions, each with a list of streams.
// https://www.rfc-editor.org/rfc/rfc8853#section-5.1
func (r *rtpReader) readSimulcast(a attribute) error {
	fields := strings.Fields(a.Value)
	text := strings.Join(fields, " ")
	if r.Simulcast != nil {
		if r.simulcast != text {
			return a.fail(ErrContradiction, "%q before this one", clip(r.simulcast))
		}

		return nil
	}

	read, left := new(Simulcast), MaxRIDs
	for ; len(fields) >= 2; fields = fields[2:] {
		var list *[][]SimulcastStream
		switch fields[0] {
		case ridSend:
			list = &read.Send
		case ridRecv:
			list = &read.Recv
		default:
			return a.fail(ErrSyntax, "%q is neither send nor recv", clip(fields[0]))
		}
		if *list != nil {
			return a.fail(ErrContradiction, "two lists of streams to %s", fields[0])
		}
		streams, err := readStreams(a, fields[1], &left)
		if err != nil {
			return err
		}
		*list = streams
	}
	if len(fields) != 0 || read.Send == nil && read.Recv == nil {
		return a.fail(ErrSyntax, "simulcast has a direction and streams")
	}
	r.Simulcast, r.simulcast = read, text

	return nil
}

// readStreams reads a list. A stream that is in it again is left out there, as
// browsers do. https://github.com/w3c/webrtc-pc/issues/2780
func readStreams(a attribute, text string, left *int) (streams [][]SimulcastStream, err error) {
	seen := make(map[string]bool)
	// Firefox had this before the names until the RFC came.
	text = strings.TrimPrefix(text, "rid=")
	for one := range strings.SplitSeq(text, ";") {
		var alternatives []SimulcastStream
		for id := range strings.SplitSeq(one, ",") {
			if *left--; *left < 0 {
				return nil, a.fail(ErrLimit, "more than %d streams", MaxRIDs)
			}
			id, paused := strings.CutPrefix(id, "~")
			if err := checkRID(a, id); err != nil {
				return nil, err
			}
			if !seen[id] {
				seen[id] = true
				alternatives = append(alternatives, SimulcastStream{ID: id, Paused: paused})
			}
		}
		if alternatives != nil {
			streams = append(streams, alternatives)
		}
	}

	return streams, nil
}

// Answer returns the same streams as the other side sees them: the answer to an
// offer may have these, or fewer. A stream stays paused: the pause is the
// sender's state, whoever says it.
// https://www.rfc-editor.org/rfc/rfc8853#section-5.3.2
func (s *Simulcast) Answer() *Simulcast {
	if s == nil {
		return nil
	}

	return &Simulcast{Send: cloneStreams(s.Recv), Recv: cloneStreams(s.Send)}
}

func cloneStreams(streams [][]SimulcastStream) [][]SimulcastStream {
	streams = slices.Clone(streams)
	for i := range streams {
		streams[i] = slices.Clone(streams[i])
	}

	return streams
}

// AnswerRIDs returns the same streams as the other side sees them. The answer
// has those of them that it has in its simulcast.
// https://www.rfc-editor.org/rfc/rfc8851#section-6.3
func AnswerRIDs(rids []RID) []RID {
	rids = slices.Clone(rids)
	for i := range rids {
		rids[i].Send = !rids[i].Send
		rids[i].PayloadTypes = slices.Clone(rids[i].PayloadTypes)
	}

	return rids
}

// SendRIDs returns the streams with names that the side sends, ReceiveRIDs those
// that it receives, in the order of its simulcast. Of alternatives it is the
// first, as in browsers. A stream of a simulcast without a rid of that direction
// does not count, and without simulcast all rids do.
// https://www.rfc-editor.org/rfc/rfc8853#section-5.2
func (r *RTP) SendRIDs() []SimulcastStream { return r.streams(true) }

// ReceiveRIDs is described at SendRIDs.
func (r *RTP) ReceiveRIDs() []SimulcastStream { return r.streams(false) }

func (r *RTP) streams(send bool) (streams []SimulcastStream) {
	known := make(map[string]bool, len(r.RIDs))
	for i := range r.RIDs {
		if rid := &r.RIDs[i]; rid.Send == send {
			known[rid.ID] = true
			if r.Simulcast == nil {
				streams = append(streams, SimulcastStream{ID: rid.ID})
			}
		}
	}
	if r.Simulcast == nil {
		return streams
	}

	lists := r.Simulcast.Recv
	if send {
		lists = r.Simulcast.Send
	}
	for _, alternatives := range lists {
		at := slices.IndexFunc(alternatives, func(s SimulcastStream) bool { return known[s.ID] })
		if at >= 0 {
			streams = append(streams, alternatives[at])
		}
	}

	return streams
}
