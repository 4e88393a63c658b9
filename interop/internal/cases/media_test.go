package cases

import (
	"testing"

	"github.com/pion/rtp/codecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
)

// The files have five seconds each, and begin with a key frame.
func TestFilesWithMedia(t *testing.T) {
	e := &Env{Dir: "../.."}
	for name, want := range map[string]struct {
		mime    string
		samples int
	}{
		"test.ivf": {webrtc.MimeTypeVP8, 150}, "test.h264": {webrtc.MimeTypeH264, 150}, "test.ogg": {webrtc.MimeTypeOpus, 251},
	} {
		samples, err := e.file(name)
		require.NoError(t, err, name)
		assert.Len(t, samples, want.samples, name)
		depacketizer, key := depacketizerOf(want.mime)
		assert.NotNil(t, depacketizer)
		assert.True(t, key(samples[0].Data), name)
		if want.mime != webrtc.MimeTypeOpus {
			assert.False(t, key(samples[1].Data), name)
			assert.True(t, key(samples[30].Data), name)
		}
	}
	_, err := e.file("none.ivf")
	require.Error(t, err)
	depacketizer, _ := depacketizerOf(webrtc.MimeTypeAV1)
	assert.Nil(t, depacketizer)
}

// Key frames are told in what depacketisers give out, too.
func TestKeyFramesOfDepacketizedPictures(t *testing.T) {
	e := &Env{Dir: "../.."}
	samples, err := e.file("test.h264")
	require.NoError(t, err)
	var frame []byte
	depacketizer := &codecs.H264Packet{}
	for _, payload := range (&codecs.H264Payloader{}).Payload(1200, samples[0].Data) {
		part, err := depacketizer.Unmarshal(payload)
		require.NoError(t, err)
		frame = append(frame, part...)
	}
	assert.True(t, idr(frame))
}
