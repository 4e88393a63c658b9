// Package srtpsession protects the RTP and RTCP packets that leave, and opens
// those that arrive, with the keys of one DTLS handshake.
// https://www.rfc-editor.org/rfc/rfc3711
// https://www.rfc-editor.org/rfc/rfc5764
//
// It has no goroutine. What arrives is opened on the goroutine that reads the
// path, and put into the queue of its stream; whoever wants the packets takes
// them there. A queue that nobody reads loses its oldest packets, so that the
// path is never held up, and all queues of a session share one budget of
// bytes. A few packets that come before the keys wait for them.
//
// An SSRC has state only after a packet of it was authentic, and those that
// nobody has asked for are limited in number: the module keeps the state of each
// for as long as the session lives.
package srtpsession
