//go:build !race

package srtpsession

// raceOn tells that the race detector is on.
const raceOn = false
