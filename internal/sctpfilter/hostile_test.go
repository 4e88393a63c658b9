package sctpfilter

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile makes chunks that are well formed and otherwise whatever comes.
func hostile(random *rand.Rand, cumulative uint32, interleave bool) []byte {
	tsn := cumulative + uint32(random.IntN(30)) - 4
	id := uint16(random.IntN(5))
	flags, message, data := byte(random.IntN(16)), uint32(random.IntN(6)), make([]byte, 1+random.IntN(300))
	switch n := random.IntN(20); {
	case n == 0 && interleave:
		return forward(chunkIForwardTSN, tsn, 0, byte(id), 0, flags&1, 0, 0, 0, byte(message))
	case n == 0:
		return forward(chunkForwardTSN, tsn, 0, byte(id), 0, byte(message))
	case n == 1 && random.IntN(10) == 0:
		return reconfigOf(resetOf(uint32(random.IntN(50)), tsn, id), answerOf(uint32(random.IntN(50)), uint32(random.IntN(8))))
	case n == 2:
		return chunk(chunkSack, 0, sackValue(uint32(random.IntN(9)), 1<<20))
	case n == 3:
		return chunk(byte(128+random.IntN(128)), 0, data)
	case n == 4:
		return dataOf(tsn, id, flags, uint16(message), data) // of the wrong kind, perhaps
	case n == 5:
		return iDataOf(tsn, id, flags, message, uint32(random.IntN(3)), data)
	case interleave:
		return iDataOf(tsn, id, flags, message, uint32(random.IntN(3)), data)
	default:
		return dataOf(tsn, id, flags, uint16(message), data)
	}
}

// Whatever the peer sends, the association does not abort itself, and has got
// exactly what the filter counts.
func TestHostilePeerAndFilterAgree(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			kinds(t, func(t *testing.T, interleave bool) {
				a, b := polling(t, Config{MaxMessage: 5000, MaxUnread: 40}, interleave)
				settle(time.Second)                               // the rest of the handshake
				a.pipe.OnWrite(func([]byte) bool { return true }) // b hears the test alone
				random := rand.New(rand.NewPCG(seed, 1))
				d, own := &b.filter.in, b.filter.view.ownTag.Load()
				b.refuse = func(id uint16) bool { return id == 3 }
				for range 150 {
					chunks := [][]byte{}
					for range 1 + random.IntN(4) {
						chunks = append(chunks, hostile(random, d.window.cumulative, interleave))
					}
					b.pipe.Inject(packet(defaultPorts, own, chunks...))
					synctest.Wait()
					b.mu.Lock()
					b.idle = random.IntN(3) == 0
					b.mu.Unlock()
				}
				// A chunk that has come already, so that there is a last SACK.
				b.pipe.Inject(again(b, interleave))
				settle(time.Second)
				require.Nil(t, b.filter.LocalAbort())
				sack := d.receiver.last
				require.NotEmpty(t, sack)
				assert.Equal(t, d.window.cumulative, binary.BigEndian.Uint32(sack[commonHeaderLen+4:]), "cumulative TSN")
				assert.LessOrEqual(t, len(d.streams), 5)
				t.Logf("the association holds %d bytes, the filter knows of %d; %+v", d.receiver.held, d.bytes, b.filter.Stats())
				closeBoth(a, b)
			})
		})
	}
}
