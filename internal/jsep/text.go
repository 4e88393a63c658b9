package jsep

import "slices"

// The texts of the directions, by their values.
// https://www.rfc-editor.org/rfc/rfc8866#section-6.7
var directionTexts = [...]string{"sendrecv", "sendonly", "recvonly", "inactive"}

// String returns the name of the attribute, or "unknown".
func (d Direction) String() string {
	if d < 0 || int(d) >= len(directionTexts) {
		return "unknown"
	}

	return directionTexts[d]
}

// directionNamed is the direction that an attribute names, and false of another.
func directionNamed(attribute string) (Direction, bool) {
	at := slices.Index(directionTexts[:], attribute)

	return Direction(max(0, at)), at >= 0
}

// Sends tells whether the side sends.
func (d Direction) Sends() bool { return d == DirectionSendRecv || d == DirectionSendOnly }

// Receives tells whether the side receives.
func (d Direction) Receives() bool { return d == DirectionSendRecv || d == DirectionRecvOnly }

// Reverse returns the direction as the other side sees it.
func (d Direction) Reverse() Direction {
	switch d {
	case DirectionSendOnly:
		return DirectionRecvOnly
	case DirectionRecvOnly:
		return DirectionSendOnly
	default:
		return d
	}
}

// Within returns what is left of a direction if no more than another is allowed.
func (d Direction) Within(most Direction) Direction {
	return directionOf(d.Sends() && most.Sends(), d.Receives() && most.Receives())
}

func directionOf(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return DirectionSendRecv
	case sends:
		return DirectionSendOnly
	case receives:
		return DirectionRecvOnly
	default:
		return DirectionInactive
	}
}

// The texts of the roles, by their values.
// https://www.rfc-editor.org/rfc/rfc4145#section-4
var setupTexts = [...]string{"", "actpass", "active", "passive", "holdconn"}

// String returns the value of the attribute, or "" of none.
func (s Setup) String() string {
	if s < 0 || int(s) >= len(setupTexts) {
		return ""
	}

	return setupTexts[s]
}

// setupNamed is the role that a value of the attribute names, or SetupNone.
func setupNamed(text string) Setup { return Setup(max(0, slices.Index(setupTexts[:], text))) }
