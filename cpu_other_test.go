//go:build !unix

package webrtc

import "time"

// processCPU is not known here: benchmarks leave it out.
func processCPU() (used time.Duration, known bool) { return 0, false }
