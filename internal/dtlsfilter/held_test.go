package dtlsfilter

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A server that sends right behind its Finished loses nothing, also if that
// comes behind what it sends, and the client need not be sent anything more.
func TestDataAroundFinished(t *testing.T) {
	for _, overtaking := range []int{0, 1, maxHeldRecords} {
		t.Run(fmt.Sprint(overtaking, " overtake"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, server := newPair(t, options{})
				var late [][]byte
				overtaken := 0
				server.wire.setChange(func(datagram []byte) [][]byte {
					switch kind := record(datagram).kind(); {
					case overtaking > 0 && kind == 20: // with Finished
						late = append(late, datagram)

						return nil
					case kind != 23:
						return [][]byte{datagram}
					}
					overtaken++
					if overtaken != overtaking {
						return [][]byte{datagram}
					}

					return append([][]byte{datagram}, late...)
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				fromServer, fromClient := server.start(ctx), client.start(ctx)
				require.NoError(t, <-fromServer)
				began := time.Now()
				for i := range maxHeldRecords {
					_, err := server.conn.Write([]byte{byte(i)})
					require.NoError(t, err)
				}
				require.NoError(t, <-fromClient)
				buf := make([]byte, 100)
				for i := range maxHeldRecords {
					require.NoError(t, client.conn.SetReadDeadline(time.Now().Add(time.Minute)))
					n, err := client.conn.Read(buf)
					require.NoError(t, err)
					require.Equal(t, []byte{byte(i)}, buf[:n])
				}
				require.Zero(t, time.Since(began))
				require.EqualValues(t, maxHeldRecords, client.filter.Stats().Passed)
				echo(t, client, server)
			})
		})
	}
}

// What waits is bounded, in records and in bytes, and comes in order, once the
// handshake is over.
func TestHeldRecordsAreBounded(t *testing.T) {
	for name, c := range map[string]struct{ size, fit int }{
		"records": {100, maxHeldRecords},
		"bytes":   {1000, 8},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				local, _ := newWires()
				f := New(local, Config{})
				for i := range 100 {
					local.deliver(makeRecord(23, 1, uint64(i), make([]byte, c.size)))
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					buf := make([]byte, 2000)
					for i := range c.fit {
						n, _, err := f.ReadFrom(buf)
						assert.NoError(t, err)
						assert.Equal(t, makeRecord(23, 1, uint64(i), make([]byte, c.size)), buf[:n])
					}
				}()
				synctest.Wait()
				require.Equal(t, Stats{Passed: uint64(c.fit), OverBudget: uint64(100 - c.fit)}, f.Stats())
				f.Connected()
				<-done
			})
		})
	}
}

// The module's own deadline stands, before the records are released and after.
func TestHeldRecordsAndDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		local, _ := newWires()
		f := New(local, Config{})
		local.deliver(makeRecord(23, 1, 1, make([]byte, 100)))
		type outcome struct {
			n   int
			err error
		}
		read := func() <-chan outcome {
			done := make(chan outcome, 1)
			go func() {
				n, _, err := f.ReadFrom(make([]byte, 200))
				done <- outcome{n, err}
			}()
			synctest.Wait()

			return done
		}
		pending := read()
		require.Empty(t, pending)
		require.NoError(t, f.SetReadDeadline(past))
		require.ErrorIs(t, (<-pending).err, os.ErrDeadlineExceeded)
		require.NoError(t, f.SetReadDeadline(time.Time{}))
		pending = read()
		require.Empty(t, pending)
		f.Connected()
		require.Equal(t, outcome{headerSize + 100, nil}, <-pending)
		pending = read()
		require.Empty(t, pending, "the path has no deadline any more")
		require.NoError(t, f.SetReadDeadline(past))
		require.ErrorIs(t, (<-pending).err, os.ErrDeadlineExceeded)
	})
}
