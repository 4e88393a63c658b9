package webrtc

import (
	"slices"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/ccfb"
	"github.com/pion/interceptor/pkg/flexfec"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/stats"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/logging"
	"github.com/pion/sdp/v3"
)

// Interceptors stand between tracks and the network: they answer NACKs, send
// reports, count. A registry makes one chain of them for each PeerConnection.
// The functions here register one concern each, at the media engine what the
// two sides have to agree on, and at the registry what does the work. Like
// pion/webrtc's they are to be called before an API is made with them, and the
// order of the calls is the order of the chain.

// interceptorOptions are what an InterceptorOption sets.
type interceptorOptions struct {
	loggers   logging.LoggerFactory
	generator []nack.GeneratorOption
	responder []nack.ResponderOption
	receiver  []report.ReceiverOption
	sender    []report.SenderOption
	stats     []stats.Option
	twcc      []twcc.Option
}

// InterceptorOption changes what RegisterDefaultInterceptorsWithOptions
// registers.
type InterceptorOption func(*interceptorOptions)

// WithInterceptorLoggerFactory lets all default interceptors log there.
func WithInterceptorLoggerFactory(loggerFactory logging.LoggerFactory) InterceptorOption {
	return func(o *interceptorOptions) { o.loggers = loggerFactory }
}

// WithNackGeneratorOptions sets how missing packets are asked for.
func WithNackGeneratorOptions(opts ...nack.GeneratorOption) InterceptorOption {
	return func(o *interceptorOptions) { o.generator = slices.Clone(opts) }
}

// WithNackResponderOptions sets how the peer's requests are answered.
func WithNackResponderOptions(opts ...nack.ResponderOption) InterceptorOption {
	return func(o *interceptorOptions) { o.responder = slices.Clone(opts) }
}

// WithReportReceiverOptions sets how receiver reports are made.
func WithReportReceiverOptions(opts ...report.ReceiverOption) InterceptorOption {
	return func(o *interceptorOptions) { o.receiver = slices.Clone(opts) }
}

// WithReportSenderOptions sets how sender reports are made.
func WithReportSenderOptions(opts ...report.SenderOption) InterceptorOption {
	return func(o *interceptorOptions) { o.sender = slices.Clone(opts) }
}

// WithStatsInterceptorOptions sets how streams are counted.
func WithStatsInterceptorOptions(opts ...stats.Option) InterceptorOption {
	return func(o *interceptorOptions) { o.stats = slices.Clone(opts) }
}

// WithTWCCOptions sets how transport-wide feedback is made.
func WithTWCCOptions(opts ...twcc.Option) InterceptorOption {
	return func(o *interceptorOptions) { o.twcc = slices.Clone(opts) }
}

// RegisterDefaultInterceptors registers NACKs, reports, the header extensions of
// simulcast, statistics and transport-wide feedback. Codecs have to be
// registered before: feedback is added to those that are.
func RegisterDefaultInterceptors(mediaEngine *MediaEngine, interceptorRegistry *interceptor.Registry) error {
	return RegisterDefaultInterceptorsWithOptions(mediaEngine, interceptorRegistry)
}

// RegisterDefaultInterceptorsWithOptions is RegisterDefaultInterceptors with
// options.
func RegisterDefaultInterceptorsWithOptions(
	mediaEngine *MediaEngine, interceptorRegistry *interceptor.Registry, opts ...InterceptorOption,
) error {
	var o interceptorOptions
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	if l := o.loggers; l != nil && !isNilPointer(l) {
		o.generator = append(o.generator, nack.WithGeneratorLoggerFactory(l))
		o.responder = append(o.responder, nack.WithResponderLoggerFactory(l))
		o.receiver = append(o.receiver, report.WithReceiverLoggerFactory(l))
		o.sender = append(o.sender, report.WithSenderLoggerFactory(l))
		o.stats = append(o.stats, stats.WithLoggerFactory(l))
		o.twcc = append(o.twcc, twcc.WithLoggerFactory(l))
	}
	// First, so that what the others send is counted: round trips are measured from
	// our reports.
	if err := ConfigureStatsInterceptorWithOptions(interceptorRegistry, o.stats...); err != nil {
		return err
	}
	if err := ConfigureNackWithOptions(mediaEngine, interceptorRegistry, o.generator, o.responder...); err != nil {
		return err
	}
	if err := ConfigureRTCPReportsWithOptions(interceptorRegistry, o.receiver, o.sender...); err != nil {
		return err
	}
	if err := ConfigureSimulcastExtensionHeaders(mediaEngine); err != nil {
		return err
	}

	return ConfigureTWCCSenderWithOptions(mediaEngine, interceptorRegistry, o.twcc...)
}

// refuseRegistration refuses what cannot be registered at. Where the engine does
// not matter, an empty one stands in.
func refuseRegistration(op string, engine *MediaEngine, registry *interceptor.Registry) error {
	switch {
	case engine == nil:
		return refuse(op, ErrInvalidArgument, "nil media engine")
	case registry == nil:
		return refuse(op, ErrInvalidArgument, "nil interceptor registry")
	}

	return nil
}

// withoutNil drops options that would panic when the interceptor is made.
func withoutNil[O ~func(T) error, T any](options []O) []O {
	return slices.DeleteFunc(slices.Clone(options), func(o O) bool { return o == nil })
}

// bothKinds calls register for audio and video.
func bothKinds(register func(kind RTPCodecType) error) error {
	if err := register(RTPCodecTypeVideo); err != nil {
		return err
	}

	return register(RTPCodecTypeAudio)
}

// ConfigureNack registers asking for lost packets of video, and sending again
// what the peer asks for.
func ConfigureNack(mediaEngine *MediaEngine, interceptorRegistry *interceptor.Registry) error {
	return ConfigureNackWithOptions(mediaEngine, interceptorRegistry, nil)
}

// ConfigureNackWithOptions is ConfigureNack with options.
func ConfigureNackWithOptions(
	mediaEngine *MediaEngine, interceptorRegistry *interceptor.Registry,
	genOpts []nack.GeneratorOption, respOpts ...nack.ResponderOption,
) error {
	const op = "configure nack"
	if err := refuseRegistration(op, mediaEngine, interceptorRegistry); err != nil {
		return err
	}
	generator, err := nack.NewGeneratorInterceptor(withoutNil(genOpts)...)
	if err != nil {
		return opError(op, err)
	}
	responder, err := nack.NewResponderInterceptor(withoutNil(respOpts)...)
	if err != nil {
		return opError(op, err)
	}
	mediaEngine.RegisterFeedback(RTCPFeedback{Type: TypeRTCPFBNACK}, RTPCodecTypeVideo)
	mediaEngine.RegisterFeedback(RTCPFeedback{Type: TypeRTCPFBNACK, Parameter: "pli"}, RTPCodecTypeVideo)
	interceptorRegistry.Add(responder)
	interceptorRegistry.Add(generator)

	return nil
}

// ConfigureRTCPReports registers sender and receiver reports.
func ConfigureRTCPReports(interceptorRegistry *interceptor.Registry) error {
	return ConfigureRTCPReportsWithOptions(interceptorRegistry, nil)
}

// ConfigureRTCPReportsWithOptions is ConfigureRTCPReports with options.
func ConfigureRTCPReportsWithOptions(
	interceptorRegistry *interceptor.Registry, recvOpts []report.ReceiverOption, sendOpts ...report.SenderOption,
) error {
	const op = "configure reports"
	if err := refuseRegistration(op, new(MediaEngine), interceptorRegistry); err != nil {
		return err
	}
	receiver, err := report.NewReceiverInterceptor(withoutNil(recvOpts)...)
	if err != nil {
		return opError(op, err)
	}
	sender, err := report.NewSenderInterceptor(withoutNil(sendOpts)...)
	if err != nil {
		return opError(op, err)
	}
	interceptorRegistry.Add(receiver)
	interceptorRegistry.Add(sender)

	return nil
}

// ConfigureTWCCHeaderExtensionSender registers numbering the packets that are
// sent, over all streams, so that the peer can report on every one.
func ConfigureTWCCHeaderExtensionSender(mediaEngine *MediaEngine, interceptorRegistry *interceptor.Registry) error {
	const op = "configure transport-wide numbers"
	if err := refuseRegistration(op, mediaEngine, interceptorRegistry); err != nil {
		return err
	}
	if err := registerTWCCExtension(mediaEngine); err != nil {
		return err
	}
	numbers, err := twcc.NewHeaderExtensionInterceptor()
	if err != nil {
		return opError(op, err)
	}
	interceptorRegistry.Add(numbers)

	return nil
}

func registerTWCCExtension(m *MediaEngine) error {
	return bothKinds(func(kind RTPCodecType) error {
		return m.RegisterHeaderExtension(RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}, kind)
	})
}

// ConfigureTWCCSender registers reporting on the packets that the peer has
// numbered. Codecs have to be registered before.
func ConfigureTWCCSender(mediaEngine *MediaEngine, interceptorRegistry *interceptor.Registry) error {
	return ConfigureTWCCSenderWithOptions(mediaEngine, interceptorRegistry)
}

// ConfigureTWCCSenderWithOptions is ConfigureTWCCSender with options.
func ConfigureTWCCSenderWithOptions(
	mediaEngine *MediaEngine, interceptorRegistry *interceptor.Registry, opts ...twcc.Option,
) error {
	const op = "configure transport-wide feedback"
	if err := refuseRegistration(op, mediaEngine, interceptorRegistry); err != nil {
		return err
	}
	reports, err := twcc.NewSenderInterceptor(withoutNil(opts)...)
	if err != nil {
		return opError(op, err)
	}
	if err := registerTWCCExtension(mediaEngine); err != nil {
		return err
	}
	mediaEngine.RegisterFeedback(RTCPFeedback{Type: TypeRTCPFBTransportCC}, RTPCodecTypeVideo)
	mediaEngine.RegisterFeedback(RTCPFeedback{Type: TypeRTCPFBTransportCC}, RTPCodecTypeAudio)
	interceptorRegistry.Add(reports)

	return nil
}

// ConfigureCongestionControlFeedback registers reporting on every packet that
// has come as RFC 8888 has it. Codecs have to be registered before.
func ConfigureCongestionControlFeedback(mediaEngine *MediaEngine, interceptorRegistry *interceptor.Registry) error {
	return ConfigureCongestionControlFeedbackWithOptions(mediaEngine, interceptorRegistry)
}

// ConfigureCongestionControlFeedbackWithOptions is
// ConfigureCongestionControlFeedback with options.
func ConfigureCongestionControlFeedbackWithOptions(
	mediaEngine *MediaEngine, interceptorRegistry *interceptor.Registry, opts ...ccfb.Option,
) error {
	const op = "configure congestion control feedback"
	if err := refuseRegistration(op, mediaEngine, interceptorRegistry); err != nil {
		return err
	}
	reports, err := ccfb.NewSenderInterceptor(withoutNil(opts)...)
	if err != nil {
		return opError(op, err)
	}
	mediaEngine.RegisterFeedback(RTCPFeedback{Type: TypeRTCPFBACK, Parameter: "ccfb"}, RTPCodecTypeVideo)
	mediaEngine.RegisterFeedback(RTCPFeedback{Type: TypeRTCPFBACK, Parameter: "ccfb"}, RTPCodecTypeAudio)
	interceptorRegistry.Add(reports)

	return nil
}

// ConfigureSimulcastExtensionHeaders registers the header extensions that tell
// the streams of one video track apart.
func ConfigureSimulcastExtensionHeaders(mediaEngine *MediaEngine) error {
	for _, uri := range []string{sdp.SDESMidURI, sdp.SDESRTPStreamIDURI, sdp.SDESRepairRTPStreamIDURI} {
		err := mediaEngine.RegisterHeaderExtension(RTPHeaderExtensionCapability{URI: uri}, RTPCodecTypeVideo)
		if err != nil {
			return err
		}
	}

	return nil
}

// ConfigureFlexFEC03 registers repair packets for video, with the payload type
// that stands for them. Call it before what changes packets, such as
// ConfigureTWCCHeaderExtensionSender: what comes later sees the repair packets
// too.
func ConfigureFlexFEC03(
	payloadType PayloadType, mediaEngine *MediaEngine, interceptorRegistry *interceptor.Registry,
	options ...flexfec.FecOption,
) error {
	const op = "configure flexfec"
	if err := refuseRegistration(op, mediaEngine, interceptorRegistry); err != nil {
		return err
	}
	repairs, err := flexfec.NewFecInterceptor(withoutNil(options)...)
	if err != nil {
		return opError(op, err)
	}
	err = mediaEngine.RegisterCodec(RTPCodecParameters{
		PayloadType: payloadType,
		RTPCodecCapability: RTPCodecCapability{
			MimeType: MimeTypeFlexFEC03, ClockRate: videoClockRate, SDPFmtpLine: "repair-window=10000000",
		},
	}, RTPCodecTypeVideo)
	if err != nil {
		return err
	}
	interceptorRegistry.Add(repairs)

	return nil
}

// ConfigureStatsInterceptor registers counting what streams carry. Without it
// GetStats has no streams.
func ConfigureStatsInterceptor(interceptorRegistry *interceptor.Registry) error {
	return ConfigureStatsInterceptorWithOptions(interceptorRegistry)
}

// ConfigureStatsInterceptorWithOptions is ConfigureStatsInterceptor with
// options. They are applied once for each stream: what counts it is let go with
// it.
func ConfigureStatsInterceptorWithOptions(interceptorRegistry *interceptor.Registry, opts ...stats.Option) error {
	const op = "configure statistics"
	if err := refuseRegistration(op, new(MediaEngine), interceptorRegistry); err != nil {
		return err
	}
	counts, err := stats.NewInterceptor(withoutNil(opts)...)
	if err != nil {
		return opError(op, err)
	}
	interceptorRegistry.Add(&statsFactory{each: counts, tell: waitingForStats.hand})

	return nil
}

// buildInterceptors makes the chain of one PeerConnection, or of one stack of
// transports without, and returns what its statistics can be asked from: nil if
// the registry counts none. id is the chain's own: no two are built with the
// same at a time. Whoever builds a chain closes it.
func buildInterceptors(
	registry *interceptor.Registry, id string,
) (chain interceptor.Interceptor, counts stats.Getter, err error) {
	if registry == nil {
		return &interceptor.NoOp{}, nil, nil
	}
	waitingForStats.begin(id)
	chain, err = registry.Build(id)
	counts = waitingForStats.end(id)
	if err != nil {
		return nil, nil, opError("build interceptors", err)
	}

	return chain, counts, nil
}

// A registry tells nothing of the interceptors that it has built, and their
// factory knows of whom it builds for only the id. An entry is there for as long
// as a Build runs, so nothing outlives it.
type statsHandover struct {
	mu     sync.Mutex
	builds map[string]stats.Getter
}

var waitingForStats = statsHandover{builds: map[string]stats.Getter{}}

func (h *statsHandover) begin(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.builds[id] = nil
}

// hand drops the getter of a chain that a program builds by itself.
func (h *statsHandover) hand(id string, counts stats.Getter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, waits := h.builds[id]; waits {
		h.builds[id] = counts
	}
}

func (h *statsHandover) end(id string) stats.Getter {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := h.builds[id]
	delete(h.builds, id)

	return counts
}
