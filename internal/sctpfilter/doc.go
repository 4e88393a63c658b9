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
//   - a packet of another association, or one that would derail the handshake,
//     is dropped and counted;
//   - the reason of the end is told: io.EOF after a graceful one, an [Abort]
//     with its causes after an ABORT, the error of the connection below.
//
// A Filter starts no goroutine and takes no lock per packet.
package sctpfilter
