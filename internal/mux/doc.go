// Package mux tells apart the protocols that share one ICE component by the
// first byte of each packet.
// https://www.rfc-editor.org/rfc/rfc7983#section-7
//
// It has no goroutine and no queue. Whoever wants the next DTLS datagram pulls
// it from the path with [Mux.ReadDTLS], and packets of other protocols that lie
// in front of it are dealt with on the way, in the order of their arrival:
// media goes to the handler, the rest is dropped and counted. So a connection
// that carries data alone costs nothing here, and what a peer can make us keep
// is bounded by the path's own receive buffer.
package mux
