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

	// MaxFeedback is the most types of RTCP feedback of one codec, those for all
	// codecs counted too. Browsers write six.
	MaxFeedback = 32
	// MaxFmtp is the most fmtp lines of one format. One is the rule.
	MaxFmtp = 8
	// MaxMSIDs is the most streams that the track of a section belongs to.
	MaxMSIDs = 32
	// MaxMSID is the longest name of a stream or a track in bytes; 64 are allowed,
	// and some peers make theirs of two others.
	// https://www.rfc-editor.org/rfc/rfc8830#section-2
	MaxMSID = 256
	// MaxSources is the most SSRCs of a section, and of one of its groups. A
	// track in three sizes, each with its repair, has nine; a server that puts a
	// whole conference into one section has hundreds.
	MaxSources = 1024
	// MaxGroups is the most groups of SSRCs of a section.
	MaxGroups = 1024
	// MaxRIDs is the most rids of a section, and streams of its simulcast.
	MaxRIDs = 32
	// MaxAllRIDs is the most rids of all sections: each is a stream with a queue.
	MaxAllRIDs = 1024
	// MaxRID is the longest rid in bytes: more has no room in a packet.
	// https://www.rfc-editor.org/rfc/rfc8852#section-3
	MaxRID = 255
)

// clipped is how much of a line an error shows, in bytes.
const clipped = 80
