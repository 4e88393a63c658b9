package srtpsession

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/stretchr/testify/require"
)

var errOver = errors.New("over")

var profiles = map[string]srtp.ProtectionProfile{
	"AES-128-GCM":             srtp.ProtectionProfileAeadAes128Gcm,
	"AES-256-GCM":             srtp.ProtectionProfileAeadAes256Gcm,
	"AES-128-CM-HMAC-SHA1-80": srtp.ProtectionProfileAes128CmHmacSha1_80,
}

// wire keeps copies of what is written to it.
type wire struct {
	mu      sync.Mutex
	packets [][]byte
	err     error
}

func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.packets = append(w.packets, slices.Clone(b))

	return len(b), nil
}

// take returns what was written last, and forgets everything.
func (w *wire) take(tb testing.TB) []byte {
	tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NotEmpty(tb, w.packets)
	last := w.packets[len(w.packets)-1]
	w.packets = nil

	return last
}

// end is one side with what its program was told.
type end struct {
	*Session

	wire    wire
	claims  func(header *rtp.Header) bool
	claimed []uint32
	reports [][]byte
}

func defaults() Config {
	return Config{MaxUnsignaled: 8, MaxQueued: 16, MaxQueuedBytes: 1 << 20}
}

func keysOf(tb testing.TB, profile srtp.ProtectionProfile) (a, b Keys) {
	tb.Helper()
	key, err := profile.KeyLen()
	require.NoError(tb, err)
	salt, err := profile.SaltLen()
	require.NoError(tb, err)
	one, two := srtp.SessionKeys{
		LocalMasterKey: bytes.Repeat([]byte{1}, key), LocalMasterSalt: bytes.Repeat([]byte{2}, salt),
		RemoteMasterKey: bytes.Repeat([]byte{3}, key), RemoteMasterSalt: bytes.Repeat([]byte{4}, salt),
	}, srtp.SessionKeys{
		LocalMasterKey: bytes.Repeat([]byte{3}, key), LocalMasterSalt: bytes.Repeat([]byte{4}, salt),
		RemoteMasterKey: bytes.Repeat([]byte{1}, key), RemoteMasterSalt: bytes.Repeat([]byte{2}, salt),
	}
	windows := []srtp.ContextOption{srtp.SRTPReplayProtection(64), srtp.SRTCPReplayProtection(64)}

	return Keys{SessionKeys: one, Profile: profile, Remote: windows}, Keys{SessionKeys: two, Profile: profile, Remote: windows}
}

func newEnd(config Config) *end {
	e := &end{}
	config.Claim = func(header *rtp.Header) bool {
		e.claimed = append(e.claimed, header.SSRC)

		return e.claims != nil && e.claims(header)
	}
	config.HandleRTCP = func(packet []byte) { e.reports = append(e.reports, packet) }
	e.Session = New(config)

	return e
}

// pair has both sides with keys: what a writes, b can open.
func pair(tb testing.TB, profile srtp.ProtectionProfile, config Config) (a, b *end) {
	tb.Helper()
	a, b = newEnd(defaults()), newEnd(config)
	forA, forB := keysOf(tb, profile)
	require.NoError(tb, a.Start(&a.wire, forA))
	require.NoError(tb, b.Start(&b.wire, forB))

	return a, b
}

const gcm = srtp.ProtectionProfileAeadAes128Gcm

func header(ssrc uint32, number uint16) *rtp.Header {
	return &rtp.Header{Version: 2, SSRC: ssrc, SequenceNumber: number, PayloadType: 96}
}

// packet is one of a, protected.
func (e *end) packet(tb testing.TB, h *rtp.Header, payload []byte) []byte {
	tb.Helper()
	_, err := e.WriteRTP(h, payload)
	require.NoError(tb, err)

	return e.wire.take(tb)
}

// report is RTCP of a, protected: a receiver report without blocks.
func (e *end) report(tb testing.TB, ssrc uint32) []byte {
	tb.Helper()
	_, err := e.WriteRTCP(binary.BigEndian.AppendUint32([]byte{0x80, 201, 0, 1}, ssrc))
	require.NoError(tb, err)

	return e.wire.take(tb)
}

// stream is one of an end, attached.
func (e *end) stream(tb testing.TB, ssrcs ...uint32) *Stream {
	tb.Helper()
	s := e.NewStream(nil)
	for _, ssrc := range ssrcs {
		require.NoError(tb, s.Attach(ssrc, false))
	}

	return s
}

var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()

	return ctx
}()

// waiting takes all that waits, as numbers.
func (s *Stream) waiting() (numbers []uint16) {
	for {
		p, _ := s.pop()
		if p == nil {
			return numbers
		}
		numbers = append(numbers, binary.BigEndian.Uint16(p.Data[2:]))
		p.Release()
	}
}

// protectRaw encrypts bytes that WriteRTP would not have made.
type raw struct{ *srtp.Context }

func rawOf(tb testing.TB, profile srtp.ProtectionProfile) raw {
	tb.Helper()
	keys, _ := keysOf(tb, profile)
	c, err := srtp.CreateContext(keys.LocalMasterKey, keys.LocalMasterSalt, keys.Profile)
	require.NoError(tb, err)

	return raw{c}
}

func (r raw) rtp(tb testing.TB, plain []byte) []byte {
	tb.Helper()
	out, err := r.EncryptRTP(nil, plain, nil)
	require.NoError(tb, err, fmt.Sprintf("%x", plain))

	return out
}
