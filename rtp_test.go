package webrtc

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/pkg/media"
)

// srtpConfig is what the media of a connected transport would start with.
func (t *DTLSTransport) srtpConfig() (*srtp.Config, error) {
	state, err := t.connectedState("srtp keys")
	if err != nil {
		return nil, err
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()

	return handshakeResult{state, t.profile, t.client}.srtpConfig()
}

// sender makes and starts a sender of a track.
func (s *stack) sender(tb testing.TB, track TrackLocal) *RTPSender {
	tb.Helper()
	sender, err := s.api.NewRTPSender(track, s.dtls)
	require.NoError(tb, err)
	require.NoError(tb, sender.Send(sender.GetParameters()))

	return sender
}

// receiver makes and starts the receiver of a peer's sender.
func (s *stack) receiver(tb testing.TB, sender *RTPSender) *RTPReceiver {
	tb.Helper()
	receiver, err := s.api.NewRTPReceiver(sender.kind, s.dtls)
	require.NoError(tb, err)
	params := RTPReceiveParameters{}
	for _, e := range sender.GetParameters().Encodings {
		params.Encodings = append(params.Encodings, RTPDecodingParameters(e))
	}
	require.NoError(tb, receiver.Receive(params))

	return receiver
}

func sampleTrack(tb testing.TB, mimeType string) *TrackLocalStaticSample {
	tb.Helper()
	track, err := NewTrackLocalStaticSample(RTPCodecCapability{MimeType: mimeType}, "track", "stream")
	require.NoError(tb, err)

	return track
}

func TestMediaStepByStep(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		track := sampleTrack(t, MimeTypeVP8)
		sender := a.sender(t, track)
		receiver := b.receiver(t, sender)
		require.NoError(t, track.WriteSample(media.Sample{Data: make([]byte, 3000), Duration: time.Second / 30}))
		remote := receiver.Track()
		require.NotNil(t, remote)
		for i := range 3 {
			p, _, err := remote.ReadRTPContext(t.Context())
			require.NoError(t, err)
			assert.EqualValues(t, sender.GetParameters().Encodings[0].SSRC, p.SSRC)
			assert.EqualValues(t, 96, p.PayloadType)
			assert.Equal(t, i == 2, p.Marker)
		}
		assert.Equal(t, MimeTypeVP8, remote.Codec().MimeType)

		_, err := b.dtls.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(remote.SSRC())}})
		require.NoError(t, err)
		packets, _, err := sender.ReadRTCPContext(t.Context())
		require.NoError(t, err)
		assert.IsType(t, &rtcp.PictureLossIndication{}, packets[0])

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err = remote.ReadRTPContext(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		require.NoError(t, a.ice.Shutdown(t.Context()))
		_, _, err = remote.ReadRTP()
		require.Equal(t, io.EOF, err)
		require.ErrorIs(t, track.WriteSample(media.Sample{Data: []byte{1}}), nil)
		require.Equal(t, io.EOF, receiver.Run(t.Context()))
		require.NoError(t, sender.Run(t.Context()))
		stopped(t, network, a, b)
	})
}

func TestMediaSendsAgainWhatIsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
		track, err := NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: MimeTypeVP8}, "track", "stream")
		require.NoError(t, err)
		sender := a.sender(t, track)
		receiver := b.receiver(t, sender)
		got := make(chan uint16, 100)
		go func() {
			for {
				p, _, err := receiver.Track().ReadRTP()
				if err != nil {
					close(got)

					return
				}
				got <- p.SequenceNumber
			}
		}()
		for i := range uint16(20) {
			network.Cut(i == 10)
			require.NoError(t, track.WriteRTP(&rtp.Packet{
				Header: rtp.Header{Version: 2, SequenceNumber: i, Timestamp: uint32(i) * 3000}, Payload: []byte{byte(i), 1, 2},
			}))
			time.Sleep(33 * time.Millisecond)
		}
		time.Sleep(time.Second)
		stopped(t, network, a, b)
		var numbers []uint16
		for n := range got {
			numbers = append(numbers, n)
		}
		require.Len(t, numbers, 20)
		require.Contains(t, numbers, uint16(10))
	})
}

// What had come before the peer's graceful end can be read, also by a reader that is
// late, and has never read before.
func TestMediaIsReadToItsEnd(t *testing.T) {
	for _, begun := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			a, b, network := connectedPair(t, SettingEngine{}, SettingEngine{})
			track, err := NewTrackLocalStaticRTP(RTPCodecCapability{MimeType: MimeTypeVP8}, "track", "stream")
			require.NoError(t, err)
			sender := a.sender(t, track)
			receiver := b.receiver(t, sender)
			write := func(number uint16) {
				require.NoError(t, track.WriteRTP(&rtp.Packet{
					Header: rtp.Header{Version: 2, SequenceNumber: number}, Payload: []byte{byte(number), 1, 2},
				}))
			}
			next := uint16(0)
			if begun {
				write(0)
				_, _, err = receiver.Track().ReadRTPContext(limited(t, testTimeout))
				require.NoError(t, err)
				next = 1
			}
			for number := next; number < 10; number++ {
				write(number)
			}
			time.Sleep(time.Second)
			require.NoError(t, a.ice.Shutdown(t.Context()))
			require.Equal(t, io.EOF, receiver.Run(limited(t, testTimeout)))
			for ; next < 10; next++ {
				p, _, err := receiver.Track().ReadRTP()
				require.NoError(t, err)
				require.Equal(t, next, p.SequenceNumber)
			}
			_, _, err = receiver.Track().ReadRTP()
			require.Equal(t, io.EOF, err)
			stopped(t, network, a, b)
		})
	}
}
