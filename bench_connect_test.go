package webrtc

import (
	"fmt"
	"testing"
)

// BenchmarkConnectRoundTrips measures from the arrival of the answer at the
// offerer to that of the first message, in round trips of virtual time: nothing
// that a machine computes takes any. The default settings hold.
func BenchmarkConnectRoundTrips(b *testing.B) {
	for _, way := range []struct {
		name        string
		fromOfferer bool
	}{{"offerer-to-answerer", true}, {"answerer-to-offerer", false}} {
		for _, rtt := range roundTrips {
			b.Run(fmt.Sprintf("%s/rtt=%v", way.name, rtt), func(b *testing.B) {
				var sum float64
				for range b.N {
					benchInBubble(b, func(t *testing.T) { sum += firstMessageTrips(t, rtt, way.fromOfferer) })
				}
				b.ReportMetric(sum/float64(b.N), "RTT")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
