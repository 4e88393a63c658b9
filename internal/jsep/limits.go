package jsep

// What a description may have. It comes from a peer, by way of signaling that
// may be anyone's, so that everything in it that can grow has a limit. Browsers
// in calls with hundreds of tracks stay below a quarter of each.
const (
	// MaxText is the longest description in bytes.
	MaxText = 1 << 20
	// MaxLines is the most lines, empty ones counted too.
	MaxLines = 1 << 16
	// MaxSections is the most m= sections.
	MaxSections = 256
	// MaxAttributes is the most a= lines of a section, and of the session level.
	MaxAttributes = 4096
	// MaxOtherLines is the most lines of a section, and of the session level,
	// that are no a= lines.
	MaxOtherLines = 32
	// MaxAttributeLine is the longest a= line in bytes. The longest in use list
	// the streams of a whole conference.
	MaxAttributeLine = 1 << 16
	// MaxOtherLine is the longest line of another type in bytes.
	MaxOtherLine = 4096
	// MaxCandidates is the most candidates of a section.
	MaxCandidates = 256
	// MaxFingerprints is the most fingerprints of a section.
	MaxFingerprints = 32
	// MaxOptions is the most ice-options of a section.
	MaxOptions = 32
	// MaxFormats is the most formats of an m= line. RTP has 128 payload types.
	MaxFormats = 256
	// MaxMID is the longest mid in bytes.
	MaxMID = 256
	// MaxCredential is the longest ufrag or password in bytes.
	// https://www.rfc-editor.org/rfc/rfc8839#section-5.4
	MaxCredential = 256
)

// clipped is how much of a line an error shows, in bytes.
const clipped = 80
