package jsep

// RTP is what a section of audio or video says about its streams: its
// attributes as values. What has no field here is not of use to anybody.
type RTP struct {
	// Codecs are those of the formats, in the order in which they are preferred.
	Codecs     []Codec
	Extensions []Extension
	MSIDs      []MSID
	Sources    []Source
	Groups     []SourceGroup
	RIDs       []RID
	// Simulcast is nil if the section says nothing about it.
	Simulcast *Simulcast
}

// Codec is a format: the codec that a payload type stands for.
// https://www.rfc-editor.org/rfc/rfc8866#section-6.6
type Codec struct {
	PayloadType uint8
	Name        string // as written; case does not matter
	ClockRate   uint32
	Channels    uint16 // 0 if it is not said, which means 1
	Fmtp        string // the parameters as written, "" without any
	Feedback    []Feedback
}

// Feedback is a type of RTCP feedback that may be sent. Lines for all codecs of
// a section, which have "*", count for each, after those of its own.
// https://www.rfc-editor.org/rfc/rfc4585#section-4.2
type Feedback struct{ Type, Parameter string }

// Extension is the local identifier of a header extension.
// https://www.rfc-editor.org/rfc/rfc8285#section-5
type Extension struct {
	ID  int
	URI string
	// Direction is sendrecv if it is not said.
	Direction Direction
}

// MSID is a stream that the track of the section belongs to, and the track.
// https://www.rfc-editor.org/rfc/rfc8830#section-2
type MSID struct {
	StreamID string // "-" is no stream
	TrackID  string // "" if it is not said
}

// Source is an SSRC that is used. Stream and track are those of an msid of the
// source, which peers wrote before the section had it; many still write both.
// https://www.rfc-editor.org/rfc/rfc5576#section-4.1
type Source struct {
	SSRC                     uint32
	CName, StreamID, TrackID string
}

// SourceGroup tells what SSRCs are to each other: FID is a stream and its
// repair, FEC-FR a stream and its forward error correction, SIM the same in
// several sizes. https://www.rfc-editor.org/rfc/rfc5576#section-4.2
type SourceGroup struct {
	Semantics string
	SSRCs     []uint32
}

// RID is a stream that has a name of its own within the section.
// https://www.rfc-editor.org/rfc/rfc8851#section-4
type RID struct {
	ID string
	// Send tells that the side that says it sends the stream, or else receives it.
	Send bool
	// PayloadTypes are those that the stream may have; nil is any of the section.
	PayloadTypes []uint8
	// Restrictions are the others, as written: "max-width=1280;max-fps=30".
	Restrictions string
}

// Simulcast are the streams that show the same in several qualities, as the side
// that says it sees them. Each stands as a list of alternatives, of which one is
// sent. https://www.rfc-editor.org/rfc/rfc8853#section-5.1
type Simulcast struct{ Send, Recv [][]SimulcastStream }

// SimulcastStream is the ID of a RID, and whether it is paused at first.
type SimulcastStream struct {
	ID     string
	Paused bool
}
