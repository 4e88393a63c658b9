package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/ctxrtc/webrtc"
)

// message is one of the WebSocket: a JSON object with one of these fields. The
// first two go both ways.
type message struct {
	Description *webrtc.SessionDescription `json:"description,omitempty"`
	// Candidate has an empty text after the last one.
	Candidate *webrtc.ICECandidateInit `json:"candidate,omitempty"`

	Ask   string       `json:"ask,omitempty"`   // the page asks us to do something
	State *stateChange `json:"state,omitempty"` // of our side, for the page's time line
	Path  *path        `json:"path,omitempty"`  // that ICE has selected
	Error string       `json:"error,omitempty"` // why we end the session
}

// What a page can ask for.
const (
	askOffer = "offer"
	askClose = "close"
)

// stateChange is a state that our side has reached.
type stateChange struct {
	Track string  `json:"track"` // what it is a state of
	State string  `json:"state"`
	At    float64 `json:"at"` // milliseconds since the session began
}

// path are the two ends, as our side knows them, with the types of the
// candidates.
type path struct {
	Local  string `json:"local"`
	Remote string `json:"remote"`
}

func newPath(pair *webrtc.ICECandidatePair) *path {
	end := func(c *webrtc.ICECandidate) string {
		return fmt.Sprintf("%s (%v)", net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port))), c.Typ)
	}

	return &path{end(pair.Local), end(pair.Remote)}
}

var errNotOne = errors.New("a message is one of description, candidate and ask")

// parseMessage reads a message of the page's.
func parseMessage(data []byte) (m message, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(&m); err != nil {
		return message{}, fmt.Errorf("message: %w", err)
	}
	fields := 0
	for _, there := range []bool{m.Description != nil, m.Candidate != nil, m.Ask != ""} {
		if there {
			fields++
		}
	}
	switch {
	case decoder.More(), fields != 1, m.State != nil, m.Path != nil, m.Error != "":
		return message{}, errNotOne
	case m.Ask != "" && m.Ask != askOffer && m.Ask != askClose:
		return message{}, fmt.Errorf("a page cannot ask for %q", m.Ask)
	}

	return m, nil
}

// bulkText is a text message of the channel for throughput, either way. Its
// binary messages are what is measured.
type bulkText struct {
	Send     float64 `json:"send,omitempty"`     // please send for so many seconds
	Received int64   `json:"received,omitempty"` // bytes of yours so far
	MS       float64 `json:"ms,omitempty"`       // since the first of them
	Over     bool    `json:"over,omitempty"`     // that was all
}
