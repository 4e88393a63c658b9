package webrtc

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pion/ice/v4"

	"github.com/ctxrtc/webrtc/internal/mux"
)

// What the layer above needs of the transport.

// claim gives the path to a layer above, once, while it leads somewhere.
func (t *ICETransport) claim(op string) error {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	switch t.life.state {
	case ICETransportStateChecking, ICETransportStateConnected,
		ICETransportStateCompleted, ICETransportStateDisconnected:
	case ICETransportStateNew, ICETransportStateFailed, ICETransportStateClosed, ICETransportStateUnknown:
		return refuse(op, ErrInvalidState, "ICE transport is %s: %w", t.life.state, t.life.causeOr(errNotStarted))
	}
	if t.claimed {
		return refuse(op, ErrInvalidState, "the ICE transport carries another DTLS transport")
	}
	t.claimed = true

	return nil
}

// disclaim takes a claim back.
func (t *ICETransport) disclaim() {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	t.claimed = false
}

// path is where packets go, from the first valid pair on.
func (t *ICETransport) path() *mux.Mux {
	t.life.mu.Lock()
	defer t.life.mu.Unlock()

	return t.mux
}

var errNotStarted = errors.New("it is not started")

// A pair is valid when its check has been answered, and packets can go over it
// then, long before it is nominated if it has no host candidate. The agent
// tells nobody, so it is asked while a start waits.
// https://www.rfc-editor.org/rfc/rfc8445#section-12.1
const (
	// The time between two looks at the pairs grows with the time for which
	// the peer has been silent, so that what it adds is a small share of the
	// time that the path itself takes.
	shareOfLook = 32
	leastLook   = time.Millisecond
	longestLook = 50 * time.Millisecond
)

// awaitNomination waits until the agent has nominated a pair or failed, and
// looks for the first valid pair meanwhile. It runs on the goroutine of the
// start, which is the only one that may wait for the agent's loop: closing the
// agent, as the end of the start's context does, ends that wait too.
func (t *ICETransport) awaitNomination(ctx context.Context, op string) (ICETransportState, error) {
	t.life.mu.Lock()
	conn := t.agent.conn
	t.heard = time.Now()
	t.life.mu.Unlock()
	for {
		t.life.mu.Lock()
		isReady, silent := t.isReady, time.Since(t.heard)
		t.life.mu.Unlock()
		if isReady || ctx.Err() != nil {
			return t.life.await(ctx, op, ICETransportStateConnected, ICETransportStateFailed)
		}
		look, cancel := context.WithTimeout(ctx, min(max(silent/shareOfLook, leastLook), longestLook))
		state, err := t.life.await(look, op, ICETransportStateConnected, ICETransportStateFailed)
		cancel()
		switch {
		case err == nil:
			return state, nil
		case t.life.group.Cause() != nil: // err may tell of the look's end, in the same instant
			return state, t.life.cause(op)
		}
		if hasValidPair(conn) {
			t.life.mu.Lock()
			t.readyLocked()
			t.life.mu.Unlock()
		}
	}
}

func hasValidPair(conn *ice.Conn) bool {
	return slices.ContainsFunc(conn.GetCandidatePairsInfo(), func(pair ice.CandidatePairInfo) bool {
		return pair.State == ice.CandidatePairStateSucceeded
	})
}
