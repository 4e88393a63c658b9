package webrtc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What comes from an address that was neither signaled nor learnt from a check
// with the password is not read by the layers above, even if the address is the
// peer's host.
func TestX2_StrangersAreNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, network := quickPair(t)
		connect(t, a, b)
		from, to := channelPair(t, a, b, DataChannelParameters{Ordered: true})
		pair, err := a.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		target := &net.UDPAddr{IP: net.ParseIP(pair.Local.Address), Port: int(pair.Local.Port)}
		stranger, err := network.Net(1).ListenPacket("udp4", "10.0.0.2:0")
		require.NoError(t, err)
		unauthenticated, err := stun.Build(stun.BindingRequest, stun.TransactionID,
			stun.NewUsername("some:body"), stun.NewShortTermIntegrity("guessed"), stun.Fingerprint)
		require.NoError(t, err)
		read, dropped := a.ice.Stats(), a.dtls.Stats()
		for range 100 {
			for _, packet := range [][]byte{
				unauthenticated.Raw,
				{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1},                 // a record in plaintext
				{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4},        // one under protection
				{0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3},                // RTP
				{0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, // RTCP
			} {
				_, err = stranger.WriteTo(packet, target)
				require.NoError(t, err)
			}
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		now := a.ice.Stats()
		assert.LessOrEqual(t, now.PacketsReceived, read.PacketsReceived+1, "of the peer's, at most an acknowledgement")
		assert.Equal(t, dropped, a.dtls.Stats())
		after, err := a.ice.GetSelectedCandidatePair()
		require.NoError(t, err)
		assert.Equal(t, pair, after)
		exchange(t, from, to)
		require.NoError(t, stranger.Close())
		requireNothingLeft(t, network, a, b)
	})
}

// Every parser that sees the network or signaling has a fuzz target, and so have
// rows of calls, packets and time steps.
func TestX5_EveryParserIsFuzzed(t *testing.T) {
	want := map[string][]string{
		"internal/mux":        {"FuzzReadDTLS"},
		"internal/jsep":       {"FuzzParse"},
		"internal/dcep":       {"FuzzOpen"},
		"internal/dtlsfilter": {"FuzzReadFrom"},
		"internal/sctpfilter": {"FuzzRead", "FuzzSent"},
		".":                   {"FuzzParseICECandidate", "FuzzSCTPCapabilities", "FuzzInitChunk", "FuzzCalls", "FuzzConnectionCalls", "FuzzRemoteDescription"},
	}
	for dir, targets := range want {
		found := map[string]bool{}
		names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		require.NoError(t, err)
		for _, name := range names {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Fuzz") {
					found[f.Name.Name] = true
				}
			}
		}
		for _, target := range targets {
			assert.True(t, found[target], dir+": "+strconv.Quote(target))
		}
	}
}
