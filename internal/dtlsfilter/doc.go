// Package dtlsfilter stands between a path of datagrams and the DTLS module.
//
// RFC 6347 wants an invalid record dropped, whoever sent it, and the
// connection unharmed. https://www.rfc-editor.org/rfc/rfc6347#section-4.1.2.7
// The DTLS module does so for records that it cannot decrypt. Others end its
// handshake, fill its queues, or stand in the way of the genuine message of
// the same number, and before the handshake is over anybody who can send to
// our address can write them. A [Filter] keeps those away:
//
//   - During the handshake it passes well-formed records that belong to the
//     transcript, each where it can stand: the peer's messages, in their order,
//     not far ahead of the one that is due; ChangeCipherSpec; a fatal alert or
//     close_notify, which ends the handshake; protected records. A byte budget
//     bounds what the module can be made to store. Retransmissions of what it
//     has are free, so loss does not use the budget up.
//   - Application data that comes behind the peer's Finished before the module
//     has made anything of that waits for [Filter.Connected]: the module would
//     lose most of it.
//   - After [Filter.Connected] it passes protected records, and, rarely, the
//     plaintext retransmissions that tell the module that its last flight was
//     lost. Everything else is dropped and counted.
//   - Plaintext records get record numbers of ours. Nothing authenticates the
//     ones they came with, and a forged high number would move the module's
//     replay window past every genuine record.
//   - Errors of the path that pass by themselves are hidden, in both
//     directions; errors that do not are made ones that end the module's reader.
//   - [Filter.WriteAlert] tells the peer that a handshake is given up, which
//     the module does not do.
//
// It knows the full handshake of WebRTC's cipher suites, ECDHE with
// certificates, and neither pre-shared keys nor resumption.
//
// Connection ids (RFC 9146) are not in use, so records of that type are
// dropped. The filter has no goroutine and no timer, and it never closes the
// path.
package dtlsfilter
