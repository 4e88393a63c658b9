// Package scheduler shares an SCTP association between its streams by weight.
//
// The weighted fair queueing of pion/sctp takes its weights when the
// association is made; channels come later and say their priority then. A
// [Scheduler] holds weights that can be set at any time, and gives associations
// a queue that obeys them.
//
// An association uses it only while messages are interleaved (RFC 8260).
// Without that, pion/sctp sends whole messages in the order of writing,
// unordered ones first, and no weight has an effect.
package scheduler
