package ivfreader_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/ctxrtc/webrtc/pkg/media"
	"github.com/ctxrtc/webrtc/pkg/media/ivfreader"
)

// The frames of a file are the samples of a track.
func Example() {
	file, err := os.Open("../../../testdata/media/test.ivf")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	reader, header, err := ivfreader.NewWith(file)
	if err != nil {
		log.Fatal(err)
	}
	unit := time.Second * time.Duration(header.TimebaseNumerator) / time.Duration(header.TimebaseDenominator)
	var samples []media.Sample
	for {
		frame, _, err := reader.ParseNextFrame()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		samples = append(samples, media.Sample{Data: frame, Duration: unit})
	}
	fmt.Println(header.FourCC, header.Width, header.Height, len(samples), "samples of", unit.Round(time.Millisecond))
	// Output: VP80 320 240 150 samples of 33ms
}
