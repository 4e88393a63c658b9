// Package scheduler shares an SCTP association between its streams by weight.
//
// The weighted fair queueing of pion/sctp takes its weights when the
// association is made; channels come later and say their priority then. A
// [Scheduler] holds weights that can be set at any time, and gives associations
// a queue that obeys them.
//
// It also bounds the messages of several chunks that are in progress at a time:
// interleaved without a limit, they would fill the peer's window with their
// beginnings, and none could end. Chunks do not show where a message ends, so
// whoever writes one announces its size; see [Scheduler.Write].
//
// An association uses it only while messages are interleaved (RFC 8260).
// Without that, pion/sctp sends whole messages in the order of writing,
// unordered ones first, and no weight has an effect.
package scheduler
