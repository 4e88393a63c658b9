// Package dcep encodes and decodes the messages of the data channel
// establishment protocol, and translates between their channel types and the
// two ways of limiting retransmission that the W3C's API has.
// https://www.rfc-editor.org/rfc/rfc8832
package dcep
