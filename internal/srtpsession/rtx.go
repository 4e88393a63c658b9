package srtpsession

import "encoding/binary"

// Original turns a packet of a stream that repairs another into the one that it
// repeats, in place: that one's SSRC, payload type and number, without the two
// bytes in front of its payload. It returns false if nothing is in it, as in those
// that a sender probes the path with.
// https://www.rfc-editor.org/rfc/rfc4588#section-4
func Original(packet []byte, ssrc uint32, payloadType uint8) (original []byte, ok bool) {
	if len(packet) < rtpHeader {
		return nil, false
	}
	start := rtpHeader + 4*int(packet[0]&0x0f)
	if packet[0]&0x10 != 0 { // a header extension
		if len(packet) < start+4 {
			return nil, false
		}
		start += 4 + 4*int(binary.BigEndian.Uint16(packet[start+2:]))
	}
	end := len(packet)
	if packet[0]&0x20 != 0 { // padding, its last byte tells how much
		end -= int(packet[end-1])
	}
	const number = 2 // bytes
	if end < start+number {
		return nil, false
	}
	packet[1] = packet[1]&0x80 | payloadType&0x7f
	copy(packet[2:4], packet[start:])
	binary.BigEndian.PutUint32(packet[8:], ssrc)
	copy(packet[start:], packet[start+number:])

	return packet[:len(packet)-number], true
}
