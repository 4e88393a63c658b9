package webrtc

import (
	"strings"
	"testing"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"
)

// What a PeerConnection refuses of audio and video.

func addingTrack(track TrackLocal) func(*connectionSite) error {
	return func(s *connectionSite) error { return second(s.AddTrack(track)) }
}

func addingKind(kind RTPCodecType, init ...RTPTransceiverInit) func(*connectionSite) error {
	return func(s *connectionSite) error { return second(s.AddTransceiverFromKind(kind, init...)) }
}

func addingFrom(track TrackLocal, init ...RTPTransceiverInit) func(*connectionSite) error {
	return func(s *connectionSite) error { return second(s.AddTransceiverFromTrack(track, init...)) }
}

// ownTrack is the one that the site sends.
func ownTrack(s *connectionSite) TrackLocal { return s.media.Sender().Track() }

func badTrack(kind RTPCodecType, rid string) TrackLocal {
	mime := map[RTPCodecType]string{RTPCodecTypeAudio: MimeTypeOpus, RTPCodecTypeVideo: MimeTypeVP8, 0: "text/t140"}[kind]
	track, err := NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: mime}, "bad", "bad", WithRTPStreamID(rid))
	if err != nil {
		return &TrackLocalStaticRTP{}
	}

	return track
}

func namedTrack(id, stream string) TrackLocal {
	track, err := NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: MimeTypeVP8}, id, stream)
	if err != nil {
		panic(err)
	}

	return track
}

var recvonlyInit = RTPTransceiverInit{Direction: RTPTransceiverDirectionRecvonly}

// badWithMedia comes while a connection sends a track and is connected.
var badWithMedia = []badConnectionCall{
	{"PeerConnection.AddTrack", "no track", addingTrack(nil), ErrInvalidArgument, "nil track"},
	{"PeerConnection.AddTrack", "a nil pointer", addingTrack((*TrackLocalStaticRTP)(nil)), ErrInvalidArgument, "nil track"},
	{"PeerConnection.AddTrack", "a zero track", addingTrack(&TrackLocalStaticRTP{}), ErrInvalidArgument, "neither audio nor video"},
	{"PeerConnection.AddTrack", "a track that is sent", func(s *connectionSite) error {
		return second(s.AddTrack(ownTrack(s)))
	}, ErrInvalidState, "a sender has the track"},
	{"PeerConnection.AddTrack", "a name with a blank", addingTrack(namedTrack("a b", "stream")), ErrInvalidArgument, `"a b"`},
	{"PeerConnection.AddTrack", "a stream with a line end", addingTrack(namedTrack("a", "s\r\na=x")), ErrInvalidArgument, "stream"},
	{"PeerConnection.AddTransceiverFromTrack", "a name too long", addingFrom(namedTrack(strings.Repeat("x", 1000), "stream")), ErrInvalidArgument, "xxx"},
	{"PeerConnection.RemoveTrack", "no sender", func(s *connectionSite) error { return s.RemoveTrack(nil) }, ErrInvalidArgument, "sender"},
	{"PeerConnection.RemoveTrack", "a zero sender", func(s *connectionSite) error { return s.RemoveTrack(&RTPSender{}) }, ErrInvalidArgument, "sender"},
	{"PeerConnection.RemoveTrack", "a sender of the peer's", func(s *connectionSite) error {
		return s.RemoveTrack(s.peer.GetSenders()[0])
	}, ErrSenderNotCreatedByConnection, "no such sender"},
	{"PeerConnection.AddTransceiverFromKind", "no kind", addingKind(0), ErrInvalidArgument, "neither audio nor video"},
	{"PeerConnection.AddTransceiverFromKind", "an unknown kind", addingKind(77), ErrInvalidArgument, "neither audio nor video"},
	{"PeerConnection.AddTransceiverFromKind", "two inits", addingKind(RTPCodecTypeVideo, recvonlyInit, recvonlyInit), ErrInvalidArgument, "one init"},
	{"PeerConnection.AddTransceiverFromKind", "an unknown direction", addingKind(RTPCodecTypeVideo, RTPTransceiverInit{Direction: 77}), ErrInvalidArgument, "77"},
	{"PeerConnection.AddTransceiverFromKind", "several encodings", addingKind(RTPCodecTypeVideo, RTPTransceiverInit{
		SendEncodings: []RTPEncodingParameters{{RTPCodingParameters{RID: "a"}}, {RTPCodingParameters{RID: "b"}}},
	}), ErrInvalidArgument, "AddEncoding"},
	{"PeerConnection.AddTransceiverFromTrack", "no track", addingFrom(nil), ErrInvalidArgument, "nil track"},
	{"PeerConnection.AddTransceiverFromTrack", "a track, and recvonly", addingFrom(badTrack(RTPCodecTypeVideo, ""), recvonlyInit), ErrInvalidArgument, "recvonly"},
	{"PeerConnection.AddTransceiverFromTrack", "another RID than the track's", addingFrom(badTrack(RTPCodecTypeVideo, "a"), RTPTransceiverInit{
		SendEncodings: []RTPEncodingParameters{{RTPCodingParameters{RID: "b"}}},
	}), ErrInvalidArgument, "RID"},
	{"PeerConnection.AddTransceiverFromTrack", "a track that is sent", func(s *connectionSite) error {
		return second(s.AddTransceiverFromTrack(ownTrack(s)))
	}, ErrInvalidState, "a sender has the track"},
	{"PeerConnection.WriteRTCP", "no packets", func(s *connectionSite) error { return s.WriteRTCP(nil) }, ErrInvalidArgument, "no packets"},
	{"PeerConnection.WriteRTCP", "a nil packet", func(s *connectionSite) error {
		return s.WriteRTCP([]rtcp.Packet{(*rtcp.PictureLossIndication)(nil)})
	}, ErrInvalidArgument, "nil"},
	{"RTPTransceiver.SetMid", "another mid than it has", func(s *connectionSite) error { return s.media.SetMid("x") }, ErrInvalidState, "cannot change"},
	{"RTPTransceiver.SetMid", "no mid", func(s *connectionSite) error { return s.stopped.SetMid("") }, ErrInvalidArgument, "no name"},
	{"RTPTransceiver.SetMid", "a mid with a blank", func(s *connectionSite) error { return s.stopped.SetMid("a b") }, ErrInvalidArgument, "no name"},
	{"RTPTransceiver.SetMid", "a long mid", func(s *connectionSite) error { return s.stopped.SetMid(strings.Repeat("x", 1000)) }, ErrInvalidArgument, "no name"},
	{"RTPTransceiver.SetMid", "the mid of another", func(s *connectionSite) error { return s.stopped.SetMid(s.media.Mid()) }, ErrInvalidArgument, "another section"},
	{"RTPTransceiver.SetCodecPreferences", "an unknown codec", func(s *connectionSite) error {
		return s.media.SetCodecPreferences([]RTPCodecParameters{{RTPCodecCapability: RTPCodecCapability{MimeType: "video/none", ClockRate: 90000}}})
	}, ErrUnsupportedCodec, "none"},
	{"RTPTransceiver.SetSender", "no sender", func(s *connectionSite) error { return s.media.SetSender(nil, nil) }, ErrInvalidArgument, "sender"},
	{"RTPTransceiver.SetSender", "a sender of the peer's", func(s *connectionSite) error {
		return s.media.SetSender(s.peer.GetSenders()[0], nil)
	}, ErrInvalidArgument, "another connection"},
	{"RTPTransceiver.SetSender", "a stopped transceiver", func(s *connectionSite) error {
		sender, err := s.api.NewRTPSender(badTrack(RTPCodecTypeVideo, ""), s.dtls)
		if err != nil {
			return err
		}
		defer sender.Stop() //nolint:errcheck // it returns nil

		return s.stopped.SetSender(sender, nil)
	}, ErrInvalidState, "stopped"},
}

// badWithoutMedia comes after the end.
var badWithoutMedia = []badConnectionCall{
	{"PeerConnection.AddTrack", "a connection that has ended", addingTrack(badTrack(RTPCodecTypeVideo, "")), ErrInvalidState, "ended: closed"},
	{"PeerConnection.AddTransceiverFromKind", "a connection that has ended", addingKind(RTPCodecTypeVideo), ErrInvalidState, "ended: closed"},
	{"PeerConnection.AddTransceiverFromTrack", "a connection that has ended", addingFrom(badTrack(RTPCodecTypeVideo, "")), ErrInvalidState, "ended: closed"},
	{"PeerConnection.RemoveTrack", "a connection that has ended", func(s *connectionSite) error { return s.RemoveTrack(s.media.Sender()) }, ErrInvalidState, "ended: closed"},
	{"PeerConnection.WriteRTCP", "a connection that has ended", func(s *connectionSite) error {
		return s.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{}})
	}, ErrClosed, "closed"},
}

func TestBadCallsOnAPeerConnectionWithMedia(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := peers(t)
		s := newConnectionSite(a, b)
		_, err := a.AddTrack(sampleTrack(t, MimeTypeVP8))
		require.NoError(t, err)
		_, err = b.AddTrack(sampleTrack(t, MimeTypeOpus))
		require.NoError(t, err)
		s.media = a.GetTransceivers()[0]
		negotiate(t, a, b)
		negotiate(t, b, a)
		connectPeers(t, a, b)
		s.stopped, err = a.AddTransceiverFromKind(RTPCodecTypeVideo)
		require.NoError(t, err)
		require.NoError(t, s.stopped.Stop())
		refuses(t, "media", s, badWithMedia)
		requirePeersGone(t, network, a, b)
		require.NoError(t, a.Run(limited(t, testTimeout)))
		refuses(t, "over", s, badWithoutMedia)
	})
}
