package scheduler

import (
	"encoding/binary"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/sctp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// associate connects two associations, the first of which has the options.
func associate(t testing.TB, options ...sctp.ClientOption) (a, b *sctp.Association, path *testnet.PipeConn) {
	t.Helper()
	near, far := testnet.Pipe(20 * time.Millisecond)
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	start := func(conn *testnet.PipeConn, options ...sctp.ClientOption) (*sctp.Association, error) {
		return sctp.ClientContext(t.Context(), append(options, sctp.WithNetConn(conn),
			sctp.WithLoggerFactory(quiet), sctp.WithMaxReceiveBufferSize(1<<24), sctp.WithMaxMessageSize(1<<20))...)
	}
	var group sync.WaitGroup
	var errA, errB error
	group.Go(func() { a, errA = start(near, options...) })
	group.Go(func() { b, errB = start(far) })
	group.Wait()
	require.NoError(t, errA)
	require.NoError(t, errB)
	agreed, ok := a.Metadata()
	require.True(t, ok)
	require.True(t, agreed.MessageInterleavingEnabled)

	return a, b, near
}

// iData calls see with the stream and length of each I-DATA chunk of a packet.
// https://www.rfc-editor.org/rfc/rfc8260#section-2.1
func iData(packet []byte, see func(id uint16, length int)) {
	for p := packet[12:]; len(p) >= 20; {
		length := int(binary.BigEndian.Uint16(p[2:]))
		if p[0] == 64 {
			see(binary.BigEndian.Uint16(p[8:]), length-20)
		}
		p = p[min(len(p), (length+3)&^3):]
	}
}

// Four channels, one of each priority, have more to send than the path takes:
// what is on the wire follows the weights, although the data of the lightest
// was written first, and every message arrives whole and in order.
func TestAssociationSharesByWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		a, b, path := associate(t, s.Option())
		const messages, size = 40, 60_000
		sent, shares := map[uint16]int{}, map[uint16]float64{}
		all, finished := 0, false
		path.OnWrite(func(packet []byte) bool {
			iData(packet, func(id uint16, length int) {
				sent[id] += length
				all += length
				if sent[id] < messages*size || finished {
					return
				}
				finished = true // the first one; until now all had data to send
				for id, n := range sent {
					shares[id] = float64(n) / float64(all)
				}
			})

			return false
		})
		for i, weight := range priorities {
			id := uint16(2 * i)
			stream, err := a.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
			require.NoError(t, err)
			if i%2 == 0 {
				s.SetWeight(id, weight) // before there is data, and after
			}
			for n := range messages {
				message := make([]byte, size)
				message[0], message[size-1] = byte(n), byte(id)
				_, err = stream.WriteSCTP(message, sctp.PayloadTypeWebRTCBinary)
				require.NoError(t, err)
			}
			s.SetWeight(id, weight)
			require.NoError(t, stream.Close()) // the reset waits for the data
		}
		var group sync.WaitGroup
		for range priorities {
			stream, err := b.AcceptStream()
			require.NoError(t, err)
			group.Go(func() {
				buf := make([]byte, size)
				for n := range messages {
					length, _, err := stream.ReadSCTP(buf)
					if !assert.NoError(t, err) {
						return
					}
					assert.Equal(t, size, length)
					assert.Equal(t, byte(n), buf[0])
					assert.Equal(t, byte(stream.StreamIdentifier()), buf[size-1])
				}
			})
		}
		group.Wait()
		for i, weight := range priorities {
			assert.InEpsilon(t, float64(weight)/1920, shares[uint16(2*i)], 0.05, "weight %d", weight)
		}
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
	})
}

// Two associations, one after the other, share weights but no queue.
func TestOptionServesTwoAssociations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		s.SetWeight(1, 1024)
		for range 2 {
			a, b, _ := associate(t, s.Option())
			stream, err := a.OpenStream(1, sctp.PayloadTypeWebRTCBinary)
			require.NoError(t, err)
			_, err = stream.WriteSCTP(make([]byte, 100_000), sctp.PayloadTypeWebRTCBinary)
			require.NoError(t, err)
			in, err := b.AcceptStream()
			require.NoError(t, err)
			n, _, err := in.ReadSCTP(make([]byte, 100_000))
			require.NoError(t, err)
			assert.Equal(t, 100_000, n)
			_, err = stream.WriteSCTP(make([]byte, 1<<20), sctp.PayloadTypeWebRTCBinary) // left in the queue
			require.NoError(t, err)
			require.NoError(t, a.Close())
			require.NoError(t, b.Close())
		}
		assert.EqualValues(t, 1024, s.weight(1))
	})
}
