//go:build unix

package webrtc

import (
	"syscall"
	"time"
)

// processCPU is the processor time that the process has used, of all threads,
// in user mode and in the kernel.
func processCPU() (used time.Duration, known bool) {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0, false
	}

	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), true
}
