package sctpfilter

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The SHUTDOWN COMPLETE is lost, and its sender has gone: the other side ends
// by itself, after its SHUTDOWN ACK was not answered for long enough.
func TestLostShutdownComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t)
		_, in := streams(t, a, b)
		a.pipe.OnWrite(func(p []byte) bool { return p[commonHeaderLen] == chunkShutdownComplete })
		acks := 0
		b.pipe.OnWrite(func(p []byte) bool {
			if p[commonHeaderLen] == chunkShutdownAck {
				acks++
			}

			return false
		})
		began := time.Now()
		require.NoError(t, a.assoc.Shutdown(t.Context()))
		a.close()
		_, _, err := in.ReadSCTP(make([]byte, 64))
		assert.ErrorIs(t, err, io.EOF)
		assert.InDelta(t, 31, time.Since(began).Seconds(), 1)
		_, err = b.filter.Read(make([]byte, 64))
		assert.Equal(t, io.EOF, err)
		assert.True(t, b.filter.Graceful())
		sent := b.filter.Stats().PacketsSent
		require.NoError(t, b.filter.WriteAbort("late"))
		assert.Equal(t, sent, b.filter.Stats().PacketsSent, "no ABORT after a graceful end")
		b.close()
		assert.LessOrEqual(t, acks, maxShutdownAcks+1)
		a.pipe.OnWrite(nil)
		assertPipeOpen(t, a, b)
	})
}

// A peer that repeats its SHUTDOWN is there, and waits for the answer: those
// that it asks for do not count as repeated in vain.
func TestLostShutdownAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t)
		_, in := streams(t, a, b)
		began := time.Now()
		b.pipe.OnWrite(func(p []byte) bool {
			return p[commonHeaderLen] == chunkShutdownAck && time.Since(began) < 40*time.Second
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		require.NoError(t, a.assoc.Shutdown(ctx))
		assert.Greater(t, time.Since(began), 40*time.Second)
		_, _, err := in.ReadSCTP(make([]byte, 64))
		assert.ErrorIs(t, err, io.EOF)
		assert.False(t, b.filter.view.has(shutdownGivenUp))
		a.close()
		b.close()
	})
}
