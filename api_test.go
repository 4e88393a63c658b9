package webrtc

import (
	"testing"

	"github.com/pion/dtls/v3"
	dtlselliptic "github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPIReady(t *testing.T) {
	bad := SettingEngine{}
	bad.ICE.PortMin = 2000

	for _, tc := range []struct {
		name string
		api  *API
		want string
	}{
		{"nil", nil, "webrtc: test op: invalid argument: nil API"},
		{"zero", &API{}, "webrtc: test op: invalid argument: zero API: use NewAPI"},
		{"bad settings", NewAPI(WithSettingEngine(bad)), "ports 2000 to 0"},
		{"nil option", NewAPI(nil), ""},
		{"no options", NewAPI(), ""},
		{"the last settings count", NewAPI(WithSettingEngine(bad), WithSettingEngine(SettingEngine{})), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.api.ready("test op")
			if tc.want == "" {
				require.NoError(t, err)
				require.NotNil(t, tc.api.settings)

				return
			}
			require.ErrorIs(t, err, ErrInvalidArgument)
			require.ErrorContains(t, err, tc.want)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, "test op", e.Op)
		})
	}
	assert.NotPanics(t, func() { WithSettingEngine(bad)(nil) })
}

// What the program does to its settings after NewAPI reaches no transport.
func TestAPICopiesSettings(t *testing.T) {
	auth := dtls.RequireAndVerifyClientCert
	given := func() SettingEngine {
		var e SettingEngine
		e.ICE.NetworkTypes = []NetworkType{NetworkTypeTCP4}
		e.ICE.AddressRewriteRules = []ICEAddressRewriteRule{
			{External: []string{"203.0.113.1"}, Networks: []NetworkType{NetworkTypeUDP4}},
		}
		e.DTLS.CipherSuites = []dtls.CipherSuiteID{dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		e.DTLS.EllipticCurves = []dtlselliptic.Curve{dtlselliptic.P256}
		e.DTLS.SupportedProtocols = []string{"webrtc"}
		e.DTLS.InsecureClientAuth = &auth
		e.SRTP.ProtectionProfiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_256_GCM}

		return e
	}
	nat := SettingEngine{}
	nat.ICE.NAT1To1IPs = []string{"203.0.113.2"}
	natAPI := NewAPI(WithSettingEngine(nat))
	nat.ICE.NAT1To1IPs[0] = "changed"
	require.NoError(t, natAPI.ready("test"))
	assert.Equal(t, []string{"203.0.113.2"}, natAPI.settings.ICE.NAT1To1IPs)

	e := given()
	api := NewAPI(WithSettingEngine(e))
	require.NoError(t, api.ready("test"))
	e.ICE.NetworkTypes[0] = NetworkTypeUDP6
	e.ICE.AddressRewriteRules[0].External[0] = "changed"
	e.ICE.AddressRewriteRules[0].Networks[0] = NetworkTypeUDP6
	e.ICE.AddressRewriteRules[0].Mode = ICEAddressRewriteAppend
	e.DTLS.CipherSuites[0] = 0
	e.DTLS.EllipticCurves[0] = 0
	e.DTLS.SupportedProtocols[0] = "changed"
	e.SRTP.ProtectionProfiles[0] = 0
	auth = dtls.NoClientCert

	want := given()
	wantAuth := dtls.RequireAndVerifyClientCert
	assert.Equal(t, want.ICE.NetworkTypes, api.settings.ICE.NetworkTypes)
	assert.Equal(t, want.ICE.AddressRewriteRules, api.settings.ICE.AddressRewriteRules)
	assert.Equal(t, want.DTLS.CipherSuites, api.settings.DTLS.CipherSuites)
	assert.Equal(t, want.DTLS.EllipticCurves, api.settings.DTLS.EllipticCurves)
	assert.Equal(t, want.DTLS.SupportedProtocols, api.settings.DTLS.SupportedProtocols)
	assert.Equal(t, &wantAuth, api.settings.DTLS.InsecureClientAuth)
	assert.Equal(t, want.SRTP.ProtectionProfiles, api.settings.SRTP.ProtectionProfiles)

	// Nor does an option that is called once more.
	before := *api.settings
	WithSettingEngine(SettingEngine{ReceiveMTU: 9000})(api)
	assert.Equal(t, before.ReceiveMTU, api.settings.ReceiveMTU)
}

// Without options there are the default codecs and interceptors; what a program
// gives is taken as it is, also if it is nothing.
func TestAPIMedia(t *testing.T) {
	videoOf := func(a *API) []RTPCodecParameters {
		m, err := a.engine()
		require.NoError(t, err)

		return m.codecsFor(RTPCodecTypeVideo)
	}
	feedback := RTCPFeedback{Type: TypeRTCPFBTransportCC}
	byDefault := NewAPI()
	require.NotEmpty(t, videoOf(byDefault))
	assert.Contains(t, videoOf(byDefault)[0].RTCPFeedback, feedback)
	assert.Empty(t, videoOf(NewAPI(WithMediaEngine(nil))))
	assert.NotContains(t, videoOf(NewAPI(WithInterceptorRegistry(nil)))[0].RTCPFeedback, feedback)
	assert.NotPanics(t, func() {
		WithMediaEngine(nil)(nil)
		WithInterceptorRegistry(nil)(nil)
	})

	// An option that is called later changes nothing.
	WithMediaEngine(nil)(byDefault)
	WithInterceptorRegistry(nil)(byDefault)
	assert.Contains(t, videoOf(byDefault)[0].RTCPFeedback, feedback)

	// What is registered after NewAPI counts, and the program's engine is left
	// as it is for another API.
	var m MediaEngine
	fitted, plain := NewAPI(WithMediaEngine(&m)), NewAPI(WithMediaEngine(&m), WithInterceptorRegistry(nil))
	assert.Empty(t, videoOf(fitted))
	require.NoError(t, m.RegisterCodec(codec(96, MimeTypeVP8, ""), RTPCodecTypeVideo))
	for range 2 {
		assert.Contains(t, videoOf(fitted)[0].RTCPFeedback, feedback)
	}
	assert.Empty(t, videoOf(plain)[0].RTCPFeedback)
	assert.Empty(t, m.codecsFor(RTPCodecTypeVideo)[0].RTCPFeedback)
	own, err := fitted.engine()
	require.NoError(t, err)
	require.NoError(t, own.RegisterCodec(codec(97, MimeTypeVP9, ""), RTPCodecTypeVideo))
	assert.Len(t, videoOf(fitted), 1)
}

// APIs without options share the lists of codecs.
func TestDefaultCodecsAreShared(t *testing.T) {
	one, err := NewAPI().engine()
	require.NoError(t, err)
	other, err := NewAPI().engine()
	require.NoError(t, err)
	assert.Same(t, one.registered(), other.registered())
	require.NoError(t, one.RegisterCodec(codec(33, MimeTypeVP8, ""), RTPCodecTypeVideo))
	assert.NotContains(t, payloads(other.codecsFor(RTPCodecTypeVideo)), 33)
}

// A connection has what was registered when it was made.
func TestAConnectionCopiesTheMediaEngine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m MediaEngine
		require.NoError(t, m.RegisterCodec(codec(96, MimeTypeVP8, ""), RTPCodecTypeVideo))
		api := NewAPI(WithMediaEngine(&m))
		pc, err := api.NewPeerConnection(Configuration{Certificates: []Certificate{bubbleCertificate(t)}})
		require.NoError(t, err)
		defer func() { require.NoError(t, pc.Close()) }()
		require.NoError(t, m.RegisterCodec(codec(98, MimeTypeVP9, ""), RTPCodecTypeVideo))
		got, err := pc.api.engine()
		require.NoError(t, err)
		assert.Equal(t, []int{96}, payloads(got.codecsFor(RTPCodecTypeVideo)))
		assert.Len(t, got.codecsFor(RTPCodecTypeVideo)[0].RTCPFeedback, 3, "the default interceptors need it")
		assert.Same(t, api.interceptors, pc.api.interceptors)
	})
}
