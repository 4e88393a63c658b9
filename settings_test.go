package webrtc

import (
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSettingDefaults(t *testing.T) {
	api := NewAPI()
	require.NoError(t, api.ready("test"))
	s := api.settings

	assert.Equal(t, []NetworkType{NetworkTypeUDP4, NetworkTypeUDP6}, s.ICE.NetworkTypes)
	assert.Equal(t, 1<<20, s.ICE.ReadBufferSize)
	assert.Zero(t, s.ICE.WriteBufferSize)
	assert.Equal(t, 64, s.ICE.MaxRemoteCandidates)
	assert.Equal(t, 100, s.ICE.MaxCandidatePairs)
	assert.Zero(t, s.ICE.FailedGrace)
	assert.False(t, s.ICE.loopbackRemotesAllowed())
	assert.False(t, s.ICE.AllowLinkLocalRemote)
	assert.False(t, s.ICE.EnableActiveTCP)

	assert.Equal(t, 30*time.Second, s.DTLS.StartTimeout)
	assert.Equal(t, 100*time.Millisecond, s.DTLS.RetransmissionInterval)
	assert.Equal(t, 1200, s.DTLS.MTU)
	assert.Equal(t, 32768, s.DTLS.MaxHandshakeBytes)
	assert.EqualValues(t, 64, s.DTLS.ReplayProtectionWindow)
	assert.Equal(t, dtls.RequireAnyClientCert, *s.DTLS.InsecureClientAuth)

	assert.Equal(t, 30*time.Second, s.SCTP.StartTimeout)
	assert.EqualValues(t, 1191, s.SCTP.MTU)
	assert.EqualValues(t, 1<<20, s.SCTP.MaxMessageSize)

	assert.EqualValues(t, 1024, s.DataChannel.MaxChannels)
	assert.Equal(t, 128, s.DataChannel.AcceptBacklog)
	assert.Equal(t, 30*time.Second, s.DataChannel.OpenTimeout)
	assert.Equal(t, 16384, s.DataChannel.MaxUnreadMessages)
	assert.Equal(t, 1<<20, s.DataChannel.MaxBuffered)
	assert.Equal(t, 16<<20, s.DataChannel.MaxAssociationBuffered)

	assert.Equal(t, []dtls.SRTPProtectionProfile{
		dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80,
	}, s.SRTP.ProtectionProfiles)
	assert.EqualValues(t, 64, s.SRTP.ReplayProtectionWindow)
	assert.EqualValues(t, 64, s.SRTP.RTCPReplayProtectionWindow)
	assert.EqualValues(t, 1500, s.ReceiveMTU)
	assert.NotNil(t, s.LoggerFactory)
}

func TestS6_ReceiveWindowFitsFastLongPath(t *testing.T) {
	const bitsPerSecond, roundTrip = 400_000_000, 0.1
	s := NewAPI().settings.SCTP
	assert.GreaterOrEqual(t, float64(s.MaxReceiveBufferSize), bitsPerSecond/8*roundTrip+float64(s.MaxMessageSize))
	assert.Less(t, s.MaxReceiveBufferSize, uint32(8_000_000))
}

func TestSettingsThatDependOnOthers(t *testing.T) {
	var e SettingEngine
	e.SCTP.MaxReceiveBufferSize = 100_000
	e.SCTP.StartTimeout, e.DTLS.StartTimeout, e.DataChannel.OpenTimeout = -1, -1, -1
	e.ICE.IncludeLoopback = true
	s := NewAPI(WithSettingEngine(e)).settings
	assert.EqualValues(t, 50_000, s.SCTP.MaxMessageSize, "half of a small window")
	assert.Negative(t, s.SCTP.StartTimeout, "none stays none")
	assert.Negative(t, s.DTLS.StartTimeout, "none stays none")
	assert.Negative(t, s.DataChannel.OpenTimeout, "none stays none")
	assert.True(t, s.ICE.loopbackRemotesAllowed())

	// The accessors also serve settings that no API has resolved.
	zero := &SettingEngine{}
	assert.Equal(t, 64, zero.ICE.maxRemoteCandidates())
	assert.Equal(t, 100, zero.ICE.maxCandidatePairs())

	factory := logging.NewDefaultLoggerFactory()
	zero.LoggerFactory = factory
	assert.Same(t, factory, zero.loggerFactory())
}
