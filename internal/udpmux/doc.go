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
// pass by here. These, and one of the peer's, are evidence that an address
// belongs to a session:
//
//   - answered: the agent has sent a success response to a check that had come
//     from there, which it does only if the check had the right password;
//   - nominated: the same, and the check had nominated its pair;
//   - used: the agent has nominated the address itself, or sent data to it,
//     which it does only on a pair that an answer has shown to work;
//   - heard: a success response has come from there to a check that the agent
//     had sent there. Nobody can know its transaction but who has received it.
//
// Each but the last gives the session the address if no session has it, and a
// place behind those that have. To take it from another session needs heard,
// and nominated or used. A check that is valid for one session, but whose source
// is forged, must not take away what belongs to another; and during a restart of
// ICE, when the same peer at the same address has two sessions, data has to go
// to the old one as long as both sides use that. An owner that was never heard
// gives way to any that was.
//
// A lite agent sends no checks that could be answered, and of one that is not
// ours nothing is known. For their sessions answered is enough.
//
// So the session that has taken an address last gets its data. Those before it
// keep their claims, and the last of them takes over when it ends: of the two
// sessions of a restart either may be the one that stays.
//
// # Bounds
//
// A session of which no check has been answered yet keeps 16 packets, of which
// the newest stay. Others have a queue with a limit of packets and bytes, of
// which data leaves some room for checks. The addresses and the transactions
// of a session are limited too, so that ending one takes the same time
// whatever else the mux holds.
package udpmux
