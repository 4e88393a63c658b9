package samplebuilder_test

import (
	"fmt"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"github.com/ctxrtc/webrtc/pkg/media/samplebuilder"
)

// Packets that come in any order are samples in order. The last one waits for
// the packet that tells its duration.
func Example() {
	builder := samplebuilder.New(50, &codecs.OpusPacket{}, 48_000)
	for _, number := range []uint16{1, 3, 2, 4} {
		builder.Push(&rtp.Packet{
			Header:  rtp.Header{SequenceNumber: number, Timestamp: uint32(number) * 960},
			Payload: []byte{0xfc, byte(number)},
		})
		for sample := builder.Pop(); sample != nil; sample = builder.Pop() {
			fmt.Printf("%x %s\n", sample.Data, sample.Duration)
		}
	}
	// Output:
	// fc01 20ms
	// fc02 20ms
	// fc03 20ms
}
