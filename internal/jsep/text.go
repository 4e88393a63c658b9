package jsep

// The texts of the directions, by their values.
var directionTexts = [...]string{"sendrecv", "sendonly", "recvonly", "inactive"}

// String returns the name of the attribute, or "unknown".
func (d Direction) String() string {
	if d < 0 || int(d) >= len(directionTexts) {
		return "unknown"
	}

	return directionTexts[d]
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

// String returns the value of the attribute, or "" of none.
func (s Setup) String() string {
	switch s {
	case SetupActPass:
		return "actpass"
	case SetupActive:
		return "active"
	case SetupPassive:
		return "passive"
	case SetupHoldConn:
		return "holdconn"
	default:
		return ""
	}
}
