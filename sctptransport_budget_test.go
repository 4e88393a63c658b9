package webrtc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeQueue is an association with one channel, of messages of 100 bytes that
// cost 300.
type fakeQueue struct {
	budget  budget
	held    int // messages that the peer has not acknowledged
	entered int // those that the channel knows of
	looks   int
	told    int
}

func (q *fakeQueue) BufferedAmount() int { q.looks++; return 100 * q.held }

func (q *fakeQueue) settle() (empty bool) {
	q.budget.release(300 * int64(q.entered-q.held))
	q.entered = q.held

	return q.held == 0
}

func (q *fakeQueue) acknowledged() { q.told++ }

func (q *fakeQueue) send(waits bool) bool {
	if !q.budget.reserve(q, 300, waits) {
		return false
	}
	q.held++
	q.entered++
	q.budget.written.Add(100)

	return true
}

func fullQueue() *fakeQueue {
	q := &fakeQueue{}
	q.budget.limit = 160 * 300
	q.budget.join(q)
	for q.send(false) {
	}

	return q
}

// A sender that does not wait gets what has become free at once, one that waits
// when it is a sixteenth; nobody is told before that, and nothing is asked of
// the association below the limit.
func TestC1_BudgetSettles(t *testing.T) {
	q := fullQueue()
	require.Equal(t, 160, q.held)
	require.Equal(t, 1, q.looks, "each message asked the association")

	q.held--
	require.True(t, q.send(false))
	require.False(t, q.send(false))

	q.held -= 9
	require.False(t, q.send(true))
	q.budget.acknowledged(q)
	require.Zero(t, q.told, "nobody waits")
	q.budget.await(q)
	q.budget.acknowledged(q)
	require.Zero(t, q.told, "not a sixteenth")
	q.held--
	q.budget.acknowledged(q)
	require.Equal(t, 1, q.told)
	for range 10 {
		require.True(t, q.send(true))
	}
	require.False(t, q.send(true))
	q.budget.leave(q)
	q.held = 0
	q.budget.acknowledged(q)
	require.Equal(t, 1, q.told, "nobody waits any more")
}

// What is acknowledged may have cost less or more than the average, and the
// association may hold what is not ours: a guess is not taken for the truth for
// ever.
func TestC1_BudgetDoesNotGuessForEver(t *testing.T) {
	q := fullQueue()
	q.budget.settled.buffered += 1 << 20 // of long messages, not acknowledged
	q.held = 10
	foreign := &foreignQueue{q}
	q.budget.await(q)
	for range lazyLooks {
		q.budget.acknowledged(foreign)
	}
	require.NotZero(t, q.told)
}

// foreignQueue holds bytes of others.
type foreignQueue struct{ *fakeQueue }

func (q *foreignQueue) BufferedAmount() int { return 1<<20 + q.fakeQueue.BufferedAmount() }

// A channel that has ended leaves when what it had queued is acknowledged, at
// the next channel's coming at the latest.
func TestC1_EndedChannelLeavesTheBudget(t *testing.T) {
	q := fullQueue()
	q.budget.ended(q)
	next := &fakeQueue{}
	q.budget.join(next)
	require.Len(t, q.budget.outlets, 2)
	require.False(t, q.send(false))
	q.held = 0
	q.budget.join(next)
	require.Len(t, q.budget.outlets, 1)
	require.Zero(t, q.budget.queued.Load())
	q.budget.ended(q)
	require.Empty(t, q.budget.over)
}

// A message above the limit is taken when it is alone, from a sender that waits.
func TestC1_MessageAboveTheBudget(t *testing.T) {
	q := &fakeQueue{}
	q.budget.limit = 100
	require.False(t, q.send(false))
	require.True(t, q.send(true))
	require.False(t, q.send(true))
}
