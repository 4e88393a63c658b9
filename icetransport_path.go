package webrtc

import (
	"errors"

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
