package webrtc

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// receivers are a nil and a zero value of every exported type with methods.
// Methods with a value receiver panic on a nil pointer, as Go has it.
var receivers = []any{
	(*PeerConnection)(nil), (*RTPTransceiver)(nil), (*SDPType)(nil), (*SessionDescription)(nil), (*SDPSyntaxError)(nil), (*BundlePolicy)(nil),
	(*RTCPMuxPolicy)(nil), (*SDPSemantics)(nil), (*ICETrickleCapability)(nil),
	(*API)(nil), (*ICEGatherer)(nil), (*ICETransport)(nil), (*DTLSTransport)(nil), (*SCTPTransport)(nil),
	(*DataChannel)(nil), (*Certificate)(nil), (*SettingEngine)(nil), (*ICECandidate)(nil), (*ICECandidatePair)(nil),
	(*ICEServer)(nil), (*ICERole)(nil), (*ICEProtocol)(nil), (*ICEComponent)(nil), (*ICECandidateType)(nil),
	(*ICETransportState)(nil), (*ICEConnectionState)(nil), (*ICEGathererState)(nil), (*ICEGatheringState)(nil),
	(*ICETransportPolicy)(nil), (*ICECredentialType)(nil), (*DTLSRole)(nil), (*DTLSTransportState)(nil),
	(*SCTPTransportState)(nil), (*DataChannelState)(nil), (*PeerConnectionState)(nil), (*SignalingState)(nil),
	(*NetworkType)(nil), (*StatsTimestamp)(nil), (*DTLSTransportStats)(nil), (*StatsReport)(nil), (*Error)(nil),
	(*DTLSAlertError)(nil), (*SCTPAbortError)(nil), (*DataLostError)(nil), (*SCTPCapabilities)(nil), (*Listener)(nil), (*UDPMux)(nil),
	(*ICECandidateError)(nil), (*MediaEngine)(nil), (*RTPCodecType)(nil), (*RTPTransceiverDirection)(nil),
	(*RTPSender)(nil), (*RTPReceiver)(nil), (*TrackRemote)(nil), (*TrackLocalStaticRTP)(nil), (*TrackLocalStaticSample)(nil),
}

// fineOnZero return no error on a zero receiver, for zero arguments or those
// of callWith: there is nothing wrong with it.
var fineOnZero = []string{
	"ICEServer.MarshalJSON", "ICECandidate.MarshalJSON", "ICERole.MarshalText", "ICECandidateType.MarshalText",
	"ICETransportState.MarshalText", "DTLSTransportState.MarshalText", "DataChannelState.MarshalText",
	"ICETransportPolicy.MarshalJSON", "ICECredentialType.MarshalJSON", "SCTPCapabilities.MarshalJSON",
	"SettingEngine.SetICEAddressRewriteRules", "SettingEngine.SetICERenomination",
	"SettingEngine.SetEphemeralUDPPortRange", "Error.Unwrap", "DataLostError.Unwrap", "SDPSyntaxError.Unwrap", "ICECandidateError.Unwrap",
	"SessionDescription.Unmarshal", "SDPType.MarshalJSON", "BundlePolicy.MarshalJSON", "RTCPMuxPolicy.MarshalJSON", "SDPSemantics.MarshalJSON",
	"MediaEngine.RegisterDefaultCodecs",
}

// callWith returns arguments for a method: contexts that live, and zero values.
func callWith(method reflect.Type) []reflect.Value {
	in := make([]reflect.Value, 0, method.NumIn())
	for i := range method.NumIn() {
		arg := reflect.Zero(method.In(i))
		if method.In(i) == reflect.TypeFor[context.Context]() {
			arg = reflect.ValueOf(context.Background())
		}
		if method.IsVariadic() && i == method.NumIn()-1 {
			break
		}
		in = append(in, arg)
	}

	return in
}

// No method panics or waits on what no constructor made, and each that returns
// an error returns one.
func TestNilAndZeroReceivers(t *testing.T) {
	checked := map[string]bool{}
	for _, receiver := range receivers {
		typ := reflect.TypeOf(receiver).Elem()
		checked[typ.Name()] = true
		for i := range reflect.PointerTo(typ).NumMethod() {
			method := reflect.PointerTo(typ).Method(i)
			name := typ.Name() + "." + method.Name
			_, byValue := typ.MethodByName(method.Name)
			if !byValue {
				notUsable(t, "nil", name, reflect.ValueOf(receiver).Method(i))
			}
			notUsable(t, "zero", name, reflect.New(typ).Method(i))
		}
	}
	for _, call := range exportedCalls(t) {
		assert.True(t, call.receiver == "" || checked[call.receiver], "%s is not among the receivers", call.receiver)
	}
}

func notUsable(t *testing.T, kind, name string, method reflect.Value) {
	t.Helper()
	name = fmt.Sprintf("%s %s", kind, name)
	bubble(t, func(t *testing.T) {
		began := time.Now()
		var out []reflect.Value
		if !assert.NotPanics(t, func() { out = method.Call(callWith(method.Type())) }, name) {
			return
		}
		assert.Zero(t, time.Since(began), "%s took time", name)
		fine := kind == "zero" && slices.Contains(fineOnZero, name[len(kind)+1:]) ||
			slices.Contains([]string{
				"nil Error.Unwrap", "nil DataLostError.Unwrap", "nil SDPSyntaxError.Unwrap", "nil ICECandidateError.Unwrap",
			}, name)
		for _, result := range out {
			if result.Type() == reflect.TypeFor[error]() && !fine {
				assert.False(t, result.IsNil(), "%s returns no error", name)
			}
		}
	})
}
