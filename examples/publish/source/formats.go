package source

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/h264reader"
	"github.com/ctxrtc/webrtc/pkg/media/ivfreader"
	"github.com/ctxrtc/webrtc/pkg/media/oggreader"
)

// video is a codec as it is offered by default; the sender takes the one of those
// agreed on that fits best.
func video(mimeType, line string) webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: mimeType, ClockRate: 90000, SDPFmtpLine: line}
}

var (
	h264 = video(webrtc.MimeTypeH264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
	opus = webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
	}
)

// ivf has frames with the time at which each is shown. How long that is, the next
// one tells.
type ivf struct {
	reader *ivfreader.IVFReader
	unit   float64 // of the times, in seconds
	data   []byte  // the frame that comes next, nil after the last
	at     uint64
	last   time.Duration // of a frame
}

func readIVF(in io.Reader, fps float64) (samples, webrtc.RTPCodecCapability, error) {
	reader, header, err := ivfreader.NewWith(in)
	if err != nil {
		return nil, webrtc.RTPCodecCapability{}, err
	}
	var codec webrtc.RTPCodecCapability
	switch header.FourCC {
	case "VP80":
		codec = video(webrtc.MimeTypeVP8, "")
	case "VP90":
		codec = video(webrtc.MimeTypeVP9, "profile-id=0")
	case "AV01":
		codec = video(webrtc.MimeTypeAV1, "")
	default:
		return nil, codec, fmt.Errorf("ivf: %q is not VP8, VP9 or AV1", header.FourCC)
	}
	f := &ivf{
		reader: reader, last: perSecond(fps),
		unit: float64(header.TimebaseNumerator) / float64(header.TimebaseDenominator),
	}

	return f, codec, f.advance()
}

func (f *ivf) advance() error {
	data, header, err := f.reader.ParseNextFrame()
	if errors.Is(err, io.EOF) {
		f.data = nil

		return nil
	}
	if err != nil {
		return err
	}
	f.data, f.at = data, header.PTS

	return nil
}

// longest is the longest that a frame is shown. What says more is no video that
// somebody waits for.
const longest = time.Minute

func (f *ivf) next() (media.Sample, error) {
	if f.data == nil {
		return media.Sample{}, io.EOF
	}
	sample, at := media.Sample{Data: f.data}, f.at
	if err := f.advance(); err != nil {
		return media.Sample{}, err
	}
	if f.data != nil {
		seconds := (float64(f.at) - float64(at)) * f.unit
		if seconds < 0 || seconds > longest.Seconds() {
			return media.Sample{}, fmt.Errorf("ivf: %w: the frame after that at %d is at %d", media.ErrMalformed, at, f.at)
		}
		f.last = time.Duration(seconds * float64(time.Second))
	}
	sample.Duration = f.last

	return sample, nil
}

// annexB has pictures of several units each, and no times.
type annexB struct {
	reader   *h264reader.H264Reader
	duration time.Duration
	unit     *h264reader.NAL // that begins the next picture
}

func readH264(in io.Reader, fps float64) (samples, webrtc.RTPCodecCapability, error) {
	reader, err := h264reader.NewReader(in)

	return &annexB{reader: reader, duration: perSecond(fps)}, h264, err
}

func perSecond(fps float64) time.Duration { return time.Duration(float64(time.Second) / fps) }

// next collects the units up to those that begin another picture.
// https://www.itu.int/rec/T-REC-H.264 7.4.1.2.3
func (a *annexB) next() (media.Sample, error) {
	var data []byte
	picture := false
	for {
		unit := a.unit
		a.unit = nil
		if unit == nil {
			var err error
			if unit, err = a.reader.NextNAL(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return media.Sample{}, err
			}
		}
		slice := unit.UnitType >= h264reader.NalUnitTypeCodedSliceNonIdr && unit.UnitType <= h264reader.NalUnitTypeCodedSliceIdr
		// A slice that begins with the first macroblock has a one there: it is a
		// number in Exp-Golomb code, and zero.
		first := slice && len(unit.Data) > 1 && unit.Data[1]&0x80 != 0
		if picture && (first || !slice) {
			a.unit = unit

			break
		}
		picture = picture || slice
		data = append(append(data, 0, 0, 0, 1), unit.Data...)
	}
	if data == nil {
		return media.Sample{}, io.EOF
	}

	return media.Sample{Data: data, Duration: a.duration}, nil
}

// ogg has packets of Opus.
type ogg struct{ reader *oggreader.OggReader }

func readOgg(in io.Reader, _ float64) (samples, webrtc.RTPCodecCapability, error) {
	reader, _, err := oggreader.NewWith(in) // which is behind OpusHead then

	return &ogg{reader}, opus, err
}

func (o *ogg) next() (media.Sample, error) {
	for {
		packet, header, err := o.reader.ParseNextPacket()
		if err != nil {
			return media.Sample{}, err
		}
		if _, ok := header.HeaderType(packet); ok {
			continue // OpusTags
		}
		duration, err := opusDuration(packet)
		if err != nil {
			return media.Sample{}, err
		}

		return media.Sample{Data: packet, Duration: duration}, nil
	}
}

// opusDuration reads from a packet how much sound is in it.
// https://www.rfc-editor.org/rfc/rfc6716#section-3.1
func opusDuration(packet []byte) (time.Duration, error) {
	if len(packet) == 0 {
		return 0, fmt.Errorf("opus: %w: a packet of no bytes", media.ErrMalformed)
	}
	var frame time.Duration
	switch config := packet[0] >> 3; {
	case config < 12: // SILK
		frame = []time.Duration{
			10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond,
		}[config%4]
	case config < 16: // both
		frame = []time.Duration{10 * time.Millisecond, 20 * time.Millisecond}[config%2]
	default: // CELT
		frame = 2500 * time.Microsecond << (config % 4)
	}
	frames := 1
	switch packet[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(packet) < 2 {
			return 0, fmt.Errorf("opus: %w: no number of frames", media.ErrMalformed)
		}
		frames = int(packet[1] & 0x3f)
	}
	if total := time.Duration(frames) * frame; total > 0 && total <= 120*time.Millisecond {
		return total, nil
	}

	return 0, fmt.Errorf("opus: %w: %d frames of %v in a packet", media.ErrMalformed, frames, frame)
}
