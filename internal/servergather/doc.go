// Package servergather asks STUN and TURN servers for addresses: over UDP, TCP,
// TLS and DTLS, each question under a context that ends it at once, name lookup
// and dialling included.
//
//   - [Client.Reflexive] asks a server for the address that it sees, and returns
//     the socket that it has asked from.
//   - [Client.Allocate] has a server relay packets, and returns a [Relay]: a
//     net.PacketConn whose writes never wait for the server.
//
// It knows nothing of ICE. What runs beside its callers are tasks of the
// [Client]'s group.
package servergather
