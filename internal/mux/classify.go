package mux

// Class is the protocol that a packet belongs to.
type Class uint8

// The classes of RFC 7983. RTP and RTCP share the first byte's range and are
// told apart by the second.
const (
	// ClassUnknown is an empty packet, one too short to tell, or a first byte
	// that no protocol of RFC 7983 uses.
	ClassUnknown Class = iota
	// ClassSTUN is a STUN message. The ICE agent has taken its own already.
	ClassSTUN
	// ClassZRTP is a ZRTP message.
	ClassZRTP
	// ClassDTLS is a datagram of DTLS records.
	ClassDTLS
	// ClassTURNChannel is TURN ChannelData.
	ClassTURNChannel
	// ClassSRTP is an RTP packet, protected or not.
	ClassSRTP
	// ClassSRTCP is an RTCP packet, protected or not.
	ClassSRTCP

	classes
)

var classNames = [classes]string{
	ClassUnknown:     "unknown",
	ClassSTUN:        "STUN",
	ClassZRTP:        "ZRTP",
	ClassDTLS:        "DTLS",
	ClassTURNChannel: "TURN channel",
	ClassSRTP:        "SRTP",
	ClassSRTCP:       "SRTCP",
}

// String gives the protocol's name.
func (c Class) String() string {
	if c >= classes {
		c = ClassUnknown
	}

	return classNames[c]
}

// byFirstByte is the figure of RFC 7983 section 7, spread out so that a packet
// costs one load. Media stands as SRTP until the second byte was seen.
var byFirstByte = func() (table [256]Class) {
	for _, r := range []struct {
		first, last int
		class       Class
	}{
		{0, 3, ClassSTUN},
		{16, 19, ClassZRTP},
		{20, 63, ClassDTLS},
		{64, 79, ClassTURNChannel},
		{128, 191, ClassSRTP},
	} {
		for b := r.first; b <= r.last; b++ {
			table[b] = r.class
		}
	}

	return table
}()

// The second byte of an RTCP packet, its type, lies in this range. RTP packets
// that are sent beside RTCP avoid it.
// https://www.rfc-editor.org/rfc/rfc5761#section-4
const (
	firstRTCPType = 192
	lastRTCPType  = 223
)

// Classify tells the protocol of a packet. It neither keeps nor changes it.
func Classify(packet []byte) Class {
	if len(packet) == 0 {
		return ClassUnknown
	}
	class := byFirstByte[packet[0]]
	if class != ClassSRTP {
		return class
	}
	if len(packet) < 2 {
		return ClassUnknown
	}
	if t := packet[1]; t >= firstRTCPType && t <= lastRTCPType {
		return ClassSRTCP
	}

	return ClassSRTP
}
