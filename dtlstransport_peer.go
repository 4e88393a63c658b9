package webrtc

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"sync"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/alert"
)

// DTLSAlertError is the alert by which the peer has ended the handshake.
type DTLSAlertError struct {
	Level       uint8 // 1 warning, 2 fatal
	Description uint8 // as registered for TLS, 40 is handshake_failure
}

func (e *DTLSAlertError) Error() string {
	if e == nil {
		return "no alert"
	}

	return fmt.Sprintf("the peer sent the alert %s (%d)", alert.Description(e.Description), e.Description)
}

// verification checks the peer's certificate during one handshake.
type verification struct {
	t      *DTLSTransport
	ctx    context.Context //nolint:containedctx // the start's context, for the program's hook
	params DTLSParameters

	mu  sync.Mutex
	raw []byte
	err error
}

// verify runs on a goroutine of the handshake. The module may call it more
// than once; the program's hook is asked once for a certificate.
func (v *verification) verify(state *dtls.State) error {
	if len(state.PeerCertificates) == 0 {
		if v.t.settings.DTLS.InsecureSkipFingerprintVerification {
			return nil // the client authentication that was asked for allowed it
		}

		return v.note(nil, fmt.Errorf("%w: the peer has no certificate", ErrFingerprintMismatch))
	}
	raw := state.PeerCertificates[0]
	v.mu.Lock()
	known, err := bytes.Equal(v.raw, raw), v.err
	v.mu.Unlock()
	if known {
		return err
	}
	if !v.t.settings.DTLS.InsecureSkipFingerprintVerification {
		if err = verifyFingerprints(raw, v.params.Fingerprints); err != nil {
			return v.note(raw, err)
		}
	}
	peer, err := x509.ParseCertificate(raw)
	if err == nil {
		err = v.ask(peer)
	}

	return v.note(raw, err)
}

// ask runs the program's hook beside the handshake, so that a hook that blocks
// cannot keep a cancelled start, and one that stops the transport cannot wait
// for itself.
func (v *verification) ask(peer *x509.Certificate) error {
	hook := v.t.settings.DTLS.VerifyPeerCertificate
	if hook == nil {
		return nil
	}
	answer := make(chan error, 1)
	v.t.life.group.Handle(func() { answer <- hook(v.ctx, peer) })
	select {
	case err := <-answer:
		return err
	case <-v.ctx.Done():
		return context.Cause(v.ctx)
	}
}

// note keeps the certificate as it came: parsed it is some 3 KB.
func (v *verification) note(raw []byte, err error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.raw, v.err = raw, err

	return err
}

func (v *verification) result() error {
	v.mu.Lock()
	defer v.mu.Unlock()

	return v.err
}

// certificate is the one that was verified, in DER.
func (v *verification) certificate() []byte {
	v.mu.Lock()
	defer v.mu.Unlock()

	return v.raw
}

// GetRemoteCertificate returns the peer's certificate in DER, verified. It is
// nil before the transport is connected.
func (t *DTLSTransport) GetRemoteCertificate() []byte {
	if t.alive() == nil {
		return nil
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()

	return bytes.Clone(t.peer)
}

// DTLSNegotiated is what a handshake has agreed on.
type DTLSNegotiated struct {
	Version     uint16 // as on the wire, 0xfefd is DTLS 1.2
	CipherSuite dtls.CipherSuiteID
	// SRTPProtectionProfile is 0 if the peer offered none that we accept.
	SRTPProtectionProfile dtls.SRTPProtectionProfile
	// Client tells whether we were the client of the handshake.
	Client bool
}

const dtls12 = 0xfefd // the module has no other version yet

// Negotiated returns what the handshake has agreed on, and [ErrInvalidState]
// before the transport was connected.
func (t *DTLSTransport) Negotiated() (DTLSNegotiated, error) {
	state, err := t.connectedState("dtls negotiated")
	if err != nil {
		return DTLSNegotiated{}, err
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()

	return DTLSNegotiated{
		Version:               dtls12,
		CipherSuite:           state.CipherSuiteID,
		SRTPProtectionProfile: t.profile,
		Client:                t.client,
	}, nil
}

// ExportKeyingMaterial derives length bytes from the connection's secret for a
// use of your own (RFC 5705). Both peers get the same bytes for one label.
// A context value is not supported and has to be nil. It fails with
// [ErrInvalidState] before the transport was connected.
// https://www.rfc-editor.org/rfc/rfc5705#section-4
func (t *DTLSTransport) ExportKeyingMaterial(label string, contextValue []byte, length int) ([]byte, error) {
	const op = "dtls export keying material"
	if length <= 0 || length > 1<<16 {
		return nil, refuse(op, ErrInvalidArgument, "length of %d bytes", length)
	}
	state, err := t.connectedState(op)
	if err != nil {
		return nil, err
	}
	material, err := state.ExportKeyingMaterial(label, contextValue, length)
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}

	return material, nil
}

// connectedState is the module's state, a snapshot taken when the handshake
// was done.
func (t *DTLSTransport) connectedState(op string) (*dtls.State, error) {
	if err := t.alive().usable(op); err != nil {
		return nil, err
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	if t.data == nil {
		return nil, refuse(op, ErrInvalidState, "transport is %s", t.life.state)
	}

	return &t.state, nil
}
