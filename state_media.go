package webrtc

// mediaState is where a sender, or a receiver, is. The W3C's text has no state of
// theirs; it is what decides which calls are legal.
type mediaState uint8

const (
	mediaStateNew     mediaState = 1 // made
	mediaStateRunning mediaState = 2 // packets flow
	mediaStateStopped mediaState = 3 // over
)

var mediaStates = names[mediaState]{"mediaState", []string{
	mediaStateNew:     "new",
	mediaStateRunning: "running",
	mediaStateStopped: "stopped",
}}

var mediaTransitions = transitions[mediaState]{
	mediaStateNew:     {mediaStateRunning, mediaStateStopped},
	mediaStateRunning: {mediaStateStopped},
	mediaStateStopped: nil,
}

func (s mediaState) String() string { return mediaStates.text(s) }
