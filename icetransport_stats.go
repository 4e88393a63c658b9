package webrtc

import (
	"slices"
	"time"

	"github.com/pion/ice/v4"

	"github.com/ctxrtc/webrtc/internal/mux"
)

// What can be read of an ICE transport: its selected pair and its counters.

// GetSelectedCandidatePair returns the pair over which packets are sent. It is
// nil without an error when there is none: before the state is connected,
// after the agent has given up, and after the end.
//
// A nil transport, or one that was not made by its constructor, is
// [ErrInvalidState].
func (t *ICETransport) GetSelectedCandidatePair() (*ICECandidatePair, error) {
	const op = "ice selected candidate pair"
	if err := t.alive().usable(op); err != nil {
		return nil, err
	}
	agent := t.look().agent
	if agent == nil {
		return nil, nil //nolint:nilnil // no pair is no error
	}
	// Does not wait for the agent's loop, in which BindingRequestHandler runs.
	selected, err := agent.GetSelectedCandidatePair()
	if err != nil {
		return nil, opError(op, err)
	}
	if selected == nil {
		return nil, nil //nolint:nilnil // no pair is no error
	}
	pair, err := newPairFromICE(selected.Local, selected.Remote)
	if err != nil {
		return nil, opError(op, err)
	}
	// They are copies, made from the text of the agent's candidates and named
	// anew every time. Without these names equal pairs are equal.
	pair.Local.statsID, pair.Remote.statsID = "", ""

	return pair, nil
}

// GetSelectedCandidatePairStats returns the counters of the selected pair, and
// false when GetSelectedCandidatePair would return no pair.
func (t *ICETransport) GetSelectedCandidatePairStats() (ICECandidatePairStats, bool) {
	agent := t.look().agent
	if agent == nil {
		return ICECandidatePairStats{}, false
	}
	selected, ok := agent.GetSelectedCandidatePairStats()
	if !ok {
		return ICECandidatePairStats{}, false
	}
	// For a single pair the agent leaves out most of what it counts of the
	// checks. In its list of all pairs that is there.
	for _, pair := range agent.GetCandidatePairsStats() {
		if pair.LocalCandidateID == selected.LocalCandidateID && pair.RemoteCandidateID == selected.RemoteCandidateID {
			selected = pair
		}
	}

	return newCandidatePairStats(selected), true
}

// Stats returns the counters of the transport. What belongs to DTLS is left
// zero, and everything is for a transport that was not made by its
// constructor. After the end the counters stay, but for PacketsSent and
// SelectedCandidatePairID, which are the agent's and end with it.
func (t *ICETransport) Stats() TransportStats {
	if t.alive() == nil {
		return TransportStats{}
	}
	stats, _ := t.report()

	return stats
}

// report is Stats, with what the agent tells of pairs and candidates.
func (t *ICETransport) report() (TransportStats, agentStats) {
	seen := t.look()
	stats := TransportStats{
		ID: iceStatsID, Type: StatsTypeTransport, Timestamp: newStatsTimestamp(time.Now()),
		ICEState: seen.state, ICERole: seen.role,
	}
	stats.BytesSent, stats.BytesReceived, stats.PacketsSent = seen.bytes.sent, seen.bytes.received, seen.bytes.packets
	if seen.mux != nil {
		in := seen.mux.Stats()
		stats.PacketsReceived = uint32(in.Unknown + in.STUN + in.ZRTP + in.DTLS +
			in.TURNChannel + in.SRTP + in.SRTCP + in.Oversized)
	}
	if seen.agent == nil {
		return stats, agentStats{}
	}
	for _, former := range seen.former {
		stats.PacketsSent += packetsSent(former.Agent)
	}
	told := readAgent(seen.agent)
	if t.gatherer.holdsAny(seen.of) {
		told.candidates = slices.DeleteFunc(told.candidates, func(c ICECandidateStats) bool {
			return c.Type == StatsTypeLocalCandidate
		})
	}
	t.gatherer.nameServers(seen.of, told.candidates)
	for _, pair := range told.pairs {
		stats.PacketsSent += pair.PacketsSent
	}
	stats.SelectedCandidatePairID = told.selected

	return stats, told
}

// agentStats is what an agent tells of its pairs and candidates.
type agentStats struct {
	pairs      []ICECandidatePairStats
	candidates []ICECandidateStats
	selected   string // the ID of a pair, empty if there is none
}

// readAgent asks for one thing after the other, as the agent has no question
// for all of them. It asks again if the agent has replaced a candidate
// meanwhile, so that what is named is there too.
func readAgent(agent *ice.Agent) (told agentStats) {
	const attempts = 3
	for range attempts {
		told = agentStats{}
		if pair, ok := agent.GetSelectedCandidatePairStats(); ok {
			told.selected = candidatePairStatsID(pair.LocalCandidateID, pair.RemoteCandidateID)
		}
		for _, pair := range agent.GetCandidatePairsStats() {
			told.pairs = append(told.pairs, newCandidatePairStats(pair))
		}
		for _, candidate := range agent.GetLocalCandidatesStats() {
			told.candidates = append(told.candidates, newICECandidateStats(candidate, StatsTypeLocalCandidate))
		}
		for _, candidate := range agent.GetRemoteCandidatesStats() {
			told.candidates = append(told.candidates, newICECandidateStats(candidate, StatsTypeRemoteCandidate))
		}
		if told.prune() {
			break
		}
	}

	return told
}

// prune leaves out what names something that is not there. It returns false if
// there was such a thing.
func (s *agentStats) prune() (whole bool) {
	known := make(map[string]bool, len(s.candidates))
	for _, candidate := range s.candidates {
		known[candidate.ID] = true
	}
	read, selected := len(s.pairs), s.selected
	s.selected = ""
	s.pairs = slices.DeleteFunc(s.pairs, func(pair ICECandidatePairStats) bool {
		if !known[pair.LocalCandidateID] || !known[pair.RemoteCandidateID] {
			return true
		}
		if pair.ID == selected {
			s.selected = selected
		}

		return false
	})

	return len(s.pairs) == read && s.selected == selected
}

// iceLook is the transport at one instant.
type iceLook struct {
	state ICETransportState
	role  ICERole
	bytes traffic    // of all agents
	mux   *mux.Mux   // nil before the start
	agent *ice.Agent // nil without a gatherer and after the end
	of    *iceAgent  // the same

	former []*iceAgent // of before a restart, not closed yet
}

// look takes what the counters are read from, so that the lock is free again
// when the agent is asked.
func (t *ICETransport) look() (seen iceLook) {
	if t.alive() == nil {
		return seen
	}
	t.life.mu.Lock()
	agent := t.agent
	seen = iceLook{state: t.life.state, role: t.role, bytes: t.past, mux: t.mux}
	for _, former := range t.former {
		seen.bytes.add(former.conn)
	}
	seen.former = slices.Clone(t.former)
	expired := false
	if agent != nil {
		seen.bytes.add(agent.conn)
		expired = agent.expired
	}
	t.life.mu.Unlock()
	// The state is closed a moment before there is a cause.
	if agent != nil && !expired && seen.state != ICETransportStateClosed && t.life.group.Cause() == nil {
		seen.agent, seen.of = agent.Agent, agent
	}

	return seen
}

// newPairFromICE returns our form of the two candidates of an agent's pair.
func newPairFromICE(local, remote ice.Candidate) (*ICECandidatePair, error) {
	var ends [2]ICECandidate
	for i, candidate := range []ice.Candidate{local, remote} {
		var err error
		if ends[i], err = newICECandidateFromICE(candidate, "", 0); err != nil {
			return nil, err
		}
	}

	return NewICECandidatePair(&ends[0], &ends[1]), nil
}
