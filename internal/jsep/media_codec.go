package jsep

import (
	"slices"
	"strings"
)

const (
	// maxPayloadType is the highest that a packet has room for.
	// https://www.rfc-editor.org/rfc/rfc3550#section-5.1
	maxPayloadType = 127
	// maxClockRate is more than any codec has; half of what a timestamp can
	// count is gone in one second.
	maxClockRate = 1 << 31
	maxChannels  = 1<<16 - 1
)

// readCodec is what was read of a codec.
type readCodec struct {
	Codec
	mapped bool // an rtpmap was there
	fmtps  int  // lines that Fmtp comes from
}

// format finds what is known of the payload type that a line begins with, and
// the rest of the line.
func (r *rtpReader) format(a attribute) (codec *readCodec, rest string, err error) {
	text, rest := firstField(a.Value)
	number, err := parseNumber(text, maxPayloadType)
	if err != nil {
		return nil, "", a.fail(ErrSyntax, "the payload type: %w", err)
	}
	if r.formats[number] == 0 {
		r.codecs = append(r.codecs, readCodec{Codec: Codec{PayloadType: uint8(number)}})
		r.formats[number] = uint8(len(r.codecs)) // at most 128
	}

	return &r.codecs[r.formats[number]-1], rest, nil
}

// codec reads an rtpmap.
// https://www.rfc-editor.org/rfc/rfc8866#section-6.6
func (r *rtpReader) codec(a attribute) error {
	c, rest, err := r.format(a)
	if err != nil {
		return err
	}
	name, rest, _ := strings.Cut(rest, "/")
	if !isToken(name) {
		return a.fail(ErrSyntax, "a codec has a name and a clock rate")
	}
	rateText, channelsText, more := strings.Cut(rest, "/")
	rate, err := parseNumber(rateText, maxClockRate)
	if err == nil && rate == 0 {
		return a.fail(ErrSyntax, "the clock rate is 0")
	}
	if err != nil {
		return a.fail(ErrSyntax, "the clock rate: %w", err)
	}
	channels := uint64(0)
	if more {
		channels, err = parseNumber(channelsText, maxChannels)
		if err == nil && channels == 0 {
			return a.fail(ErrSyntax, "0 channels")
		}
		if err != nil {
			return a.fail(ErrSyntax, "the channels: %w", err)
		}
	}

	read := Codec{Name: name, ClockRate: uint32(rate), Channels: uint16(channels)}
	if c.mapped && !c.Same(read) {
		return a.fail(ErrContradiction, "%s before this one", clip(c.text()))
	}
	if !c.mapped {
		c.mapped, c.Name, c.ClockRate, c.Channels = true, read.Name, read.ClockRate, read.Channels
	}

	return nil
}

// fmtp reads the parameters of a format. One line is the rule; some servers
// write one for each parameter, and then they count together.
// https://www.rfc-editor.org/rfc/rfc8866#section-6.15
func (r *rtpReader) fmtp(a attribute) error {
	c, rest, err := r.format(a)
	switch {
	case err != nil:
		return err
	case rest == "":
		return a.fail(ErrSyntax, "no parameters")
	case c.Fmtp == "":
		c.Fmtp, c.fmtps = rest, 1
	case c.Fmtp == rest:
	case c.fmtps == MaxFmtp:
		return a.fail(ErrLimit, "more than %d lines of parameters of one format", MaxFmtp)
	// It has to be possible to write them in one line.
	case len(c.Fmtp)+len(";")+len(rest) > MaxAttributeLine-len("a=fmtp:127 "):
		return a.fail(ErrLimit, "more than %d bytes of parameters of one format", MaxAttributeLine)
	default:
		c.Fmtp += ";" + rest
		c.fmtps++
	}

	return nil
}

// readFeedback reads a type of feedback of one codec, or of all.
// https://www.rfc-editor.org/rfc/rfc4585#section-4.2
func (r *rtpReader) readFeedback(a attribute) error {
	list, most := &r.feedback, MaxFeedback-r.most
	text, rest := firstField(a.Value)
	if text != "*" {
		c, _, err := r.format(a)
		if err != nil {
			return err
		}
		list, most = &c.Feedback, MaxFeedback-len(r.feedback)
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 || !isToken(fields[0]) {
		return a.fail(ErrSyntax, "no type of feedback")
	}
	if !addOnce(list, Feedback{Type: fields[0], Parameter: strings.Join(fields[1:], " ")}, most) {
		return a.fail(ErrLimit, "more than %d types of feedback of one codec", MaxFeedback)
	}
	if list != &r.feedback {
		r.most = max(r.most, len(*list))
	}

	return nil
}

// codecOf returns the codec of a payload type.
func (r *rtpReader) codecOf(payloadType uint8, kind string) (codec Codec, ok bool) {
	mapped := false
	if at := r.formats[payloadType]; at > 0 {
		codec, mapped = r.codecs[at-1].Codec, r.codecs[at-1].mapped
	}
	if !mapped {
		static, ok := staticCodec(payloadType, kind)
		if !ok {
			return Codec{}, false
		}
		static.PayloadType, static.Fmtp, static.Feedback = payloadType, codec.Fmtp, codec.Feedback
		codec = static
	}

	own := codec.Feedback
	if most := len(own) + len(r.feedback); most > 0 {
		codec.Feedback = append(make([]Feedback, 0, most), own...)
	}
	for _, f := range r.feedback {
		if !slices.Contains(own, f) {
			codec.Feedback = append(codec.Feedback, f)
		}
	}

	return codec, true
}

// Same tells whether two codecs are the same, apart from their payload types,
// parameters and feedback. What the parameters mean only their codec knows.
func (c *Codec) Same(other Codec) bool {
	return c.ClockRate == other.ClockRate && max(1, c.Channels) == max(1, other.Channels) &&
		strings.EqualFold(c.Name, other.Name)
}

// staticCodecs are the payload types that mean something without an rtpmap.
// https://www.rfc-editor.org/rfc/rfc3551#section-6
var staticCodecs = [...]Codec{
	0:  {Name: "PCMU", ClockRate: 8000},
	3:  {Name: "GSM", ClockRate: 8000},
	4:  {Name: "G723", ClockRate: 8000},
	5:  {Name: "DVI4", ClockRate: 8000},
	6:  {Name: "DVI4", ClockRate: 16000},
	7:  {Name: "LPC", ClockRate: 8000},
	8:  {Name: "PCMA", ClockRate: 8000},
	9:  {Name: "G722", ClockRate: 8000}, // which it is not; the RFC keeps the mistake
	10: {Name: "L16", ClockRate: 44100, Channels: 2},
	11: {Name: "L16", ClockRate: 44100},
	12: {Name: "QCELP", ClockRate: 8000},
	13: {Name: "CN", ClockRate: 8000},
	14: {Name: "MPA", ClockRate: 90000},
	15: {Name: "G728", ClockRate: 8000},
	16: {Name: "DVI4", ClockRate: 11025},
	17: {Name: "DVI4", ClockRate: 22050},
	18: {Name: "G729", ClockRate: 8000},

	25: {Name: "CelB", ClockRate: 90000},
	26: {Name: "JPEG", ClockRate: 90000},
	28: {Name: "nv", ClockRate: 90000},
	31: {Name: "H261", ClockRate: 90000},
	32: {Name: "MPV", ClockRate: 90000},
	33: {Name: "MP2T", ClockRate: 90000},
	34: {Name: "H263", ClockRate: 90000},
}

const (
	firstStaticVideo = 25
	staticTransport  = 33 // carries both
)

// staticCodec returns what a payload type means in sections of a kind.
func staticCodec(payloadType uint8, kind string) (Codec, bool) {
	if int(payloadType) >= len(staticCodecs) || staticCodecs[payloadType].Name == "" {
		return Codec{}, false
	}
	if payloadType != staticTransport && (payloadType >= firstStaticVideo) != (kind == KindVideo) {
		return Codec{}, false
	}

	return staticCodecs[payloadType], true
}
