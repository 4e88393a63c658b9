package webrtc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A state that no transport enters is refused, and not waited for.
func TestAwaitStateRefusesWhatIsNoState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _, _ := virtualPair(t)
		_, err := a.ice.AwaitState(t.Context(), ICETransportStateClosed, ICETransportStateUnknown)
		require.ErrorIs(t, err, ErrInvalidArgument)
		_, err = a.dtls.AwaitState(t.Context(), DTLSTransportState(77))
		require.ErrorIs(t, err, ErrInvalidArgument)
		_, err = a.sctp.AwaitState(t.Context(), SCTPTransportStateUnknown)
		require.ErrorIs(t, err, ErrInvalidArgument)
		require.NoError(t, a.ice.Stop())
	})
}
