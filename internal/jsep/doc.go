// Package jsep turns SDP into values, and values into SDP, as offer and answer
// of WebRTC have it (RFC 9429). Its functions are pure: no I/O, no state, and
// what they are given they do not change.
// https://www.rfc-editor.org/rfc/rfc9429
package jsep
