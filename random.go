package webrtc

import (
	"crypto/rand"
	"encoding/hex"
)

// randomHex is a name that nobody else has.
func randomHex(bytes int) string {
	raw := make([]byte, bytes)
	_, _ = rand.Read(raw) // never fails

	return hex.EncodeToString(raw)
}
