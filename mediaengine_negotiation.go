package webrtc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/pion/interceptor"

	"github.com/ctxrtc/webrtc/internal/fmtp"
)

// What two sides have in common, made of what each of them says: functions of
// values alone, so that nothing of an older negotiation is left in a newer one.

// matching is how well two codecs fit.
type matching int

const (
	matchNone    matching = 0
	matchPartial matching = 1 // the same codec with other parameters
	matchExact   matching = 2
)

// findCodec returns the place in codecs of the one that fits wanted best, the
// first of equals; -1 with matchNone.
func findCodec(wanted RTPCodecCapability, codecs []RTPCodecParameters) (int, matching) {
	best, how := -1, matchNone
	for i, c := range codecs {
		switch {
		case !sameCodec(wanted, c.RTPCodecCapability):
		case fmtp.Match(c.MimeType, wanted.SDPFmtpLine, c.SDPFmtpLine):
			return i, matchExact
		case how == matchNone:
			best, how = i, matchPartial
		}
	}

	return best, how
}

// matched is a codec that both sides have.
type matched struct {
	RTPCodecParameters

	ours int // its place in our list
	how  matching
}

// matchCodecs are the codecs of theirs that ours has too, in their order and
// with their payload types and parameters: what an answer to theirs says, and
// what an answer that is theirs leaves of our offer. Feedback is what both have.
// If any codec fits with its parameters, those that fit without are left out: of
// the same codec in many profiles, the one that we have is meant. Formats that
// only serve others stay beside one that carries media, and retransmissions
// where both sides have them for that codec.
func matchCodecs(ours, theirs []RTPCodecParameters) []RTPCodecParameters {
	return parametersOf(match(ours, theirs))
}

// matchCodecsAsPreferred is matchCodecs in the order of ours: a program that has
// told its preferences decides over the offerer's.
func matchCodecsAsPreferred(ours, theirs []RTPCodecParameters) []RTPCodecParameters {
	both := match(ours, theirs)
	slices.SortStableFunc(both, func(a, b matched) int { return cmp.Compare(a.ours, b.ours) })

	return parametersOf(both)
}

func parametersOf(codecs []matched) []RTPCodecParameters {
	out := make([]RTPCodecParameters, 0, len(codecs))
	for _, c := range codecs {
		out = append(out, c.RTPCodecParameters)
	}

	return out
}

func match(ours, theirs []RTPCodecParameters) []matched {
	theirs = firstOfEach(theirs)
	best := matchNone // of those that carry media
	found := map[PayloadType]matched{}
	for _, c := range theirs {
		i, how := findCodec(c.RTPCodecCapability, ours)
		if how == matchNone || c.rtx() {
			continue
		}
		found[c.PayloadType] = matched{shared(ours[i], c), i, how}
		if !c.auxiliary() {
			best = max(best, how)
		}
	}
	if best == matchNone {
		return nil
	}
	for payload, m := range found {
		if !m.auxiliary() && m.how < best {
			delete(found, payload)
		}
	}
	var both []matched
	for _, c := range theirs {
		if m, ok := found[c.PayloadType]; ok {
			both = append(both, m)
		}
		if primary, ok := primaryOf(c); ok && found[primary].how != matchNone {
			if i := rtxFor(ours[found[primary].ours].PayloadType, ours); i >= 0 {
				both = append(both, matched{shared(ours[i], c), i, best})
			}
		}
	}

	return both
}

// firstOfEach drops what has the payload type of one before it, or none that
// packets could carry.
func firstOfEach(codecs []RTPCodecParameters) []RTPCodecParameters {
	seen := map[PayloadType]bool{}

	return slices.DeleteFunc(slices.Clone(codecs), func(c RTPCodecParameters) bool {
		again := seen[c.PayloadType] || c.PayloadType.validate() != nil
		seen[c.PayloadType] = true

		return again
	})
}

// shared is a codec of theirs that is ours as well: spelled as our program
// spells it, since it may compare the texts, and with the feedback of both.
func shared(ours, theirs RTPCodecParameters) RTPCodecParameters {
	theirs.MimeType = ours.MimeType
	theirs.ClockRate = cmp.Or(theirs.ClockRate, ours.ClockRate)
	theirs.Channels = cmp.Or(theirs.Channels, ours.Channels)
	theirs.RTCPFeedback = sharedFeedback(ours.RTCPFeedback, theirs.RTCPFeedback)

	return theirs
}

// sharedFeedback is what a and b both have, in the order of a.
func sharedFeedback(a, b []RTCPFeedback) []RTCPFeedback {
	var both []RTCPFeedback
	for _, f := range a {
		if slices.ContainsFunc(b, f.is) && !slices.ContainsFunc(both, f.is) {
			both = append(both, f)
		}
	}

	return both
}

// apt is the parameter of a format of retransmissions that names the payload
// type whose packets it repeats. https://www.rfc-editor.org/rfc/rfc4588#section-8.1
const apt = "apt"

func aptLine(of PayloadType) string { return apt + "=" + strconv.Itoa(int(of)) }

// primaryOf is the payload type whose packets c sends again, false if c does no
// such thing, or says it in a way that cannot be understood.
func primaryOf(c RTPCodecParameters) (PayloadType, bool) {
	if !c.rtx() {
		return 0, false
	}
	n, err := strconv.ParseUint(fmtp.Parse(c.SDPFmtpLine)[apt], 10, 8)
	if err != nil || n > maxPayloadType {
		return 0, false
	}

	return PayloadType(n), true
}

// rtxFor is the place in codecs of the retransmissions of a payload type, -1 if
// it has none.
func rtxFor(payload PayloadType, codecs []RTPCodecParameters) int {
	return slices.IndexFunc(codecs, func(c RTPCodecParameters) bool {
		primary, ok := primaryOf(c)

		return ok && primary == payload
	})
}

// rtxPayloadType is the payload type of the retransmissions of another, false if
// there are none.
func rtxPayloadType(payload PayloadType, codecs []RTPCodecParameters) (PayloadType, bool) {
	if i := rtxFor(payload, codecs); i >= 0 {
		return codecs[i].PayloadType, true
	}

	return 0, false
}

// fecPayloadType is the payload type of the packets that repair a stream with
// another SSRC, false if there are none.
func fecPayloadType(codecs []RTPCodecParameters) (PayloadType, bool) {
	i := slices.IndexFunc(codecs, func(c RTPCodecParameters) bool { return c.flexFEC() })
	if i < 0 {
		return 0, false
	}

	return codecs[i].PayloadType, true
}

// codecOf is the codec that a payload type stands for.
func codecOf(payload PayloadType, codecs []RTPCodecParameters) (RTPCodecParameters, bool) {
	i := slices.IndexFunc(codecs, func(c RTPCodecParameters) bool { return c.PayloadType == payload })
	if i < 0 {
		return RTPCodecParameters{}, false
	}

	return codecs[i], true
}

// withPrimaries drops retransmissions of codecs that are not there. The slice
// may be changed.
func withPrimaries(codecs []RTPCodecParameters) []RTPCodecParameters {
	there := map[PayloadType]bool{}
	for _, c := range codecs {
		there[c.PayloadType] = there[c.PayloadType] || !c.rtx()
	}

	return slices.DeleteFunc(codecs, func(c RTPCodecParameters) bool {
		primary, ok := primaryOf(c)

		return c.rtx() && (!ok || !there[primary])
	})
}

// codecPreferences are the codecs that a transceiver uses once a program has
// told which it prefers: those, in their order. A payload type of zero is the
// registered one. None at all is all that are registered.
// https://www.w3.org/TR/webrtc/#dom-rtcrtptransceiver-setcodecpreferences
func codecPreferences(preferred, registered []RTPCodecParameters) ([]RTPCodecParameters, error) {
	if len(preferred) == 0 {
		return withPrimaries(cloneCodecs(registered)), nil
	}
	var codecs []RTPCodecParameters
	for _, c := range preferred {
		i, how := findCodec(c.RTPCodecCapability, registered)
		if how == matchNone {
			return nil, fmt.Errorf("%w: %w: %s", ErrInvalidArgument, ErrUnsupportedCodec, clip(c.MimeType))
		}
		c.PayloadType = cmp.Or(c.PayloadType, registered[i].PayloadType)
		c.RTCPFeedback = sharedFeedback(c.RTCPFeedback, registered[i].RTCPFeedback)
		c.ClockRate = cmp.Or(c.ClockRate, registered[i].ClockRate)
		if other, ok := codecOf(c.PayloadType, codecs); !ok {
			codecs = append(codecs, c)
		} else if !sameCodec(other.RTPCodecCapability, c.RTPCodecCapability) {
			return nil, fmt.Errorf("%w: payload type %d stands for %s and %s",
				ErrInvalidArgument, c.PayloadType, other.MimeType, c.MimeType)
		}
	}
	codecs = withPrimaries(codecs)
	if !slices.ContainsFunc(codecs, func(c RTPCodecParameters) bool { return !c.auxiliary() }) {
		return nil, fmt.Errorf("%w: no codec that carries media", ErrInvalidArgument)
	}
	for _, c := range codecs {
		if err := c.validate(c.kind()); err != nil {
			return nil, err
		}
	}

	return codecs, nil
}

// codecsToOffer are our codecs with payload types that stand for nothing else in
// the session: agreed are those that earlier negotiations or other sections
// have given their numbers. What was agreed on keeps its number, and ours keep
// theirs where that is free. A codec for which no number is left is not offered.
// https://www.rfc-editor.org/rfc/rfc9429#section-5.2.2
func codecsToOffer(ours, agreed []RTPCodecParameters) []RTPCodecParameters {
	taken := map[PayloadType]bool{}
	for _, c := range agreed {
		taken[c.PayloadType] = true
	}
	numbers := map[PayloadType]PayloadType{} // of ours, what they become
	used := map[PayloadType]bool{}
	take := func(codecs []RTPCodecParameters, number func(c RTPCodecParameters) (PayloadType, bool)) {
		for _, c := range codecs {
			if _, done := numbers[c.PayloadType]; done {
				continue
			}
			if n, ok := number(c); ok && !used[n] {
				numbers[c.PayloadType], used[n] = n, true
			}
		}
	}
	kept := func(c RTPCodecParameters) (PayloadType, bool) {
		if primary, ok := primaryOf(c); ok {
			now, done := numbers[primary]
			if !done {
				return 0, false
			}

			return rtxPayloadType(now, agreed)
		}
		if i, how := findCodec(c.RTPCodecCapability, agreed); how == matchExact {
			return agreed[i].PayloadType, true
		}

		return 0, false
	}
	take(ours, kept)
	take(ours, kept) // retransmissions that are listed before their codec
	take(ours, func(c RTPCodecParameters) (PayloadType, bool) { return c.PayloadType, !taken[c.PayloadType] })
	take(ours, func(RTPCodecParameters) (PayloadType, bool) {
		return freePayloadType(func(n PayloadType) bool { return taken[n] || used[n] })
	})
	var codecs []RTPCodecParameters
	for _, c := range ours {
		n, ok := numbers[c.PayloadType]
		if !ok {
			continue
		}
		c.PayloadType = n
		if primary, ok := primaryOf(c); ok {
			now, there := numbers[primary]
			if !there {
				continue
			}
			c.SDPFmtpLine = aptLine(now)
		}
		codecs = append(codecs, c)
	}

	return codecs
}

// freePayloadType looks in the ranges for numbers without a fixed meaning, the
// usual one first. Those from 64 to 95 look like RTCP where both share a port.
// https://www.rfc-editor.org/rfc/rfc5761#section-4
func freePayloadType(taken func(PayloadType) bool) (PayloadType, bool) {
	for _, numbers := range [][2]PayloadType{{96, maxPayloadType}, {35, 63}} {
		for n := numbers[0]; n <= numbers[1]; n++ {
			if !taken(n) {
				return n, true
			}
		}
	}

	return 0, false
}

// matchExtensions are the extensions of theirs that ours has too, with their
// ids. Of several ids for one URI, or URIs for one id, the first counts.
func matchExtensions(ours []string, theirs []RTPHeaderExtensionParameter) []RTPHeaderExtensionParameter {
	var both []RTPHeaderExtensionParameter
	for _, e := range theirs {
		if slices.Contains(ours, e.URI) && e.validate() == nil && !slices.ContainsFunc(both, e.clashes) {
			both = append(both, e)
		}
	}

	return both
}

// clashes tells whether e and other cannot both be used.
func (p RTPHeaderExtensionParameter) clashes(other RTPHeaderExtensionParameter) bool {
	return p.ID == other.ID || p.URI == other.URI
}

// extensionsToOffer gives each URI an id. What is in use in the session keeps
// its own, in this section or another one; the rest get the lowest that are
// free, those that fit into a header of one byte first. A URI for which none is
// left is not offered. https://www.rfc-editor.org/rfc/rfc8285#section-6
func extensionsToOffer(uris []string, inUse []RTPHeaderExtensionParameter) []RTPHeaderExtensionParameter {
	ids := map[string]int{}
	taken := map[int]bool{0: true, reservedExtensionID: true}
	for _, e := range inUse {
		taken[e.ID] = true
		if _, known := ids[e.URI]; !known {
			ids[e.URI] = e.ID
		}
	}
	var offered []RTPHeaderExtensionParameter
	next := minExtensionID
	for _, uri := range uris {
		if slices.ContainsFunc(offered, func(e RTPHeaderExtensionParameter) bool { return e.URI == uri }) {
			continue
		}
		id, known := ids[uri]
		if !known {
			for taken[next] {
				next++
			}
			if id = next; id > maxTwoByteExtensionID {
				continue
			}
			taken[id] = true
		}
		offered = append(offered, RTPHeaderExtensionParameter{URI: uri, ID: id})
	}

	return offered
}

// mediaParameters are those of a side that has negotiated nothing: all that it has.
func mediaParameters(m *MediaEngine, kind RTPCodecType, direction RTPTransceiverDirection) RTPParameters {
	return RTPParameters{
		Codecs:           withPrimaries(m.codecsFor(kind)),
		HeaderExtensions: extensionsToOffer(m.extensionsFor(kind, direction), nil),
	}
}

// streamInfo is what interceptors are told of a stream: how it is encoded, and
// what the two sides agreed on for it. codec is one of p.Codecs; what serves it
// is looked for in those.
func streamInfo(id string, e RTPCodingParameters, codec RTPCodecParameters, p RTPParameters) *interceptor.StreamInfo {
	info := &interceptor.StreamInfo{
		ID:          id,
		Attributes:  interceptor.Attributes{},
		SSRC:        uint32(e.SSRC),
		PayloadType: uint8(codec.PayloadType),
		MimeType:    codec.MimeType,
		ClockRate:   codec.ClockRate,
		Channels:    codec.Channels,
		SDPFmtpLine: codec.SDPFmtpLine,
	}
	// A stream that repairs needs both an SSRC and a payload type.
	if payload, ok := rtxPayloadType(codec.PayloadType, p.Codecs); ok && e.RTX.SSRC != 0 {
		info.SSRCRetransmission, info.PayloadTypeRetransmission = uint32(e.RTX.SSRC), uint8(payload)
	}
	if payload, ok := fecPayloadType(p.Codecs); ok && e.FEC.SSRC != 0 {
		info.SSRCForwardErrorCorrection, info.PayloadTypeForwardErrorCorrection = uint32(e.FEC.SSRC), uint8(payload)
	}
	for _, h := range p.HeaderExtensions {
		info.RTPHeaderExtensions = append(info.RTPHeaderExtensions, interceptor.RTPHeaderExtension{URI: h.URI, ID: h.ID})
	}
	for _, f := range codec.RTCPFeedback {
		info.RTCPFeedback = append(info.RTCPFeedback, interceptor.RTCPFeedback{Type: f.Type, Parameter: f.Parameter})
	}

	return info
}
