// Package sctpfilter stands between an SCTP association and the DTLS
// connection that carries it.
//
// The association of pion/sctp owns the net.Conn that it is given: it closes
// it, ends at the first error of a write, and believes every packet. A
// [Filter] is such a net.Conn and lends the DTLS connection only:
//
//   - closing it leaves DTLS open, and [Filter.Detach] hands the connection's
//     reading side to whoever comes next;
//   - an error of a write that may pass is hidden, retransmission mends it;
//   - a packet of another association, or one that would derail the handshake
//     or make the association abort itself, is dropped and counted;
//   - the reason of the end is told: io.EOF after a graceful one, an [Abort]
//     with its causes after an ABORT, the error of the connection below.
//
// It also looks after the data that comes in:
//
//   - a [Streams] is told which streams got data or are to be reset, on the
//     goroutine that calls Read, when the association has worked through the
//     packet;
//   - messages may not be larger, nor more of them unread, than the [Config]
//     says, and fragments that can never become a message do not pile up;
//   - what comes on a stream that nobody reads is acknowledged and ends up in
//     the stream [Sink].
//
// For that the filter does the association's book-keeping a second time: which
// TSNs have come, and which messages they make. Both must come to the same, so
// whatever the association would treat in a way of its own is not handed on.
//
// A Filter starts no goroutine, and takes one lock for a packet.
package sctpfilter
