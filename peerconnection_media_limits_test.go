package webrtc

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/jsep"
	"github.com/ctxrtc/webrtc/internal/testnet"
)

// manySections is an offer of as many sections of video as there may be, all with the
// same formats and lines, in place of the sections that an offer has.
func manySections(offer, formats, lines string) string {
	head, rest, _ := strings.Cut(offer, "m=video")
	var text, path strings.Builder
	for line := range strings.Lines(head) {
		if !strings.HasPrefix(line, "a=group") {
			text.WriteString(line)
		}
	}
	for line := range strings.Lines(rest) {
		for _, prefix := range []string{"a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"} {
			if strings.HasPrefix(line, prefix) {
				path.WriteString(line)
			}
		}
	}
	text.WriteString("a=group:BUNDLE")
	for i := range jsep.MaxSections {
		fmt.Fprint(&text, " ", i)
	}
	text.WriteString("\r\n")
	for i := range jsep.MaxSections {
		fmt.Fprintf(&text, "m=video 9 UDP/TLS/RTP/SAVPF%s\r\nc=IN IP4 0.0.0.0\r\n%sa=mid:%d\r\na=rtcp-mux\r\na=sendrecv\r\n%s",
			formats, path.String(), i, lines)
	}

	return text.String()
}

// An offer with the most sections, each with many codecs that differ in their
// parameters alone, is answered, and an offer of ours is made after it, in a time that
// does not grow with their product.
func TestP7_ManyCodecsInManySections(t *testing.T) {
	testnet.Leaks(t)
	a, b := newPeer(t, SettingEngine{}, nil, 0), newPeer(t, SettingEngine{}, nil, 1)
	_, err := a.AddTrack(newSource(t, MimeTypeVP8, "video"))
	require.NoError(t, err)
	offer, err := a.CreateOffer(nil)
	require.NoError(t, err)
	var formats, lines strings.Builder
	codecs, lowest := 25, 35
	if raceEnabled {
		codecs = 15
	}
	for i := range codecs {
		payloadType := lowest + i
		if payloadType >= 64 { // those up to 95 are RTCP's
			payloadType += 32
		}
		fmt.Fprint(&formats, " ", payloadType)
		fmt.Fprintf(&lines, "a=rtpmap:%d H264/90000\r\na=fmtp:%d profile-level-id=58%02x1f\r\n", payloadType, payloadType, i)
	}
	text := manySections(offer.SDP, formats.String(), lines.String())
	quick := func(name string, f func() error) {
		t.Helper()
		began := time.Now()
		require.NoError(t, f(), name)
		require.Less(t, time.Since(began), slowestDescription, name)
	}
	quick("offer", func() error { return b.SetRemoteDescription(SessionDescription{Type: SDPTypeOffer, SDP: text}) })
	quick("answer", func() error { return b.SetLocalDescription(SessionDescription{}) })
	quick("offer after it", func() error {
		_, err := b.CreateOffer(nil)

		return err
	})
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

// A description with the most encodings in the most sections costs no more than the
// limit of a connection.
func TestX1_ManyEncodingsInManySections(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has a heap of its own")
	}
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		_, err := a.AddTrack(newSource(t, MimeTypeVP8, "video"))
		require.NoError(t, err)
		require.NoError(t, a.SetLocalDescriptionContext(limited(t, testTimeout), SessionDescription{}))
		const rids = 4 // 1,024 in all
		var lines strings.Builder
		names := make([]string, rids)
		for i := range names {
			names[i] = fmt.Sprint(i)
			fmt.Fprintf(&lines, "a=rid:%d send\r\n", i)
		}
		lines.WriteString("a=rtpmap:96 VP8/90000\r\na=simulcast:send " + strings.Join(names, ";") + "\r\n")
		text := manySections(a.LocalDescription().SDP, " 96", lines.String())
		ctx := limited(t, testTimeout)
		before := heapInUse()
		require.NoError(t, b.SetRemoteDescriptionContext(ctx, SessionDescription{Type: SDPTypeOffer, SDP: text}))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		synctest.Wait()
		grown := int64(heapInUse()) - int64(before)
		requirePeersGone(t, network, a, b)
		require.Less(t, grown, int64(8<<20))
	})
}

// A stream that has ended leaves its place among those that were not signaled: there
// may be any number of them one after the other, told by their RID or by nothing but
// their payload type.
func TestX4_UnsignaledStreamsOneAfterTheOther(t *testing.T) {
	for name, row := range map[string]struct {
		encoding RTPCodingParameters
		items    map[string]string
	}{
		"by RID":          {RTPCodingParameters{RID: "low"}, map[string]string{sdesRID: "low"}},
		"by payload type": {},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b, network := stacksWith(t, noInterceptors, noInterceptors)
				in, params := newInsider(t, a), oddParameters()
				for i := range uint32(2*defaultMaxUnsignaledStreams + 1) {
					receiver, err := b.api.NewRTPReceiver(RTPCodecTypeVideo, b.dtls)
					require.NoError(t, err)
					receiver.SetRTPParameters(params)
					require.NoError(t, receiver.receive("test", []RTPCodingParameters{row.encoding}))
					in.rtp(named(t, params, 100+i, 1, 50, row.items, 1))
					_, _, err = receiver.Tracks()[0].ReadRTPContext(limited(t, testTimeout))
					require.NoError(t, err, "stream %d: %+v", i, b.dtls.SRTPStats())
					require.NoError(t, receiver.Stop())
				}
				stopped(t, network, a, b)
			})
		})
	}
}

// A track of the program's whose Bind blocks holds up its sender alone, and not the
// connection.
func TestE2_ABindThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := peers(t)
		unblock := make(chan struct{})
		_, err := a.AddTrack(&hooked{TrackLocalStaticRTP: rtpTrack(t), bind: func() { <-unblock }})
		require.NoError(t, err)
		ctx := limited(t, testTimeout)
		require.NoError(t, a.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.NoError(t, b.SetRemoteDescriptionContext(ctx, *a.LocalDescription()))
		require.NoError(t, b.SetLocalDescriptionContext(ctx, SessionDescription{}))
		require.NoError(t, a.SetRemoteDescription(*b.LocalDescription()))
		err = a.Connect(limited(t, 20*time.Second))
		close(unblock)
		synctest.Wait()
		requirePeersGone(t, network, a, b)
		require.NoError(t, err)
	})
}
