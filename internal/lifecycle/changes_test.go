package lifecycle

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChangesWakeEverybodyOnce(t *testing.T) {
	var c Changes
	c.Note() // nobody waits
	first := c.Next()
	require.Equal(t, first, c.Next(), "all wait for the same change")
	require.False(t, isClosed(first))
	c.Note()
	require.True(t, isClosed(first))
	require.False(t, isClosed(c.Next()), "the next change has not come")
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
