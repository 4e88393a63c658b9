package webrtc

import (
	"context"
	"crypto/x509"
	"io"
	"slices"
	"time"

	"github.com/pion/dtls/v3"
	dtlselliptic "github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/logging"
	"github.com/pion/transport/v5"
)

// SettingEngine holds all settings, a struct for each layer. Its zero value is
// the default. Fill it in, by its fields or by the setters that pion programs
// use, and give it to an API with WithSettingEngine, which copies it. It is
// not safe for use by several goroutines at once.
//
// What makes a connection less secure than the default has Insecure in its
// field's name.
type SettingEngine struct {
	ICE         ICESettings
	DTLS        DTLSSettings
	SCTP        SCTPSettings
	DataChannel DataChannelSettings
	SRTP        SRTPSettings
	Media       MediaSettings

	// Net is the network that all sockets are made on: those of candidates and to
	// servers by ListenUDP and the dialers, those of multicast DNS by ListenUDP.
	// Interfaces is asked at each gathering, and again and again with
	// ICESettings.ContinualGathering. If nil, it is the machine's.
	Net transport.Net

	// LoggerFactory makes the loggers of all layers. If nil, it is pion's
	// default, which reads the PION_LOG variables of the environment. See
	// also NewSlogLoggerFactory.
	LoggerFactory logging.LoggerFactory

	// ReceiveMTU is the size in bytes of the buffer that a media packet is
	// read into. If zero, 1500. It is kept for media and has no effect yet;
	// data channels do not depend on it.
	ReceiveMTU uint

	// refused is the first bad argument of a setter that returns no error.
	refused error
}

// DTLSSettings are the settings of DTLSTransport.
type DTLSSettings struct {
	// StartTimeout bounds a start, whatever its context allows; it then fails
	// with ErrHandshakeTimeout. It counts until ICE has a valid pair, and anew
	// from then on. If zero, 30 s. If negative, there is none.
	StartTimeout time.Duration

	// RetransmissionInterval is the time after which the first unanswered
	// flight is sent again; it doubles from one repetition to the next. If
	// zero, 100 ms. https://datatracker.ietf.org/doc/html/rfc6347#section-4.2.4.1
	RetransmissionInterval time.Duration

	// HelloVerify makes a server ask for a cookie before it does any work.
	// That takes a round trip, and ICE has validated the address already.
	HelloVerify bool

	// AnsweringRole is our role if the peer leaves it to us. If zero, the
	// controlling side of ICE is the server and the other the client.
	AnsweringRole DTLSRole

	// VerifyPeerCertificate is called with the peer's certificate after it
	// has matched its fingerprint and before anything is sent or delivered.
	// An error ends the start with that error. The context is the start's.
	VerifyPeerCertificate func(ctx context.Context, certificate *x509.Certificate) error

	// VerifyChain makes a client verify the server's certificate chain, as
	// well as its fingerprint.
	VerifyChain bool

	// RootCAs are the authorities a client verifies against if VerifyChain is
	// set. If nil, the machine's.
	RootCAs *x509.CertPool

	// ClientCAs are the authorities a server verifies against if
	// InsecureClientAuth is one of the values that verify.
	ClientCAs *x509.CertPool

	// InsecureClientAuth is what a server asks of the client's certificate. If
	// nil, it requires one, whose fingerprint is verified. The values below
	// dtls.RequireAnyClientCert let a client in without.
	InsecureClientAuth *dtls.ClientAuthType

	// InsecureSkipFingerprintVerification takes any certificate, so that
	// anybody on the path can be the peer.
	InsecureSkipFingerprintVerification bool

	// RequireExtendedMasterSecret refuses a peer without it. If false, it is
	// used if the peer has it. https://datatracker.ietf.org/doc/html/rfc7627
	RequireExtendedMasterSecret bool

	// InsecureDisableExtendedMasterSecret never uses the extended master
	// secret, which binds the keys to the handshake.
	InsecureDisableExtendedMasterSecret bool

	// InsecureKeyLogWriter gets the secrets of every session in the NSS key
	// log format, with which anybody can decrypt it.
	InsecureKeyLogWriter io.Writer

	// MTU is the size in bytes, without UDP and IP, that handshake messages
	// are fragmented to. If zero, 1200.
	MTU int

	// MaxHandshakeBytes is how many inbound bytes are taken before the
	// handshake is done; the rest is dropped. If zero, 32 KiB.
	MaxHandshakeBytes int

	// ReplayProtectionWindow is how many records behind the newest a record
	// may come and still be taken. If zero, 64.
	ReplayProtectionWindow uint

	// CipherSuites are offered and taken in this order. If empty, those of
	// the dtls module.
	CipherSuites []dtls.CipherSuiteID

	// CustomCipherSuites returns suites of the program's own, which come
	// before the others.
	CustomCipherSuites func() []dtls.CipherSuite

	// EllipticCurves are offered and taken in this order. If empty, those of
	// the dtls module.
	EllipticCurves []dtlselliptic.Curve

	// SupportedProtocols are the names for ALPN. If empty, it is not used.
	// https://datatracker.ietf.org/doc/html/rfc8833
	SupportedProtocols []string

	// ConnectContextMaker, if not nil, makes the context of a Start that was
	// given none, and the function that releases it.
	ConnectContextMaker func() (context.Context, func())

	// ClientHelloMessageHook, ServerHelloMessageHook and
	// CertificateRequestMessageHook replace a message before it is sent. They
	// run during the handshake and must not block.
	ClientHelloMessageHook        func(handshake.MessageClientHello) handshake.Message
	ServerHelloMessageHook        func(handshake.MessageServerHello) handshake.Message
	CertificateRequestMessageHook func(handshake.MessageCertificateRequest) handshake.Message

	// KeepOpenOnClose keeps a PeerConnection open when its DTLS transport has
	// closed, until ICE fails.
	KeepOpenOnClose bool
}

// SCTPSettings are the settings of SCTPTransport.
type SCTPSettings struct {
	// StartTimeout bounds a start, whatever its context allows; it then fails
	// with ErrHandshakeTimeout. If zero, 30 s. If negative, there is none.
	StartTimeout time.Duration

	// MTU is the size in bytes of the largest SCTP packet that we send: what
	// is left for SCTP of the path's MTU. If zero, 1191: with 37 bytes of
	// DTLS, and UDP and IPv6, it stays within the 1280 that every path takes.
	MTU uint32

	// MaxReceiveBufferSize is the receive window in bytes: how much the peer
	// can have on the way or unread by us. If zero, 6 MiB: what a path of
	// 100 ms at 400 Mbit/s carries, and one message of 1 MiB.
	MaxReceiveBufferSize uint32

	// MaxMessageSize is the largest message in bytes that we take, which
	// signaling tells the peer; a larger one ends its channel. It can be at most
	// half of MaxReceiveBufferSize. If zero, 1 MiB or that half, whichever is
	// less.
	MaxMessageSize uint32

	// RTOMax is the longest time until a retransmission. If zero, 60 s.
	// https://datatracker.ietf.org/doc/html/rfc9260#section-6.3.1
	RTOMax time.Duration

	// MinCwnd is the size in bytes that the congestion window never falls
	// below. If zero, SCTP's own rules hold alone.
	MinCwnd uint32

	// FastRtxWnd is how many bytes a fast retransmission may send at once. If
	// zero, one MTU.
	FastRtxWnd uint32

	// CwndCAStep is by how many bytes the congestion window grows in a round
	// trip of congestion avoidance. If zero, one MTU.
	CwndCAStep uint32

	// DisableZeroChecksum stops us from offering packets without CRC, which
	// DTLS makes superfluous. https://datatracker.ietf.org/doc/html/rfc9653
	DisableZeroChecksum bool

	// DisableInterleaving stops us from offering the interleaving of
	// messages. https://datatracker.ietf.org/doc/html/rfc8260
	DisableInterleaving bool

	// RACKMinRTTWindow is for how long a measured round trip counts for the
	// shortest one, from which the time is derived that a packet may come
	// late before it is taken for lost. A path whose round trip has grown for
	// good is noticed after as long. If zero, 30 s.
	// https://www.rfc-editor.org/rfc/rfc8985#section-6.2
	RACKMinRTTWindow time.Duration

	// RACKReorderingWindowFloor is the least time that a packet may come late
	// before it is taken for lost, for paths that change the order of packets
	// by more than a quarter of the shortest round trip; never more than the
	// smoothed round trip. If zero, that quarter.
	RACKReorderingWindowFloor time.Duration

	// RACKWorstCaseDelayedAck is how long the peer may keep the
	// acknowledgement of a single packet back: a probe for a lost tail waits
	// for two round trips and this. If zero, 200 ms.
	RACKWorstCaseDelayedAck time.Duration

	// SNAP is to offer the SCTP handshake in signaling, in SCTPCapabilities:
	// channels can send at once then, instead of after two round trips. It is
	// used if GetCapabilities was called before the start and the peer's
	// capabilities have it too; a peer that begins a handshake all the same
	// gets one.
	// A PeerConnection always offers it, unless DisableSNAP is set.
	// https://datatracker.ietf.org/doc/draft-hancke-tsvwg-snap/
	SNAP bool

	// DisableSNAP keeps a PeerConnection from offering the SCTP handshake in
	// its descriptions. It does not go with SNAP.
	DisableSNAP bool
}

// DataChannelSettings are the settings of data channels. The limits are for
// each association.
type DataChannelSettings struct {
	// MaxChannels is how many channels there can be at a time. More of ours are
	// ErrInvalidState, more of the peer's are reset. If zero, 1024.
	MaxChannels uint16

	// AcceptBacklog is how many channels that the peer opened can wait for
	// AcceptDataChannel; the next ones are reset. If zero, 128.
	AcceptBacklog int

	// OpenTimeout is how long a stream that the peer has opened can be
	// without a complete first message: it is reset then, and takes no place
	// any more. If zero, 30 s. If negative, it is for ever.
	OpenTimeout time.Duration

	// MaxUnreadMessages is how many messages of all channels together can
	// have come and wait to be read; the peer has to wait then, as it does
	// when SCTP.MaxReceiveBufferSize is full. A message costs some 256 bytes
	// beside its data, which the window that the peer is told counts, too. The
	// number does not bound channels that are detached. If zero, 16,384.
	MaxUnreadMessages int

	// MaxBuffered is how many bytes of a channel can be queued before a
	// sender with a context waits. What describes a message counts too, as 256
	// bytes, so that many small ones cost no more memory than a few long ones.
	// A message of any size is taken while the queue is half empty. If zero,
	// 1 MiB.
	MaxBuffered int

	// MaxAssociationBuffered is how many bytes of all channels together can
	// be queued before Send fails with ErrBufferFull. What describes a message
	// counts too, as in MaxBuffered. If zero, 16 MiB.
	MaxAssociationBuffered int

	// Detach has the program detach all channels, to read them.
	Detach bool

	// BlockWrite, together with Detach, makes the Write of a detached channel,
	// and Send too, wait until what was written before has been sent.
	BlockWrite bool
}

// MediaSettings are the settings of audio and video in a PeerConnection.
type MediaSettings struct {
	// TellTracksEarly tells OnTrack of a track when it was negotiated, and not with
	// its first packet: what the track says of its codec is a guess then. Of
	// simulcast the first packets still tell.
	TellTracksEarly bool

	// IgnoreRIDPause leaves out of answers that the peer has paused a stream of
	// simulcast, so that it may send it.
	IgnoreRIDPause bool

	// DisableEngineCopy has connections use the MediaEngine of the API itself, and
	// not what it had when they were made: what is registered later counts for their
	// next descriptions. The engine must not be another API's then.
	DisableEngineCopy bool
}

// SRTPSettings are the settings of media: their encryption, and what is kept of
// what arrives.
type SRTPSettings struct {
	// ProtectionProfiles are offered and taken in this order. If empty,
	// AEAD_AES_128_GCM, AEAD_AES_256_GCM, AES128_CM_HMAC_SHA1_80.
	ProtectionProfiles []dtls.SRTPProtectionProfile

	// InsecureAllowNull allows profiles that do not encrypt.
	InsecureAllowNull bool

	// ReplayProtectionWindow and RTCPReplayProtectionWindow are how many
	// packets behind the newest an RTP or RTCP packet may come and still be
	// taken. If zero, 64.
	ReplayProtectionWindow     uint
	RTCPReplayProtectionWindow uint

	// InsecureDisableReplayProtection and InsecureDisableRTCPReplayProtection
	// take a packet as often as it comes.
	InsecureDisableReplayProtection     bool
	InsecureDisableRTCPReplayProtection bool

	// MaxUnsignaledStreams is how many SSRCs, that no receiver knows or takes, may
	// have state; packets of others are dropped. If zero, 512. At most 8,192 have state
	// in the life of a connection, with those that receivers know.
	MaxUnsignaledStreams int

	// MaxQueuedPackets is how many RTP packets of one stream wait to be read. The
	// oldest make room for new ones. If zero, 1,024.
	MaxQueuedPackets int

	// MaxQueuedBytes is how many bytes of RTP packets of all streams of a
	// connection wait to be read; the stream with the most gives up its oldest. If
	// zero, 4 MiB.
	MaxQueuedBytes int
}

const (
	defaultStartTimeout = 30 * time.Second

	// defaultRetransmissionInterval brings a lost flight back within a tenth
	// of the second that RFC 6347 proposes; it says that a deployment may
	// choose, and ICE paths are rarely longer than this.
	defaultRetransmissionInterval = 100 * time.Millisecond

	defaultDTLSMTU           = 1200
	defaultMaxHandshakeBytes = 32 << 10
	defaultReplayWindow      = 64

	defaultMaxUnsignaledStreams = 512
	defaultMaxQueuedPackets     = 1024
	defaultMaxQueuedBytes       = 4 << 20

	defaultReceiveMTU = 1500
	defaultSCTPMTU    = 1191

	// defaultReadBufferSize takes a burst while its reader is not running. With
	// Linux's 208 KiB, one channel on loopback lost hundreds to thousands of
	// packets in two seconds, and carried half as much.
	defaultReadBufferSize = 1 << 20

	// defaultReceiveBufferSize holds what a path of 100 ms at 400 Mbit/s
	// carries, 5 MB, and one message of the largest size waiting for the
	// reader, in whole MiB. It stays under the 8 MB of heap that a peer may
	// cost us, with the 270 bytes that a full packet costs on top.
	defaultReceiveBufferSize = 6 << 20

	// defaultMaxMessageSize fits the send budget of a channel, and is as much
	// as pion/webrtc delivers, whose window is 1 MiB, however much more it
	// announces.
	defaultMaxMessageSize = 1 << 20

	defaultMaxChannels   = 1024
	defaultAcceptBacklog = 128
	defaultOpenTimeout   = 30 * time.Second
	// 16,384 of the smallest messages cost about 4.5 MB: less than the window.
	defaultMaxUnreadMessages      = 16 << 10
	defaultMaxBuffered            = 1 << 20
	defaultMaxAssociationBuffered = 16 << 20
	defaultMaxRemoteCandidates    = 64
	defaultMaxCandidatePairs      = 100
	defaultServerTimeout          = 5 * time.Second
	defaultNetworkMonitorInterval = 2 * time.Second
)

func defaultProtectionProfiles() []dtls.SRTPProtectionProfile {
	return []dtls.SRTPProtectionProfile{
		dtls.SRTP_AEAD_AES_128_GCM, // fastest with AES instructions, and as strong as DTLS's keys
		dtls.SRTP_AEAD_AES_256_GCM,
		dtls.SRTP_AES128_CM_HMAC_SHA1_80, // every endpoint has it: RFC 8827, section 6.5
	}
}

// resolved is a copy that shares nothing that can change, with the default in
// place of every zero that stands for one. What the modules below have
// defaults for that depend on other things stays zero.
func (e *SettingEngine) resolved() *SettingEngine {
	r := *e

	r.ICE.NetworkTypes = slices.Clone(e.ICE.NetworkTypes)
	r.ICE.NAT1To1IPs = slices.Clone(e.ICE.NAT1To1IPs)
	r.ICE.AddressRewriteRules = slices.Clone(e.ICE.AddressRewriteRules)
	for i, rule := range r.ICE.AddressRewriteRules {
		r.ICE.AddressRewriteRules[i].External = slices.Clone(rule.External)
		r.ICE.AddressRewriteRules[i].Networks = slices.Clone(rule.Networks)
	}
	if len(r.ICE.NetworkTypes) == 0 {
		r.ICE.NetworkTypes = []NetworkType{NetworkTypeUDP4, NetworkTypeUDP6}
	}
	setDefault(&r.ICE.ReadBufferSize, defaultReadBufferSize)
	setDefault(&r.ICE.MaxRemoteCandidates, defaultMaxRemoteCandidates)
	setDefault(&r.ICE.MaxCandidatePairs, defaultMaxCandidatePairs)
	setDefault(&r.ICE.STUNGatherTimeout, defaultServerTimeout)
	setDefault(&r.ICE.TURNGatherTimeout, defaultServerTimeout)
	setDefault(&r.ICE.NetworkMonitorInterval, defaultNetworkMonitorInterval)
	r.ICE.Renomination.Enabled = r.ICE.Renomination.Enabled || r.ICE.ContinualGathering

	r.DTLS.CipherSuites = slices.Clone(e.DTLS.CipherSuites)
	r.DTLS.EllipticCurves = slices.Clone(e.DTLS.EllipticCurves)
	r.DTLS.SupportedProtocols = slices.Clone(e.DTLS.SupportedProtocols)
	if auth := e.DTLS.InsecureClientAuth; auth != nil {
		r.DTLS.InsecureClientAuth = ptrTo(*auth)
	} else {
		r.DTLS.InsecureClientAuth = ptrTo(dtls.RequireAnyClientCert)
	}
	setDefault(&r.DTLS.StartTimeout, defaultStartTimeout)
	setDefault(&r.DTLS.RetransmissionInterval, defaultRetransmissionInterval)
	setDefault(&r.DTLS.MTU, defaultDTLSMTU)
	setDefault(&r.DTLS.MaxHandshakeBytes, defaultMaxHandshakeBytes)
	setDefault(&r.DTLS.ReplayProtectionWindow, defaultReplayWindow)

	setDefault(&r.SCTP.StartTimeout, defaultStartTimeout)
	setDefault(&r.SCTP.MTU, defaultSCTPMTU)
	setDefault(&r.SCTP.MaxReceiveBufferSize, defaultReceiveBufferSize)
	setDefault(&r.SCTP.MaxMessageSize, min(defaultMaxMessageSize, r.SCTP.MaxReceiveBufferSize/2))

	setDefault(&r.DataChannel.MaxChannels, defaultMaxChannels)
	setDefault(&r.DataChannel.AcceptBacklog, defaultAcceptBacklog)
	setDefault(&r.DataChannel.OpenTimeout, defaultOpenTimeout)
	setDefault(&r.DataChannel.MaxUnreadMessages, defaultMaxUnreadMessages)
	setDefault(&r.DataChannel.MaxBuffered, defaultMaxBuffered)
	setDefault(&r.DataChannel.MaxAssociationBuffered, defaultMaxAssociationBuffered)

	r.SRTP.ProtectionProfiles = slices.Clone(e.SRTP.ProtectionProfiles)
	if len(r.SRTP.ProtectionProfiles) == 0 {
		r.SRTP.ProtectionProfiles = defaultProtectionProfiles()
	}
	setDefault(&r.SRTP.ReplayProtectionWindow, defaultReplayWindow)
	setDefault(&r.SRTP.RTCPReplayProtectionWindow, defaultReplayWindow)
	setDefault(&r.SRTP.MaxUnsignaledStreams, defaultMaxUnsignaledStreams)
	setDefault(&r.SRTP.MaxQueuedPackets, defaultMaxQueuedPackets)
	setDefault(&r.SRTP.MaxQueuedBytes, defaultMaxQueuedBytes)

	setDefault(&r.ReceiveMTU, defaultReceiveMTU)
	r.LoggerFactory = e.loggerFactory()

	return &r
}

// setDefault fills in a zero.
func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func ptrTo[T any](v T) *T { return &v }

// loggerFactory is the program's logger factory or the default. It is never
// nil.
func (e *SettingEngine) loggerFactory() logging.LoggerFactory {
	if e != nil && e.LoggerFactory != nil {
		return e.LoggerFactory
	}

	return logging.NewDefaultLoggerFactory()
}
