package webrtc

import (
	"slices"
	"strings"
	"sync"

	"github.com/ctxrtc/webrtc/internal/fmtp"
)

// MediaEngine is the codecs, feedback and header extensions that a program has
// registered. It knows of no negotiation: what two sides have in common is made
// from it and from what the peer says (mediaengine_negotiation.go). The zero
// value is empty. It may be used by any number of goroutines; a PeerConnection
// takes a copy when it is made, and what is registered later is not in that.
type MediaEngine struct {
	mu  sync.Mutex
	now *registrations // nil is none
}

// registrations never change: every call that registers something makes new
// ones, which share with the old what is the same. So a copy costs next to
// nothing, however many connections take one.
type registrations struct {
	audio      []RTPCodecParameters
	video      []RTPCodecParameters
	extensions []registeredExtension
}

// registeredExtension is a header extension with the directions in which each
// kind of media may use it, none if that kind may not.
type registeredExtension struct {
	uri          string
	audio, video []RTPTransceiverDirection
}

func (r *registrations) codecs(kind RTPCodecType) []RTPCodecParameters {
	switch kind {
	case RTPCodecTypeAudio:
		return r.audio
	case RTPCodecTypeVideo:
		return r.video
	default:
		return nil
	}
}

// withCodecs are r with other codecs of that kind.
func (r registrations) withCodecs(kind RTPCodecType, codecs []RTPCodecParameters) *registrations {
	if kind == RTPCodecTypeAudio {
		r.audio = codecs
	} else {
		r.video = codecs
	}

	return &r
}

func (e registeredExtension) allowed(kind RTPCodecType) []RTPTransceiverDirection {
	switch kind {
	case RTPCodecTypeAudio:
		return e.audio
	case RTPCodecTypeVideo:
		return e.video
	default:
		return nil
	}
}

func (e registeredExtension) allow(kind RTPCodecType, directions []RTPTransceiverDirection) registeredExtension {
	if kind == RTPCodecTypeAudio {
		e.audio = directions
	} else {
		e.video = directions
	}

	return e
}

// registered is what is registered now. It is not to be changed.
func (m *MediaEngine) registered() *registrations {
	if m == nil {
		return &registrations{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.current()
}

// current is registered for those who hold the lock.
func (m *MediaEngine) current() *registrations {
	if m.now == nil {
		m.now = &registrations{}
	}

	return m.now
}

// RegisterDefaultCodecs registers Opus, G.722, PCMU and PCMA, and VP8, H.264,
// H.265, AV1 and VP9 with their retransmissions. If one cannot be registered,
// those before it have been.
func (m *MediaEngine) RegisterDefaultCodecs() error {
	for _, kind := range []RTPCodecType{RTPCodecTypeAudio, RTPCodecTypeVideo} {
		for _, codec := range defaultCodecs(kind) {
			if err := m.RegisterCodec(codec, kind); err != nil {
				return err
			}
		}
	}

	return nil
}

// RegisterCodec adds a codec. A clock rate or number of channels that is zero
// becomes the codec's usual one. The same codec with the same payload type is
// registered once; another one with that payload type is
// ErrCodecAlreadyRegistered.
func (m *MediaEngine) RegisterCodec(codec RTPCodecParameters, typ RTPCodecType) error {
	const op = "register codec"
	if m == nil {
		return refuse(op, ErrInvalidArgument, "nil media engine")
	}
	codec = codec.clone()
	codec.ClockRate = fmtp.ClockRate(codec.MimeType, codec.ClockRate)
	if err := codec.validate(typ); err != nil {
		return opError(op, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	codecs := m.current().codecs(typ)
	for _, c := range codecs {
		if c.PayloadType != codec.PayloadType {
			continue
		}
		if sameCodec(c.RTPCodecCapability, codec.RTPCodecCapability) {
			return nil
		}

		return refuse(op, ErrCodecAlreadyRegistered, "%d is %s", c.PayloadType, c.MimeType)
	}
	m.now = m.now.withCodecs(typ, append(slices.Clip(codecs), codec))

	return nil
}

// RegisterHeaderExtension adds a header extension for one kind of media.
// allowedDirections are sendonly, recvonly or both, as seen from our side;
// none is both. Registered again for that kind, it has the new ones.
func (m *MediaEngine) RegisterHeaderExtension(
	extension RTPHeaderExtensionCapability, typ RTPCodecType, allowedDirections ...RTPTransceiverDirection,
) error {
	const op = "register header extension"
	switch {
	case m == nil:
		return refuse(op, ErrInvalidArgument, "nil media engine")
	case !rtpCodecTypes.has(typ):
		return refuse(op, ErrUnknownType, "kind of media %d", int(typ))
	}
	if err := (RTPHeaderExtensionParameter{URI: extension.URI, ID: minExtensionID}).validate(); err != nil {
		return opError(op, err)
	}
	for _, d := range allowedDirections {
		if d != RTPTransceiverDirectionSendonly && d != RTPTransceiverDirectionRecvonly {
			return refuse(op, ErrRegisterHeaderExtensionInvalidDirection, "%s", d)
		}
	}
	allowed := slices.Clone(allowedDirections)
	if len(allowed) == 0 {
		allowed = []RTPTransceiverDirection{RTPTransceiverDirectionSendonly, RTPTransceiverDirectionRecvonly}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := *m.current()
	next.extensions = slices.Clone(next.extensions)
	i := slices.IndexFunc(next.extensions, func(e registeredExtension) bool { return e.uri == extension.URI })
	if i < 0 {
		i = len(next.extensions)
		next.extensions = append(next.extensions, registeredExtension{uri: extension.URI})
	}
	next.extensions[i] = next.extensions[i].allow(typ, allowed)
	m.now = &next

	return nil
}

// RegisterFeedback adds a kind of feedback to the codecs of that kind of media
// that are registered already. Formats that repair another one's packets have
// none of their own.
func (m *MediaEngine) RegisterFeedback(feedback RTCPFeedback, typ RTPCodecType) {
	if m == nil || !rtpCodecTypes.has(typ) || feedback.validate() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	codecs := slices.Clone(m.current().codecs(typ))
	for i := range codecs {
		if c := &codecs[i]; !c.auxiliary() && !slices.ContainsFunc(c.RTCPFeedback, feedback.is) {
			c.RTCPFeedback = append(slices.Clip(c.RTCPFeedback), feedback)
		}
	}
	m.now = m.now.withCodecs(typ, codecs)
}

// copy is an engine of its own with what is registered now.
func (m *MediaEngine) copy() *MediaEngine { return &MediaEngine{now: m.registered()} }

// codecsFor are the codecs of that kind, in the order in which they were
// registered, without retransmissions of what is not registered. The slice is
// the caller's.
func (m *MediaEngine) codecsFor(kind RTPCodecType) []RTPCodecParameters {
	return withPrimaries(cloneCodecs(m.registered().codecs(kind)))
}

// extensionsFor are the URIs that media of that kind may use when they flow in
// that direction, in the order in which they were registered. Media that flow
// both ways or neither may use what they could in any.
func (m *MediaEngine) extensionsFor(kind RTPCodecType, direction RTPTransceiverDirection) []string {
	var uris []string
	for _, e := range m.registered().extensions {
		allowed := e.allowed(kind)
		oneWay := direction != direction.Revers()
		if slices.Contains(allowed, direction) || !oneWay && len(allowed) > 0 {
			uris = append(uris, e.uri)
		}
	}

	return uris
}

// sameCodec tells whether two codecs are the same but for their parameters.
func sameCodec(a, b RTPCodecCapability) bool {
	return a.is(b.MimeType) &&
		fmtp.ClockRate(a.MimeType, a.ClockRate) == fmtp.ClockRate(b.MimeType, b.ClockRate) &&
		fmtp.Channels(a.MimeType, a.Channels) == fmtp.Channels(b.MimeType, b.Channels)
}

// defaultCodecs are those of RegisterDefaultCodecs. Their payload types and
// parameters are the ones that pion/webrtc has: recordings and forwarders of
// pion programs rely on them.
func defaultCodecs(kind RTPCodecType) []RTPCodecParameters {
	audio := func(payload PayloadType, mimeType string, rate uint32, channels uint16, line string) RTPCodecParameters {
		return RTPCodecParameters{
			PayloadType: payload,
			RTPCodecCapability: RTPCodecCapability{
				MimeType: mimeType, ClockRate: rate, Channels: channels, SDPFmtpLine: line,
			},
		}
	}
	if kind == RTPCodecTypeAudio {
		return []RTPCodecParameters{
			audio(111, MimeTypeOpus, 48000, 2, "minptime=10;useinbandfec=1"),
			audio(9, MimeTypeG722, 8000, 0, ""),
			audio(0, MimeTypePCMU, 8000, 0, ""),
			audio(8, MimeTypePCMA, 8000, 0, ""),
		}
	}
	var codecs []RTPCodecParameters
	for _, v := range []struct {
		payload, rtx PayloadType
		mimeType     string
		line         string
	}{
		{96, 97, MimeTypeVP8, ""},
		{102, 103, MimeTypeH264, h264Line("1", "42001f")},
		{104, 105, MimeTypeH264, h264Line("0", "42001f")},
		{106, 107, MimeTypeH264, h264Line("1", "42e01f")},
		{108, 109, MimeTypeH264, h264Line("0", "42e01f")},
		{127, 125, MimeTypeH264, h264Line("1", "4d001f")},
		{39, 40, MimeTypeH264, h264Line("0", "4d001f")},
		{116, 117, MimeTypeH265, ""},
		{45, 46, MimeTypeAV1, ""},
		{98, 99, MimeTypeVP9, "profile-id=0"},
		{100, 101, MimeTypeVP9, "profile-id=2"},
		{112, 113, MimeTypeH264, h264Line("1", "64001f")},
	} {
		codecs = append(codecs, RTPCodecParameters{
			PayloadType: v.payload,
			RTPCodecCapability: RTPCodecCapability{
				MimeType: v.mimeType, ClockRate: videoClockRate, SDPFmtpLine: v.line,
				RTCPFeedback: []RTCPFeedback{
					{Type: TypeRTCPFBGoogREMB},
					{Type: TypeRTCPFBCCM, Parameter: "fir"},
					{Type: TypeRTCPFBNACK},
					{Type: TypeRTCPFBNACK, Parameter: "pli"},
				},
			},
		}, retransmissions(v.rtx, v.payload))
	}

	return codecs
}

const videoClockRate = 90000

func h264Line(mode, profile string) string {
	return strings.Join([]string{
		"level-asymmetry-allowed=1", "packetization-mode=" + mode, "profile-level-id=" + profile,
	}, ";")
}

// retransmissions is the format in which lost video packets of another payload
// type are sent again.
func retransmissions(payload, of PayloadType) RTPCodecParameters {
	return RTPCodecParameters{
		PayloadType: payload,
		RTPCodecCapability: RTPCodecCapability{
			MimeType: MimeTypeRTX, ClockRate: videoClockRate, SDPFmtpLine: aptLine(of),
		},
	}
}
