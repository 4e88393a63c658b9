// Package whip is the HTTP of WHIP and WHEP: a POST with an offer is answered with
// an answer and the address of a session, which a DELETE ends. Candidates go with
// the descriptions, so that one exchange is enough. The two differ only in who
// sends: the side that offers in WHIP, the side that answers in WHEP.
// https://www.rfc-editor.org/rfc/rfc9725
// https://datatracker.ietf.org/doc/html/draft-ietf-wish-whep
package whip

import (
	"fmt"
	"net/http"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
)

const (
	contentType    = "application/sdp"
	maxDescription = 256 << 10 // bytes
	maxReason      = 1 << 10   // bytes of a reason that are shown

	connectTime = 20 * time.Second
	closeTime   = 2 * time.Second
)

var errConnectTime = fmt.Errorf("not connected within %v", connectTime)

// NewConnection makes a connection on the machine's interfaces, or on loopback
// alone.
func NewConnection(loopback bool) (*webrtc.PeerConnection, error) {
	settings := peer.OnLoopback()
	if !loopback {
		settings = webrtc.SettingEngine{LoggerFactory: settings.LoggerFactory}
	}
	// A browser may hide its addresses behind names, which not every network answers
	// to. Its checks reveal the address all the same.
	settings.ICE.PrflxAcceptanceMinWait = -1
	settings.ICE.FailedGrace = time.Millisecond // there is no way to restart by this signaling

	return webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
}

// authorize adds a token that is not empty.
func authorize(header http.Header, token string) {
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
}
