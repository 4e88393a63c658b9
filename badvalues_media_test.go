package webrtc

import "github.com/pion/interceptor"

// registering makes the case of a call that registers at an engine, and shows
// what is registered there before and after.
func registering(call func(m *MediaEngine) error) func() (any, any, error) {
	return func() (any, any, error) {
		var m MediaEngine
		if err := m.RegisterDefaultCodecs(); err != nil {
			return nil, nil, err
		}
		before := *m.registered()
		err := call(&m)

		return *m.registered(), before, err
	}
}

// failing makes the case of a call that only returns an error.
func failing(call func() error) func() (any, any, error) {
	return returning(func() (any, error) { return nil, call() })
}

func registerCodec(mimeType string, payload PayloadType, kind RTPCodecType, change ...func(c *RTPCodecParameters)) func() (any, any, error) {
	return registering(func(m *MediaEngine) error {
		c := RTPCodecParameters{RTPCodecCapability: RTPCodecCapability{MimeType: mimeType}, PayloadType: payload}
		for _, f := range change {
			f(&c)
		}

		return m.RegisterCodec(c, kind)
	})
}

var badMediaValues = []badValue{
	{"MediaEngine.RegisterDefaultCodecs", "no engine", failing((*MediaEngine)(nil).RegisterDefaultCodecs), ErrInvalidArgument, "nil media engine"},
	{"MediaEngine.RegisterCodec", "no engine", failing(func() error {
		return (*MediaEngine)(nil).RegisterCodec(defaultCodecs(RTPCodecTypeAudio)[0], RTPCodecTypeAudio)
	}), ErrInvalidArgument, "nil media engine"},
	{"MediaEngine.RegisterCodec", "no kind", registerCodec(MimeTypeVP8, 33, RTPCodecTypeUnknown), ErrUnknownType, "kind of media 0"},
	{"MediaEngine.RegisterCodec", "a kind out of range", registerCodec(MimeTypeVP8, 33, 3), ErrUnknownType, "kind of media 3"},
	{"MediaEngine.RegisterCodec", "another kind", registerCodec(MimeTypeOpus, 33, RTPCodecTypeVideo), ErrInvalidArgument, "no MIME type of video"},
	{"MediaEngine.RegisterCodec", "no MIME type", registerCodec("", 33, RTPCodecTypeVideo), ErrInvalidArgument, "no MIME type"},
	{"MediaEngine.RegisterCodec", "no name", registerCodec("video/", 33, RTPCodecTypeVideo), ErrInvalidArgument, "no MIME type"},
	{"MediaEngine.RegisterCodec", "two lines for a name", registerCodec("video/VP8\r\na=x", 33, RTPCodecTypeVideo), ErrInvalidArgument, "token"},
	{"MediaEngine.RegisterCodec", "two lines of parameters", registerCodec(MimeTypeVP8, 33, RTPCodecTypeVideo, func(c *RTPCodecParameters) {
		c.SDPFmtpLine = "a=1\r\na=x"
	}), ErrInvalidArgument, "one line"},
	{"MediaEngine.RegisterCodec", "feedback without a type", registerCodec(MimeTypeVP8, 33, RTPCodecTypeVideo, func(c *RTPCodecParameters) {
		c.RTCPFeedback = []RTCPFeedback{{Parameter: "pli"}}
	}), ErrInvalidArgument, "pli"},
	{"MediaEngine.RegisterCodec", "no clock rate", registerCodec("audio/L16", 33, RTPCodecTypeAudio), ErrInvalidArgument, "clock rate"},
	{"MediaEngine.RegisterCodec", "eight bits of payload type", registerCodec(MimeTypeVP8, 128, RTPCodecTypeVideo), ErrInvalidArgument, "128"},
	{"MediaEngine.RegisterCodec", "a payload type in use", registerCodec(MimeTypeVP9, 96, RTPCodecTypeVideo), ErrCodecAlreadyRegistered, "video/VP8"},
	{"MediaEngine.RegisterHeaderExtension", "no kind", registering(func(m *MediaEngine) error {
		return m.RegisterHeaderExtension(RTPHeaderExtensionCapability{URI: "urn:x"}, RTPCodecTypeUnknown)
	}), ErrUnknownType, "kind of media 0"},
	{"MediaEngine.RegisterHeaderExtension", "no URI", registering(func(m *MediaEngine) error {
		return m.RegisterHeaderExtension(RTPHeaderExtensionCapability{}, RTPCodecTypeAudio)
	}), ErrInvalidArgument, "URI"},
	{"MediaEngine.RegisterHeaderExtension", "two words for a URI", registering(func(m *MediaEngine) error {
		return m.RegisterHeaderExtension(RTPHeaderExtensionCapability{URI: "urn:x y"}, RTPCodecTypeAudio)
	}), ErrInvalidArgument, "urn:x y"},
	{"MediaEngine.RegisterHeaderExtension", "both directions in one", registering(func(m *MediaEngine) error {
		return m.RegisterHeaderExtension(RTPHeaderExtensionCapability{URI: "urn:x"}, RTPCodecTypeAudio, RTPTransceiverDirectionSendrecv)
	}), ErrRegisterHeaderExtensionInvalidDirection, "sendrecv"},
	{"RegisterDefaultInterceptors", "no engine", failing(func() error {
		return RegisterDefaultInterceptors(nil, &interceptor.Registry{})
	}), ErrInvalidArgument, "nil media engine"},
	{"RegisterDefaultInterceptors", "no registry", registering(func(m *MediaEngine) error {
		return RegisterDefaultInterceptors(m, nil)
	}), ErrInvalidArgument, "nil interceptor registry"},
	{"RegisterDefaultInterceptorsWithOptions", "no registry", registering(func(m *MediaEngine) error {
		return RegisterDefaultInterceptorsWithOptions(m, nil, nil)
	}), ErrInvalidArgument, "nil interceptor registry"},
	{"ConfigureNack", "no engine", failing(func() error { return ConfigureNack(nil, &interceptor.Registry{}) }), ErrInvalidArgument, "nil media engine"},
	{"ConfigureNackWithOptions", "no registry", registering(func(m *MediaEngine) error {
		return ConfigureNackWithOptions(m, nil, nil)
	}), ErrInvalidArgument, "nil interceptor registry"},
	{"ConfigureRTCPReports", "no registry", failing(func() error { return ConfigureRTCPReports(nil) }), ErrInvalidArgument, "nil interceptor registry"},
	{"ConfigureRTCPReportsWithOptions", "no registry", failing(func() error { return ConfigureRTCPReportsWithOptions(nil, nil) }), ErrInvalidArgument, "nil interceptor registry"},
	{"ConfigureTWCCHeaderExtensionSender", "no registry", registering(func(m *MediaEngine) error {
		return ConfigureTWCCHeaderExtensionSender(m, nil)
	}), ErrInvalidArgument, "nil interceptor registry"},
	{"ConfigureTWCCSender", "no registry", registering(func(m *MediaEngine) error {
		return ConfigureTWCCSender(m, nil)
	}), ErrInvalidArgument, "nil interceptor registry"},
	{"ConfigureTWCCSenderWithOptions", "no engine", failing(func() error {
		return ConfigureTWCCSenderWithOptions(nil, &interceptor.Registry{})
	}), ErrInvalidArgument, "nil media engine"},
	{"ConfigureCongestionControlFeedback", "no registry", registering(func(m *MediaEngine) error {
		return ConfigureCongestionControlFeedback(m, nil)
	}), ErrInvalidArgument, "nil interceptor registry"},
	{"ConfigureCongestionControlFeedbackWithOptions", "no engine", failing(func() error {
		return ConfigureCongestionControlFeedbackWithOptions(nil, &interceptor.Registry{})
	}), ErrInvalidArgument, "nil media engine"},
	{"ConfigureSimulcastExtensionHeaders", "no engine", failing(func() error {
		return ConfigureSimulcastExtensionHeaders(nil)
	}), ErrInvalidArgument, "nil media engine"},
	{"ConfigureFlexFEC03", "no registry", registering(func(m *MediaEngine) error { return ConfigureFlexFEC03(118, m, nil) }), ErrInvalidArgument, "nil interceptor registry"},
	{"ConfigureFlexFEC03", "a payload type in use", registering(func(m *MediaEngine) error {
		return ConfigureFlexFEC03(96, m, &interceptor.Registry{})
	}), ErrCodecAlreadyRegistered, "video/VP8"},
	{"ConfigureStatsInterceptor", "no registry", failing(func() error { return ConfigureStatsInterceptor(nil) }), ErrInvalidArgument, "nil interceptor registry"},
	{"ConfigureStatsInterceptorWithOptions", "no registry", failing(func() error {
		return ConfigureStatsInterceptorWithOptions(nil)
	}), ErrInvalidArgument, "nil interceptor registry"},
}
