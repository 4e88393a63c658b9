package webrtc

import "encoding/json"

// SDPType is what a session description is meant as.
// https://www.w3.org/TR/webrtc/#rtcsdptype
type SDPType int

// The types of descriptions.
const (
	SDPTypeUnknown  SDPType = 0 // not set
	SDPTypeOffer    SDPType = 1 // asks for an answer
	SDPTypePranswer SDPType = 2 // answers an offer for now; another answer follows
	SDPTypeAnswer   SDPType = 3 // answers an offer for good
	SDPTypeRollback SDPType = 4 // takes an offer back; it has no SDP
)

var sdpTypes = names[SDPType]{"SDPType", []string{
	SDPTypeOffer:    "offer",
	SDPTypePranswer: "pranswer",
	SDPTypeAnswer:   "answer",
	SDPTypeRollback: "rollback",
}}

// NewSDPType returns the type that raw names, or SDPTypeUnknown.
func NewSDPType(raw string) SDPType { return sdpTypes.value(raw) }

// String returns the W3C's text, or "unknown".
func (t SDPType) String() string { return sdpTypes.text(t) }

// MarshalJSON returns the text of String.
func (t SDPType) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// UnmarshalJSON takes a text of String. On another it returns ErrUnknownType
// and leaves the type as it was.
func (t *SDPType) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return refuse("parse SDPType", ErrInvalidArgument, "%w", err)
	}

	return sdpTypes.read(t, []byte(text))
}
