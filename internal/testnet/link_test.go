package testnet

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Packets leave one after the other, each when the link has sent its bits, and
// arrive in order.
func TestBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100 // 128 bytes with headers: 1.024 ms at 1 Mbit/s
		n, a, b := pair(t, Delay(10*time.Millisecond), Bandwidth(1_000_000, 1<<20))
		began := time.Now()
		for i := range 5 {
			payload := append([]byte(fmt.Sprint(i)), bytes.Repeat([]byte{' '}, size-1)...)
			_, err := a.WriteTo(payload, b.LocalAddr())
			require.NoError(t, err)
		}
		assert.Equal(t, LinkStats{Queued: 5 * 128}, n.Link(0))
		buf := make([]byte, size)
		for i := range 5 {
			read, _, err := b.ReadFrom(buf)
			require.NoError(t, err)
			assert.Equal(t, size, read)
			assert.Equal(t, byte('0'+i), buf[0])
			assert.Equal(t, 10*time.Millisecond+time.Duration(i+1)*1024*time.Microsecond, time.Since(began))
		}
		// It was idle for a while; nothing is saved up for that.
		began = time.Now()
		_, err := a.WriteTo(make([]byte, size), b.LocalAddr())
		require.NoError(t, err)
		_, _, err = b.ReadFrom(buf)
		require.NoError(t, err)
		assert.Equal(t, 11024*time.Microsecond, time.Since(began))
		assert.Equal(t, LinkStats{Carried: 6 * 128}, n.Link(0))
		assert.Zero(t, n.Link(1), "the directions do not share")
	})
}

// The queue is bounded in bytes, and what does not fit is lost.
func TestBandwidthQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Bandwidth(1_000_000, 100))
		for i := range 5 { // 29 bytes each
			send(t, a, b, fmt.Sprint(i))
		}
		assert.Equal(t, 2, n.Link(0).Overflowed)
		assert.Equal(t, []string{"0", "1", "2"}, receive(t, b))
		send(t, a, b, "5")
		assert.Equal(t, []string{"5"}, receive(t, b))
		assert.Equal(t, LinkStats{Carried: 4 * 29, Overflowed: 2}, n.Link(0))
	})
}

// What the other options decide comes before the link.
func TestBandwidthAndFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, Bandwidth(1_000_000, 1<<20), Filter(func(_ int, payload []byte) Action {
			switch payload[0] {
			case 'd':
				return Action{Drop: true}
			case 'l':
				return Action{Delay: time.Millisecond}
			case 'c':
				return Action{Copies: 1}
			}

			return Action{}
		}))
		for _, text := range []string{"dropped", "late", "copied", "x"} {
			send(t, a, b, text)
		}
		assert.Equal(t, []string{"copied", "copied", "x", "late"}, receive(t, b))
		assert.Equal(t, 2*(6+28)+(4+28)+(1+28), n.Link(0).Carried)
	})
}

func TestNoBandwidthLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t)
		send(t, a, b, "x")
		assert.Equal(t, []string{"x"}, receive(t, b))
		assert.Zero(t, n.Link(0))
	})
}

// Packets that wait when the test ends are forgotten; the bubble would fail if
// something of them ran on.
func TestBandwidthEndsUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Bandwidth(1_000, 1<<20))
		for range 100 {
			send(t, a, b, "x")
		}
	})
}
