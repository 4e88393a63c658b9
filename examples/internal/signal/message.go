// Package signal is the signaling of the examples: messages as lines of JSON,
// or many of them as one line to copy and paste. How the lines travel is left
// to the program: pipes, a terminal, a WebSocket.
package signal

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ctxrtc/webrtc"
)

// Message is one thing that a peer has to tell the other. Exactly one of its
// fields is set.
type Message struct {
	ICE       *webrtc.ICEParameters    `json:"ice,omitempty"`
	DTLS      *webrtc.DTLSParameters   `json:"dtls,omitempty"`
	SCTP      *webrtc.SCTPCapabilities `json:"sctp,omitempty"`
	Candidate *webrtc.ICECandidateInit `json:"candidate,omitempty"`
	// App is whatever the two programs have to tell each other beside it.
	App json.RawMessage `json:"app,omitempty"`
}

var errNotOne = errors.New("not a message with one of ice, dtls, sctp, candidate and app")

// Format returns the message as one line, without its end.
func (m Message) Format() ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, err
	}

	return json.Marshal(m)
}

// Parse reads what Format has written.
func Parse(line []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(line, &m); err != nil {
		return Message{}, err
	}

	return m, m.validate()
}

func (m Message) validate() error {
	n := 0
	for _, set := range []bool{m.ICE != nil, m.DTLS != nil, m.SCTP != nil, m.Candidate != nil, m.App != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return errNotOne
	}

	return nil
}

// OfCandidate is the message of a candidate. nil, which a gatherer tells after
// the last one, is the end of candidates.
func OfCandidate(candidate *webrtc.ICECandidate) Message {
	init := webrtc.ICECandidateInit{}
	if candidate != nil {
		init = candidate.ToJSON()
	}

	return Message{Candidate: &init}
}

// RemoteCandidate returns the candidate of a message as AddRemoteCandidate
// takes it: nil is the end of candidates.
func (m Message) RemoteCandidate() (*webrtc.ICECandidate, error) {
	if m.Candidate == nil || m.Candidate.Candidate == "" {
		return nil, nil //nolint:nilnil // the end of candidates is no error
	}
	candidate, err := webrtc.ParseICECandidate(m.Candidate.Candidate)
	if err != nil {
		return nil, err
	}

	return &candidate, nil
}

// Description is all that a peer has to say before it connects.
type Description struct {
	Type     string    `json:"type"` // "offer" or "answer"
	Messages []Message `json:"messages"`
}

// Format returns the description as one line of base64, to copy and paste.
func (d Description) Format() (string, error) {
	for _, m := range d.Messages {
		if err := m.validate(); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(d)

	return base64.StdEncoding.EncodeToString(text), err
}

// ParseDescription reads a description of one type, as Format has written it
// or as plain JSON.
func ParseDescription(line, wanted string) (Description, error) {
	text := []byte(strings.TrimSpace(line))
	if len(text) == 0 {
		return Description{}, errors.New("an empty line")
	}
	if text[0] != '{' && !json.Valid(text) {
		decoded, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return Description{}, errors.New("neither base64 nor JSON")
		}
		text = decoded
	}
	var d Description
	err := json.Unmarshal(text, &d)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field == "": // no object at all
		return Description{}, errors.New("no description")
	case errors.As(err, &wrong):
		return Description{}, fmt.Errorf("no description: %s cannot be a %s", wrong.Field, wrong.Value)
	case err != nil:
		return Description{}, fmt.Errorf("no description: %w", err)
	case d.Type == "":
		return Description{}, errors.New("no description: it has no type")
	case d.Type != wanted:
		return Description{}, fmt.Errorf("a description of type %q, not %q", d.Type, wanted)
	}
	for i, m := range d.Messages {
		if err := m.validate(); err != nil {
			return Description{}, fmt.Errorf("message %d: %w", i+1, err)
		}
	}

	return d, nil
}
