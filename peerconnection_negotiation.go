package webrtc

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/ctxrtc/webrtc/internal/jsep"
)

// negotiation is how far the exchange of descriptions is. The connection's
// life.mu guards it; its methods are pure, but for the fields.
// https://www.rfc-editor.org/rfc/rfc9429#section-4.1
type negotiation struct {
	state                       SignalingState
	currentLocal, currentRemote *description
	pendingLocal, pendingRemote *description
	createdOffer, createdAnswer *description
	session                     uint64            // of our o= lines
	wantsData                   bool              // a channel was made, or is not waited for
	needed, told, telling       bool              // a negotiation is needed, the program was told, it is in the handler
	begun                       bool              // the transports of the bundle were started
	setup                       jsep.Setup        // of our side in DTLS, once it is settled
	ice                         ICEParameters     // of our agent that is in use
	peer                        jsep.Transport    // of the peer's that is
	restart, again              bool              // the program wants new ones, and another time when it has those on offer
	anew                        *iceAgent         // of a restart that is being negotiated
	gathers, gathersAnew        bool              // gathering was started, of the two agents
	candidates                  []remoteCandidate // that wait for the start
	transceivers                []*RTPTransceiver // replaced, not changed
	named                       []*RTPTransceiver // that have their mid from the pending offer
	media                       int               // changes of what the program wants of transceivers
}

// description is one as text and as values.
type description struct {
	SessionDescription

	values   *jsep.Description
	sections map[string]*RTPTransceiver // of ours: whose they are, by mid
	wishes   map[*RTPTransceiver]wish   // of ours: what they were made of
}

func (d *description) copy() *SessionDescription {
	if d == nil {
		return nil
	}
	text := d.SessionDescription

	return &text
}

func (n *negotiation) begin(ice ICEParameters, wantsData bool) error {
	var raw [8]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return err
	}
	// 62 bits, as JSEP has it. https://www.rfc-editor.org/rfc/rfc9429#section-5.2.1
	n.session = binary.BigEndian.Uint64(raw[:]) >> 2
	n.state, n.ice, n.wantsData = SignalingStateStable, ice, wantsData

	return nil
}

// local and remote are the descriptions that count now.
func (n *negotiation) local() *description {
	if n.pendingLocal != nil {
		return n.pendingLocal
	}

	return n.currentLocal
}

func (n *negotiation) remote() *description {
	if n.pendingRemote != nil {
		return n.pendingRemote
	}

	return n.currentRemote
}

// past are the sections of the last negotiation that was completed, as our side
// has described them; one that either side has rejected is rejected.
func (n *negotiation) past() []jsep.Section {
	if n.currentLocal == nil {
		return nil
	}
	sections := slices.Clone(n.currentLocal.values.Sections)
	for i := range min(len(sections), len(n.currentRemote.values.Sections)) {
		sections[i].Rejected = sections[i].Rejected || n.currentRemote.values.Sections[i].Rejected
	}

	return sections
}

// dataRefused tells whether our side has data channels in the negotiation that was
// completed last, and the peer has rejected them.
func (n *negotiation) dataRefused() bool {
	return hasLiveData(n.currentLocal.values) && !hasLiveData(n.currentRemote.values)
}

func hasLiveData(d *jsep.Description) bool { return liveData(d) != nil }

// liveData is the section of data channels, nil if there is none or it was
// rejected.
func liveData(d *jsep.Description) *jsep.Section {
	for i := range d.Sections {
		if s := &d.Sections[i]; s.IsData() && !s.Rejected {
			return s
		}
	}

	return nil
}

// fingerprintsOf are those of our certificate, as SDP has them.
// https://www.rfc-editor.org/rfc/rfc8122#section-5
func fingerprintsOf(dtls *DTLSTransport) ([]jsep.Fingerprint, error) {
	params, err := dtls.GetLocalParameters()
	fingerprints := make([]jsep.Fingerprint, 0, len(params.Fingerprints))
	for _, f := range params.Fingerprints {
		fingerprints = append(fingerprints, jsep.Fingerprint{Algorithm: f.Algorithm, Value: strings.ToUpper(f.Value)})
	}

	return fingerprints, err
}

// remoteParameters are what a description of the peer's says to our transports.
type remoteParameters struct {
	ice  ICEParameters
	dtls DTLSParameters
	sctp SCTPCapabilities
	data bool

	fingerprints []jsep.Fingerprint // those of dtls
}

// remoteParametersOf reads what a description says of its path, and checks what
// the transports would refuse. The role in DTLS is left to the answer.
func remoteParametersOf(d *jsep.Description, path jsep.Transport) (p remoteParameters, err error) {
	p.ice = ICEParameters{UsernameFragment: path.UsernameFragment, Password: path.Password, ICELite: d.Lite}
	if err = p.ice.validate(); err != nil {
		return p, err
	}
	p.fingerprints = path.Fingerprints
	for _, f := range path.Fingerprints {
		p.dtls.Fingerprints = append(p.dtls.Fingerprints, DTLSFingerprint{Algorithm: f.Algorithm, Value: f.Value})
	}
	if err = p.dtls.validate(); err != nil {
		return p, err
	}
	if data := liveData(d); data != nil {
		p.data = true
		p.sctp = capabilitiesOf(data.Data)
		if err = p.sctp.validate(); err != nil {
			return p, err
		}
	}

	return p, nil
}

func capabilitiesOf(data *jsep.Data) SCTPCapabilities {
	c := SCTPCapabilities{SCTPInit: data.Init}
	switch size := data.MaxMessageSize; {
	case size == nil: // 65,536
	case *size == 0 || *size >= math.MaxUint32:
		c.MaxMessageSize = math.MaxUint32
	default:
		c.MaxMessageSize = uint32(*size)
	}

	return c
}
