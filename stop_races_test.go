package webrtc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A Stop between the refusals of a start and its taking of the gatherer: that
// stays the program's, and a second Stop waits for nothing.
func TestL9_StopBeforeTheGathererIsTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		api := NewAPI(WithSettingEngine(SettingEngine{LoggerFactory: quietLogs}))
		g, err := api.NewICEGatherer(ICEGatherOptions{})
		require.NoError(t, err)
		stopped := api.NewICETransport(nil)
		require.NoError(t, stopped.Stop())
		err = stopped.adopt("ice start", g)
		require.ErrorIs(t, err, ErrInvalidState)
		require.ErrorIs(t, err, ErrClosed)
		require.NoError(t, stopped.Stop())
		require.Equal(t, ICEGathererStateNew, g.State())

		other := api.NewICETransport(g)
		_, err = other.GetLocalParameters()
		require.NoError(t, err, "the gatherer is free for another transport")
		require.NoError(t, other.Stop())
		require.Equal(t, ICEGathererStateClosed, g.State())
	})
}

// A Stop between the agent's failing and what follows from that leaves no
// timer of the grace behind.
func TestL1_StopWhileICEFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _, _ := virtualPairWith(t, SettingEngine{ICE: ICESettings{FailedGrace: time.Hour}}, SettingEngine{})
		require.NoError(t, a.ice.Stop())
		a.ice.giveUp()
		a.ice.life.mu.Lock()
		defer a.ice.life.mu.Unlock()
		require.Nil(t, a.ice.stopGrace)
	})
}
