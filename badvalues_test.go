package webrtc

import (
	"crypto/ecdsa"
	"crypto/x509"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// badValue is a value or text that has to be refused. do makes the call with
// it and returns what the call may have written to, nil if nothing.
type badValue struct {
	call string
	with string
	do   func() (written, before any, err error)
	is   error
	says string
}

// into makes the case of a method that reads into its receiver.
func into[T any](value T, read func(*T, []byte) error, text string) func() (any, any, error) {
	return func() (any, any, error) {
		v := value
		err := read(&v, []byte(text))

		return v, value, err
	}
}

func returning[T any](call func() (T, error)) func() (any, any, error) {
	return func() (any, any, error) {
		_, err := call()

		return nil, nil, err
	}
}

// setting makes the case of a setter.
func setting(set func(e *SettingEngine) error) func() (any, any, error) {
	return func() (any, any, error) {
		made := func() SettingEngine {
			var e SettingEngine
			e.ICE.PortMin, e.ICE.PortMax = 1, 2
			e.ICE.AddressRewriteRules = []ICEAddressRewriteRule{
				{External: []string{"192.0.2.1"}, AsCandidateType: ICECandidateTypeHost},
			}
			e.DTLS.AnsweringRole = DTLSRoleServer

			return e
		}
		e := made()
		err := set(&e)

		return e, made(), err
	}
}

var badValues = []badValue{
	{"NewUDPMux", "no socket", returning(func() (*UDPMux, error) { return NewUDPMux(nil, UDPMuxSettings{}) }), ErrInvalidArgument, "nil socket"},
	{"ListenUDPMux", "a negative buffer", returning(func() (*UDPMux, error) { return ListenUDPMux(0, UDPMuxSettings{ReadBufferSize: -1}) }), ErrInvalidArgument, "ReadBufferSize"},
	{"UDPMux.GetConn", "a zero mux", returning(func() (net.PacketConn, error) { return new(UDPMux).GetConn("ufrag", nil) }), ErrInvalidArgument, "zero UDP mux"},
	{"SDPType.UnmarshalJSON", "another text", into(SDPTypeAnswer, (*SDPType).UnmarshalJSON, `"offers"`), ErrUnknownType, "offers"},
	{"SDPType.UnmarshalJSON", "a number", into(SDPTypeAnswer, (*SDPType).UnmarshalJSON, "1"), ErrInvalidArgument, "SDPType"},
	{"BundlePolicy.UnmarshalJSON", "another text", into(BundlePolicyMaxBundle, (*BundlePolicy).UnmarshalJSON, `"max"`), ErrUnknownType, "max"},
	{"BundlePolicy.UnmarshalJSON", "a number", into(BundlePolicyMaxBundle, (*BundlePolicy).UnmarshalJSON, "1"), ErrInvalidArgument, "BundlePolicy"},
	{"RTCPMuxPolicy.UnmarshalJSON", "another text", into(RTCPMuxPolicyRequire, (*RTCPMuxPolicy).UnmarshalJSON, `"required"`), ErrUnknownType, "required"},
	{"SDPSemantics.UnmarshalJSON", "another text", into(SDPSemanticsPlanB, (*SDPSemantics).UnmarshalJSON, `"plan-c"`), ErrUnknownType, "plan-c"},
	{"SessionDescription.Unmarshal", "no description", returning((*SessionDescription)(nil).Unmarshal), ErrInvalidArgument, "nil description"},
	{"SessionDescription.Unmarshal", "no SDP", returning((&SessionDescription{Type: SDPTypeOffer, SDP: "v=1"}).Unmarshal), ErrInvalidArgument, "sdp"},
	{"ParseICECandidate", "nothing", returning(func() (ICECandidate, error) { return ParseICECandidate("") }), ErrInvalidArgument, "candidate"},
	{"ParseICECandidate", "a port out of range", returning(func() (ICECandidate, error) {
		return ParseICECandidate("candidate:1 1 udp 1 192.0.2.1 65536 typ host")
	}), ErrInvalidArgument, "port"},
	{"ICECandidate.UnmarshalText", "no candidate", into(candidateAt("192.0.2.1"), (*ICECandidate).UnmarshalText, "candidate:"), ErrInvalidArgument, "candidate"},
	{"ICECandidate.UnmarshalJSON", "a number", into(candidateAt("192.0.2.1"), (*ICECandidate).UnmarshalJSON, "1"), ErrInvalidArgument, "candidate"},
	{"ICECandidate.UnmarshalJSON", "a good field and a bad one", into(candidateAt("192.0.2.1"), (*ICECandidate).UnmarshalJSON, `{"address":"192.0.2.2","port":-1}`), ErrInvalidArgument, "port"},
	{"ICECandidate.MarshalText", "a zero candidate", returning(ICECandidate{}.MarshalText), ErrInvalidArgument, "type 0"},
	{"ICECandidate.ToICE", "a zero candidate", returning(ICECandidate{}.ToICE), ErrInvalidArgument, "type 0"},
	{"NewICECandidateType", "another text", returning(func() (ICECandidateType, error) { return NewICECandidateType("hosts") }), ErrUnknownType, "hosts"},
	{"ICECandidateType.UnmarshalText", "another text", into(ICECandidateTypeRelay, (*ICECandidateType).UnmarshalText, "hosts"), ErrUnknownType, "hosts"},
	{"NewICEProtocol", "another text", returning(func() (ICEProtocol, error) { return NewICEProtocol("sctp") }), ErrUnknownType, "sctp"},
	{"NewNetworkType", "another text", returning(func() (NetworkType, error) { return NewNetworkType("udp5") }), ErrUnknownType, "udp5"},
	{"ICERole.UnmarshalText", "another text", into(ICERoleControlled, (*ICERole).UnmarshalText, "controls"), ErrUnknownType, "controls"},
	{"ICETransportState.UnmarshalText", "another text", into(ICETransportStateFailed, (*ICETransportState).UnmarshalText, "fails"), ErrUnknownType, "fails"},
	{"DTLSTransportState.UnmarshalText", "another text", into(DTLSTransportStateFailed, (*DTLSTransportState).UnmarshalText, "fails"), ErrUnknownType, "fails"},
	{"DataChannelState.UnmarshalText", "another text", into(DataChannelStateOpen, (*DataChannelState).UnmarshalText, "opened"), ErrUnknownType, "opened"},
	{"ICETransportPolicy.UnmarshalJSON", "another text", into(ICETransportPolicyRelay, (*ICETransportPolicy).UnmarshalJSON, `"relays"`), ErrUnknownType, "relays"},
	{"ICETransportPolicy.UnmarshalJSON", "a number", into(ICETransportPolicyRelay, (*ICETransportPolicy).UnmarshalJSON, "1"), ErrInvalidArgument, "ICETransportPolicy"},
	{"ICECredentialType.UnmarshalJSON", "another text", into(ICECredentialTypeOauth, (*ICECredentialType).UnmarshalJSON, `"secret"`), ErrUnknownType, "secret"},
	{"ICEServer.UnmarshalJSON", "no JSON", into(ICEServer{Username: "x"}, (*ICEServer).UnmarshalJSON, "{"), ErrInvalidArgument, "ICEServer"},
	{"ICEServer.UnmarshalJSON", "a number for a URL", into(ICEServer{Username: "x"}, (*ICEServer).UnmarshalJSON, `{"username":"y","urls":[1]}`), ErrInvalidArgument, "urls"},
	{"SCTPCapabilities.UnmarshalJSON", "no JSON", into(SCTPCapabilities{MaxMessageSize: 1}, (*SCTPCapabilities).UnmarshalJSON, "{"), ErrInvalidArgument, "SCTPCapabilities"},
	{"SCTPCapabilities.UnmarshalJSON", "a negative size", into(SCTPCapabilities{MaxMessageSize: 1}, (*SCTPCapabilities).UnmarshalJSON, `{"sctpInit":"x","maxMessageSize":-1}`), ErrInvalidArgument, "maxMessageSize"},
	{"UnmarshalStatsJSON", "no JSON", returning(func() (Stats, error) { return UnmarshalStatsJSON(nil) }), ErrInvalidArgument, "JSON"},
	{"UnmarshalStatsJSON", "a type without a struct", returning(func() (Stats, error) { return UnmarshalStatsJSON([]byte(`{"type":"sender"}`)) }), ErrUnknownType, "sender"},
	{"UnmarshalStatsJSON", "a source of no kind", returning(func() (Stats, error) { return UnmarshalStatsJSON([]byte(`{"type":"media-source"}`)) }), ErrUnknownType, "kind"},
	{"GenerateCertificate", "no key", returning(func() (*Certificate, error) { return GenerateCertificate(nil) }), ErrInvalidArgument, "key"},
	{"GenerateCertificate", "a nil pointer for a key", returning(func() (*Certificate, error) { return GenerateCertificate((*ecdsa.PrivateKey)(nil)) }), ErrInvalidArgument, "ECDSA key"},
	{"NewCertificate", "no key", returning(func() (*Certificate, error) { return NewCertificate(nil, x509.Certificate{}) }), ErrInvalidArgument, "key"},
	{"CertificateFromPEM", "nothing", returning(func() (*Certificate, error) { return CertificateFromPEM("") }), ErrInvalidArgument, "missing"},
	{"CertificateFromPEM", "a certificate that is none", returning(func() (*Certificate, error) {
		return CertificateFromPEM("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	}), ErrInvalidArgument, "CERTIFICATE block"},
	{"Certificate.PEM", "a zero certificate", returning(Certificate{}.PEM), ErrInvalidArgument, "missing"},
	{"Certificate.GetFingerprints", "a zero certificate", returning(Certificate{}.GetFingerprints), ErrInvalidArgument, "missing"},
	{"SettingEngine.SetEphemeralUDPPortRange", "ports in reverse", setting(func(e *SettingEngine) error { return e.SetEphemeralUDPPortRange(20, 10) }), ErrInvalidArgument, "ports 20 to 10"},
	{"SettingEngine.SetAnsweringDTLSRole", "no side", setting(func(e *SettingEngine) error { return e.SetAnsweringDTLSRole(DTLSRoleAuto) }), ErrInvalidArgument, "role 1"},
	{"SettingEngine.SetICEAddressRewriteRules", "no external address", setting(func(e *SettingEngine) error { return e.SetICEAddressRewriteRules(ICEAddressRewriteRule{}) }), ErrInvalidArgument, "external address"},
	{"SettingEngine.SetICERenomination", "an interval of 0", setting(func(e *SettingEngine) error { return e.SetICERenomination(WithRenominationInterval(0)) }), ErrInvalidArgument, "interval 0s"},
	{"SettingEngine.SetICERenomination", "an attribute of 0", setting(func(e *SettingEngine) error {
		return e.SetICERenomination(WithRenominationNominationAttribute(0))
	}), ErrInvalidArgument, "attribute type 0"},
}

func TestBadValuesAreRefusedAndChangeNothing(t *testing.T) {
	for _, c := range slices.Concat(badValues, badMediaValues, badTrackValues) {
		t.Run(c.call+" with "+c.with, func(t *testing.T) {
			written, before, err := c.do()
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.says)
			var ours *Error
			require.ErrorAs(t, err, &ours)
			assert.NotEmpty(t, ours.Op)
			assert.Equal(t, before, written)
		})
	}
}

// An enum out of range, and what is made of nothing, has a text that says so.
// Their Marshal methods refuse nothing: the other side does.
var marshalAnything = []string{
	"DTLSTransportState.MarshalText", "DataChannelState.MarshalText", "ICECandidateType.MarshalText",
	"ICERole.MarshalText", "ICETransportState.MarshalText", "ICETransportPolicy.MarshalJSON",
	"ICECredentialType.MarshalJSON", "ICEServer.MarshalJSON", "ICECandidate.MarshalJSON",
	"SCTPCapabilities.MarshalJSON", "SDPType.MarshalJSON", "BundlePolicy.MarshalJSON", "RTCPMuxPolicy.MarshalJSON",
	"SDPSemantics.MarshalJSON",
}

// exportedCall is a function or a method of an exported type.
type exportedCall struct {
	name     string // "NewAPI", "API.NewICETransport"
	receiver string // the type's name; empty for a function
	fails    bool   // it returns an error
}

// exportedCalls reads what the package exports.
func exportedCalls(t *testing.T) (calls []exportedCall) {
	t.Helper()
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.IsExported() {
				if call, ok := exportedCallOf(f); ok {
					calls = append(calls, call)
				}
			}
		}
	}
	require.NotEmpty(t, calls)

	return calls
}

func exportedCallOf(f *ast.FuncDecl) (call exportedCall, ok bool) {
	call.name = f.Name.Name
	if f.Recv != nil {
		receiver := f.Recv.List[0].Type
		if pointer, isPointer := receiver.(*ast.StarExpr); isPointer {
			receiver = pointer.X
		}
		typ, isIdent := receiver.(*ast.Ident)
		if !isIdent || !typ.IsExported() {
			return call, false
		}
		call.receiver = typ.Name
		call.name = typ.Name + "." + call.name
	}
	if f.Type.Results != nil {
		for _, result := range f.Type.Results.List {
			typ, isIdent := result.Type.(*ast.Ident)
			call.fails = call.fails || isIdent && typ.Name == "error"
		}
	}

	return call, true
}
