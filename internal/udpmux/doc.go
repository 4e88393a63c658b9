// Package udpmux shares UDP sockets between ICE sessions.
//
// A session is what one ICE agent has here, and is known by its ufrag. Packets
// find it in three ways:
//
//   - a check (a STUN binding request) by the first half of its USERNAME, which
//     is the ufrag of whom it is for;
//   - the answer to a check by the transaction that a session has sent to the
//     address that it comes from;
//   - everything else by the address that it comes from, if a session has a
//     claim to it.
//
// What finds no session is dropped and counted, and leaves nothing behind.
//
// # Addresses
//
// Anybody can write a check for any ufrag and from any address, and the mux
// has no password to look through that. But the agent has, and its own packets
// pass by here. Three of them, or of the peer's, are evidence that an address
// belongs to a session:
//
//   - answered: the agent has sent a success response to a check that had come
//     from there, which it does only if the check had the right password;
//   - heard: a success response has come from there to a check that the agent
//     had sent there. Nobody can know its transaction but who has received it;
//   - used: the agent has nominated the address, or sent data to it, which it
//     does only on a pair that an answer has shown to work.
//
// The first or the last gives the session the address if no session has it. To
// take it from another session, heard is needed as well: a check that is valid
// for one session, but whose source is forged, must not take away what belongs
// to another. A lite agent sends no checks; for its sessions answered is all
// that there can be.
//
// The session that was authenticated last gets the data of an address. Those
// before it keep their claims, and the last of them takes over when it ends:
// during a restart of ICE the same peer is at the same address for two
// sessions, and either may be the one that stays.
//
// # Bounds
//
// A session of which no check has been answered yet keeps 16 packets, of which
// the newest stay. Others have a queue with a limit of packets and bytes, of
// which data leaves some room for checks. The addresses and the transactions
// of a session are limited too, so that ending one takes the same time
// whatever else the mux holds.
package udpmux
