package webrtc

import (
	"encoding/binary"
	"math/rand/v2"
)

// vp8Payloader cuts VP8 frames into packets that number them, always in 15 bits.
// libwebrtc takes the number for what ties a frame to the one before it. The
// payloader of pion/rtp v1.10.5 leaves out the number zero, which the first frame
// has and every 32768th: browsers show nothing then until the next key frame.
// https://www.rfc-editor.org/rfc/rfc7741#section-4.2
type vp8Payloader struct{ picture uint16 }

const (
	vp8Descriptor = 4 // bytes, before the part of the frame

	vp8Extended  = 0x80 // X, of the first byte
	vp8Begins    = 0x10 // S, of the first byte
	vp8Numbered  = 0x80 // I, of the second byte
	vp8LongNo    = 0x8000
	vp8LargestNo = 0x7fff
)

// newVP8Payloader begins with any number, as the text allows.
func newVP8Payloader() *vp8Payloader {
	return &vp8Payloader{picture: uint16(rand.Uint32N(vp8LargestNo + 1))}
}

// Payload cuts a frame.
func (p *vp8Payloader) Payload(mtu uint16, frame []byte) (packets [][]byte) {
	size := int(mtu) - vp8Descriptor
	if size <= 0 || len(frame) == 0 {
		return nil
	}
	packets = make([][]byte, 0, (len(frame)+size-1)/size)
	for first := byte(vp8Begins); len(frame) > 0; first = 0 {
		n := min(size, len(frame))
		packet := make([]byte, vp8Descriptor, vp8Descriptor+n)
		packet[0], packet[1] = vp8Extended|first, vp8Numbered
		binary.BigEndian.PutUint16(packet[2:], vp8LongNo|p.picture)
		packets = append(packets, append(packet, frame[:n]...))
		frame = frame[n:]
	}
	p.picture = (p.picture + 1) & vp8LargestNo

	return packets
}
