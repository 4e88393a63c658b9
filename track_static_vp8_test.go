package webrtc

import (
	"bytes"
	"testing"

	"github.com/pion/rtp/codecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryVP8FrameHasANumber(t *testing.T) {
	made, err := payloaderFor(RTPCodecCapability{MimeType: MimeTypeVP8})
	require.NoError(t, err)
	payloader, ok := made.(*vp8Payloader)
	require.True(t, ok)
	frame := bytes.Repeat([]byte{1, 2, 3}, 1000)
	payloader.picture = vp8LargestNo - 3
	for n := range uint16(7) {
		packets := payloader.Payload(1200, frame)
		require.Len(t, packets, 3)
		var got []byte
		for i, packet := range packets {
			assert.LessOrEqual(t, len(packet), 1200)
			var p codecs.VP8Packet
			part, err := p.Unmarshal(packet)
			require.NoError(t, err)
			assert.EqualValues(t, 1, p.I)
			assert.Equal(t, (vp8LargestNo-3+n)&vp8LargestNo, p.PictureID, "zero is a number like others")
			assert.Equal(t, i == 0, p.S == 1)
			got = append(got, part...)
		}
		assert.Equal(t, frame, got)
	}
}

func TestVP8PayloaderWithoutRoomOrFrame(t *testing.T) {
	p := newVP8Payloader()
	before := p.picture
	assert.Empty(t, p.Payload(vp8Descriptor, []byte{1}))
	assert.Empty(t, p.Payload(0, []byte{1}))
	assert.Empty(t, p.Payload(1200, nil))
	assert.Equal(t, before, p.picture)
	assert.Len(t, p.Payload(vp8Descriptor+1, []byte{1, 2, 3}), 3)
}
