// Package mediatest is what the tests of readers and writers have in common. It
// is for tests alone, and knows no testing package so that fuzz targets and
// benchmarks can have it too.
package mediatest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"

	"github.com/pion/rtp"
)

// SSRC is that of the packets.
const SSRC = 0x1234

// Packets makes packets of samples that are ticks apart, as a sender does. The
// numbers and timestamps wrap on the way.
func Packets(payloader rtp.Payloader, ticks uint32, samples ...[]byte) []*rtp.Packet {
	const mtu, close32 = 1200, 0xffffff00
	var packets []*rtp.Packet
	number, timestamp := uint16(0xfff0), uint32(close32)
	for _, sample := range samples {
		payloads := payloader.Payload(mtu-12, sample)
		for i, payload := range payloads {
			packets = append(packets, &rtp.Packet{
				Header: rtp.Header{
					Version: 2, PayloadType: 96, SSRC: SSRC, SequenceNumber: number, Timestamp: timestamp,
					Marker: i == len(payloads)-1,
				},
				Payload: bytes.Clone(payload), // some payloaders give parts of the sample
			})
			number++
		}
		timestamp += ticks
	}

	return packets
}

// Stream is what ffprobe tells of one.
type Stream struct {
	Codec    string `json:"codec_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Channels int    `json:"channels"`
	Frames   string `json:"nb_read_frames"`
	Duration string `json:"duration"`
}

// Seconds is the duration, zero if it is not known.
func (s Stream) Seconds() float64 {
	seconds, err := strconv.ParseFloat(s.Duration, 64)
	if err != nil {
		return 0
	}

	return seconds
}

var errComplaints = errors.New("ffprobe complains")

// Probe decodes a file with ffprobe. The error is exec.ErrNotFound where that is
// not installed, and anything that a decoder complains about.
func Probe(ctx context.Context, name string) ([]Stream, error) {
	var complaints bytes.Buffer
	command := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", name)
	command.Stderr = &complaints
	raw, err := command.Output()
	if err == nil && complaints.Len() > 0 {
		err = errComplaints
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, complaints.Bytes())
	}
	var result struct {
		Streams []Stream `json:"streams"`
	}

	return result.Streams, json.Unmarshal(raw, &result)
}

// Buffer is an output that can seek, as a file can, and counts its closing.
type Buffer struct {
	Data   []byte
	Closed int
	at     int
}

var _ io.WriteSeeker = (*Buffer)(nil)

// Write overwrites or appends.
func (b *Buffer) Write(p []byte) (int, error) {
	if grow := b.at + len(p) - len(b.Data); grow > 0 {
		b.Data = append(b.Data, make([]byte, grow)...)
	}
	b.at += copy(b.Data[b.at:], p)

	return len(p), nil
}

// Seek moves to where the next Write goes.
func (b *Buffer) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		b.at = int(offset)
	case io.SeekCurrent:
		b.at += int(offset)
	default:
		b.at = len(b.Data) + int(offset)
	}

	return int64(b.at), nil
}

// Close counts.
func (b *Buffer) Close() error {
	b.Closed++

	return nil
}

// Broken is an output that fails after so many bytes.
type Broken struct {
	After int
	Err   error
}

func (b *Broken) Write(p []byte) (int, error) {
	if len(p) > b.After {
		return b.After, b.Err
	}
	b.After -= len(p)

	return len(p), nil
}
