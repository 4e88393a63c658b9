package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/h264reader"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"
)

// files has what is sent, from the folder of the laboratory, where peers begin.
const files = "../testdata/media"

// counters of what comes. pion decodes nothing: a frame is the packet that ends it,
// and a packet of audio has 20 ms.
type counters struct{ frames, packets, repaired atomic.Int64 }

// addMedia sends what the request asks for, until the connection ends.
func (c *connection) addMedia(r request) error {
	if r.Audio {
		if err := c.play(webrtc.MimeTypeOpus, "test.ogg", 20*time.Millisecond); err != nil {
			return err
		}
	}
	if r.Video && r.H264 {
		return c.play(webrtc.MimeTypeH264, "test.h264", time.Second/30)
	}
	if r.Video {
		return c.play(webrtc.MimeTypeVP8, "test.ivf", time.Second/30)
	}

	return nil
}

func (c *connection) play(mime, name string, every time.Duration) error {
	frames, err := readFrames(name)
	if err != nil {
		return err
	}
	kind, _, _ := strings.Cut(mime, "/")
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: mime}, kind, "lab")
	if err != nil {
		return err
	}
	sender, err := c.pc.AddTrack(track)
	if err != nil {
		return err
	}
	again := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				if _, ok := p.(*rtcp.PictureLossIndication); ok {
					select {
					case again <- struct{}{}:
					default:
					}
				}
			}
		}
	}()
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ticker.C:
			case <-ended:
				return
			}
			select {
			case <-again:
				i = 0
			default:
			}
			_ = track.WriteSample(media.Sample{Data: frames[i%len(frames)], Duration: every}) // the laboratory misses it
		}
	}()

	return nil
}

// receive counts what comes on a track.
func (c *connection) receive(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	for {
		p, attributes, err := track.ReadRTP()
		if err != nil {
			return
		}
		if attributes.Get(webrtc.AttributeRtxSsrc) != nil {
			c.counted.repaired.Add(1)
		}
		if track.Kind() == webrtc.RTPCodecTypeAudio {
			c.counted.packets.Add(1)
		} else if p.Marker {
			c.counted.frames.Add(1)
		}
	}
}

func (c *connection) received() object {
	return object{
		"video": c.counted.frames.Load(), "audio": c.counted.packets.Load() * 20, "repaired": c.counted.repaired.Load(),
	}
}

// readFrames reads what a file has, to its end.
func readFrames(name string) (frames [][]byte, err error) {
	file, err := os.Open(filepath.Join(files, name))
	if err != nil {
		return nil, err
	}
	defer file.Close() // it was only read
	var next func() ([]byte, error)
	switch filepath.Ext(name) {
	case ".ivf":
		r, _, err := ivfreader.NewWith(file)
		if err != nil {
			return nil, err
		}
		next = func() ([]byte, error) {
			frame, _, err := r.ParseNextFrame()

			return frame, err
		}
	case ".ogg":
		r, _, err := oggreader.NewWith(file)
		if err != nil {
			return nil, err
		}
		next = func() ([]byte, error) {
			page, _, err := r.ParseNextPage()

			return page, err
		}
	default:
		r, err := h264reader.NewReader(file)
		if err != nil {
			return nil, err
		}
		next = func() (frame []byte, err error) {
			for {
				unit, err := r.NextNAL()
				if err != nil {
					return nil, err
				}
				frame = append(append(frame, 0, 0, 0, 1), unit.Data...)
				if unit.UnitType == h264reader.NalUnitTypeCodedSliceIdr || unit.UnitType == h264reader.NalUnitTypeCodedSliceNonIdr {
					return frame, nil
				}
			}
		}
	}
	for {
		frame, err := next()
		if err != nil {
			break // io.EOF; what is no file of that kind has no frames
		}
		frames = append(frames, frame)
	}
	if filepath.Ext(name) == ".ogg" && len(frames) > 0 {
		frames = frames[1:] // the tags
	}

	return frames, nil
}
