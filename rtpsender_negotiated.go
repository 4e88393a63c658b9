package webrtc

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pion/rtp"
)

// What a PeerConnection does with a sender that a program does not.

// encode gives a new sender its encoding, with the SSRCs that a program wants.
func (r *RTPSender) encode(track TrackLocal, given []RTPEncodingParameters) error {
	if len(given) > 1 {
		return fmt.Errorf("%w: %d encodings of one track; AddEncoding of the sender takes the others", ErrInvalidArgument, len(given))
	}
	e := newSentEncoding(track, r.params.Codecs)
	for _, g := range given {
		if track != nil && g.RID != "" && g.RID != e.coding.RID {
			return fmt.Errorf("%w: the RID is not the track's", ErrInvalidArgument)
		}
		e.coding.RID = cmp.Or(e.coding.RID, g.RID)
		e.coding.SSRC = cmp.Or(g.SSRC, e.coding.SSRC)
		e.coding.RTX.SSRC = cmp.Or(g.RTX.SSRC, e.coding.RTX.SSRC)
		e.coding.FEC.SSRC = cmp.Or(g.FEC.SSRC, e.coding.FEC.SSRC)
	}
	r.encodings = []*sentEncoding{e}

	return nil
}

// negotiated has the sender send, or pause, with what was agreed on for its section.
// Of several encodings those are sent whose RIDs the peer wants; if it wants none by
// RID, it takes one stream. https://www.rfc-editor.org/rfc/rfc8853#section-5.3.2
func (r *RTPSender) negotiated(sends bool, mid string, params RTPParameters, rids []string) error {
	const op = "rtpsender negotiate"
	if r.takeTurn(op) != nil {
		return nil // its Context tells
	}
	defer func() { <-r.turn }()
	r.life.mu.Lock()
	r.mid = mid
	state, t, encodings := r.life.state, r.rtp, r.encodings
	r.life.mu.Unlock()
	for i, e := range encodings {
		wanted := i == 0
		if len(encodings) > 1 && rids != nil {
			wanted = slices.Contains(rids, e.coding.RID)
		}
		e.paused.Store(!sends || !wanted)
	}
	switch {
	case state == mediaStateNew && sends:
		all := r.GetParameters()
		all.RTPParameters = params

		return r.start(op, all, true)
	case state != mediaStateRunning:
		return nil
	}
	r.life.set(func() { r.params = params })
	for _, e := range encodings {
		if e.context == nil || e.fits(params) {
			continue
		}
		// The track has another codec now, or another number of it.
		track := e.track
		fresh := *e
		fresh.context, fresh.info = nil, nil
		r.unbind(t, e)
		if err := r.bind(t, &fresh, track, params); err != nil {
			return opError(op, err)
		}
		r.life.set(func() { e.context, e.info, e.coding = fresh.context, fresh.info, fresh.coding })
	}

	return nil
}

// fits tells whether what an encoding was bound with is still what was agreed on.
func (e *sentEncoding) fits(params RTPParameters) bool {
	codec, ok := codecOf(e.coding.PayloadType, params.Codecs)
	before, _ := codecOf(e.coding.PayloadType, e.context.params.Codecs)

	return ok && sameCodec(codec.RTPCodecCapability, before.RTPCodecCapability) &&
		codec.SDPFmtpLine == before.SDPFmtpLine &&
		slices.Equal(params.HeaderExtensions, e.context.params.HeaderExtensions)
}

// namer puts the names of an encoding into the packets of its streams, where both
// sides have agreed on it: the peer knows no SSRC of an encoding with a RID.
// https://www.rfc-editor.org/rfc/rfc8852#section-3.1
type namer struct {
	ssrc, rtx              uint32         // of the packets that are no repairs, and of retransmissions
	repairs                *atomic.Uint32 // the number of the last retransmission
	mid, rid               []byte
	midID, ridID, repairID uint8 // of the header extensions, 0 without
}

// namer makes that of an encoding. The caller has the turn.
func (r *RTPSender) namer(e *sentEncoding, params RTPParameters) *namer {
	n := &namer{ssrc: uint32(e.coding.SSRC), rtx: uint32(e.coding.RTX.SSRC), repairs: e.repairs}
	if e.coding.RID == "" {
		return n
	}
	r.life.set(func() { n.mid, n.rid = []byte(r.mid), []byte(e.coding.RID) })
	for _, x := range params.HeaderExtensions {
		id := uint8(x.ID) //nolint:gosec // validated
		switch x.URI {
		case sdesMID:
			if len(n.mid) > 0 {
				n.midID = id
			}
		case sdesRID:
			n.ridID = id
		case sdesRepairedRID:
			n.repairID = id
		}
	}

	return n
}

// namedHeader is a header of our own: that of a packet may be the program's, or be
// kept by an interceptor.
type namedHeader struct {
	rtp.Header

	extensions []rtp.Extension
}

var namedHeaders = sync.Pool{New: func() any { return new(namedHeader) }}

// maxOneByteExtension is how many bytes a header extension has room for whose header
// has one byte. https://www.rfc-editor.org/rfc/rfc8285#section-4.2
const maxOneByteExtension = 16

// write sends a packet behind all interceptors.
func (n *namer) write(t *rtpTransport, header *rtp.Header, payload []byte) (int, error) {
	repeats := n.rtx != 0 && header.SSRC == n.rtx
	if n.midID|n.ridID|n.repairID == 0 && !repeats {
		return t.writeRTP(header, payload)
	}
	own, _ := namedHeaders.Get().(*namedHeader)
	defer namedHeaders.Put(own)
	own.Header = *header
	own.Extensions = append(own.extensions[:0], header.Extensions...)
	if repeats {
		// The responder of pion/interceptor v0.1.49 counts every packet that it may
		// have to send again: after some minutes without a loss the peer would take
		// the number for an old one.
		own.SequenceNumber = uint16(n.repairs.Add(1)) //nolint:gosec // it turns over
	}
	id := n.ridID
	if header.SSRC != n.ssrc {
		id = n.repairID
		if n.ridID != 0 {
			_ = own.DelExtension(n.ridID) // it was that of the packet which it repairs
		}
	}
	for _, x := range []struct {
		id   uint8
		text []byte
	}{{n.midID, n.mid}, {id, n.rid}} {
		if x.id == 0 {
			continue
		}
		if own.Extension && (x.id > maxOneByteExtensionID || len(x.text) > maxOneByteExtension) {
			own.ExtensionProfile = rtp.ExtensionProfileTwoByte
		}
		if err := own.SetExtension(x.id, x.text); err != nil {
			return 0, err
		}
	}
	own.extensions = own.Extensions

	return t.writeRTP(&own.Header, payload)
}
