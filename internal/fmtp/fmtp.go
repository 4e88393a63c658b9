// Package fmtp compares codecs as two sides describe them: by the parameters of
// their a=fmtp lines, clock rates and channels. It takes any text, since lines
// come from the peer, and fails for none.
package fmtp

import (
	"encoding/hex"
	"strings"
)

// maxParameters is how many parameters of a line count. The longest lines that
// are in use have a dozen.
const maxParameters = 64

// Parameters are those of one line. Names are in lower case.
type Parameters map[string]string

// Parse reads "a=1; b=2". A parameter that has no "=" has an empty value, and of
// two of the same name the last counts.
func Parse(line string) Parameters {
	p := Parameters{}
	for part := range strings.SplitSeq(line, ";") {
		name, value, _ := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue
		}
		if _, again := p[name]; !again && len(p) == maxParameters {
			return p
		}
		p[name] = strings.TrimSpace(value)
	}

	return p
}

// or is the value of a parameter, or what its absence means.
func (p Parameters) or(name, absent string) string {
	if value, ok := p[name]; ok {
		return value
	}

	return absent
}

// Match tells whether two lines describe the same format of the codec mimeType:
// what the one side sends under it, the other can read. Levels, and all else
// that only bounds what a receiver wants, do not count.
func Match(mimeType, a, b string) bool {
	one, other := Parse(a), Parse(b)
	same := func(name, absent string) bool { return strings.EqualFold(one.or(name, absent), other.or(name, absent)) }
	switch strings.ToLower(mimeType) {
	case "video/h264":
		return matchH264(one, other)
	case "video/h265":
		// https://www.rfc-editor.org/rfc/rfc7798#section-7.1
		return same("profile-id", "1") && same("tier-flag", "0") && same("tx-mode", "SRST")
	case "video/vp9":
		// https://www.rfc-editor.org/rfc/rfc9628#section-6.1
		return same("profile-id", "0")
	case "video/av1":
		// level-idx and tier are what the receiver can decode, for each
		// direction by itself: one that decodes less is no other format.
		// https://aomediacodec.github.io/av1-rtp-spec/#72-sdp-parameters
		return same("profile", "0")
	default:
		return agree(one, other)
	}
}

// agree tells whether no parameter has two values. One that a side leaves out is
// as the other side has it: what an absent one means is not known here.
func agree(one, other Parameters) bool {
	for name, value := range one {
		if theirs, both := other[name]; both && !strings.EqualFold(value, theirs) {
			return false
		}
	}

	return true
}

// matchH264 compares the packetization and the profile, which both directions
// share; the level each side has for itself. A side that leaves one out is
// matched only by one that does so too: programs that register the bare codec
// mean any format, not the one that the RFC infers, and get it when nothing
// fits better.
// https://www.rfc-editor.org/rfc/rfc6184#section-8.2.2
func matchH264(one, other Parameters) bool {
	return both(one, other, "packetization-mode", func(a, b string) bool { return a == b }) &&
		both(one, other, "profile-level-id", sameH264Profile)
}

// both compares a parameter that either none of the two has or each.
func both(one, other Parameters, name string, equal func(a, b string) bool) bool {
	a, has := one[name]
	b, had := other[name]

	return has == had && (!has || equal(a, b))
}

func sameH264Profile(a, b string) bool {
	one, known := h264Profile(a)
	other, knew := h264Profile(b)
	if !known || !knew {
		return strings.EqualFold(a, b)
	}

	return one == other
}

// h264Profiles are the values of profile_idc and of the bits of profile-iop
// under the mask that mean a profile which others mean as well.
// https://www.rfc-editor.org/rfc/rfc6184#section-8.1
var h264Profiles = []struct {
	idc, mask, bits byte
	profile         [2]byte // the one that stands for all of them
}{
	{0x42, 0x4f, 0x40, constrainedBaseline},
	{0x4d, 0x8f, 0x80, constrainedBaseline},
	{0x58, 0xcf, 0xc0, constrainedBaseline},
	{0x42, 0x4f, 0x00, baseline},
	{0x58, 0xcf, 0x80, baseline},
	{0x4d, 0xaf, 0x00, [2]byte{0x4d, 0x00}},
	{0x58, 0xcf, 0x00, [2]byte{0x58, 0x00}},
}

var (
	baseline            = [2]byte{0x42, 0x00}
	constrainedBaseline = [2]byte{0x42, 0xe0}
)

// h264Profile takes a profile-level-id apart and leaves the level out.
func h264Profile(id string) (profile [2]byte, ok bool) {
	const digits = 6
	if len(id) != digits {
		return profile, false
	}
	raw, err := hex.DecodeString(id)
	if err != nil {
		return profile, false
	}
	for _, p := range h264Profiles {
		if raw[0] == p.idc && raw[1]&p.mask == p.bits {
			return p.profile, true
		}
	}

	return [2]byte{raw[0], raw[1]}, true
}

// usual is what a codec has where a program or peer says nothing.
var usual = map[string]struct {
	clockRate uint32
	channels  uint16
}{
	"audio/opus": {48000, 2},
	"audio/g722": {8000, 1}, // though it samples twice as often: RFC 3551, 4.5.2
	"audio/pcmu": {8000, 1},
	"audio/pcma": {8000, 1},
}

// ClockRate returns rate, or, if it is 0, the one that the codec always has: 0
// if it has several. All video has 90000.
func ClockRate(mimeType string, rate uint32) uint32 {
	const video = 90000
	name := strings.ToLower(mimeType)
	switch {
	case rate != 0:
		return rate
	case strings.HasPrefix(name, "video/"):
		return video
	default:
		return usual[name].clockRate
	}
}

// Channels returns channels, or, if it is 0, the number that the codec has when
// none is told. https://www.rfc-editor.org/rfc/rfc8866#section-6.6
func Channels(mimeType string, channels uint16) uint16 {
	if channels != 0 {
		return channels
	}

	return max(usual[strings.ToLower(mimeType)].channels, 1)
}
