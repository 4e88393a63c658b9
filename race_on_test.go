//go:build race

package webrtc

// raceEnabled tells that the race detector is on: it makes tests some ten
// times slower, so that they take fewer cases.
const raceEnabled = true
