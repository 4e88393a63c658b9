package testnet

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPipeKeepsMessagesAndDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(30 * time.Millisecond)
		began := time.Now()
		for _, s := range []string{"one", "", "three"} {
			_, err := a.Write([]byte(s))
			require.NoError(t, err)
		}
		buf := make([]byte, 16)
		for _, want := range []string{"one", "", "three"} {
			n, err := b.Read(buf)
			require.NoError(t, err)
			assert.Equal(t, want, string(buf[:n]))
			assert.Equal(t, 30*time.Millisecond, time.Since(began))
		}
	})
}

func TestPipeReadEnds(t *testing.T) {
	cases := map[string]struct {
		act  func(a, b *PipeConn)
		want error
	}{
		"deadline before": {func(_, b *PipeConn) { _ = b.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"deadline during": {func(_, b *PipeConn) { _ = b.SetReadDeadline(time.Now().Add(time.Second)) }, os.ErrDeadlineExceeded},
		"own close":       {func(_, b *PipeConn) { _ = b.Close() }, net.ErrClosed},
		"peer's close":    {func(a, _ *PipeConn) { _ = a.Close() }, io.EOF},
		"short buffer":    {func(a, _ *PipeConn) { _, _ = a.Write(make([]byte, 9)) }, io.ErrShortBuffer},
	}
	for name, tc := range cases {
		for _, blocked := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := Pipe(time.Millisecond)
					if !blocked {
						tc.act(a, b)
					}
					result := make(chan error, 1)
					go func() {
						_, err := b.Read(make([]byte, 8))
						result <- err
					}()
					synctest.Wait()
					if blocked {
						tc.act(a, b)
					}
					assert.ErrorIs(t, <-result, tc.want)
				})
			})
		}
	}
}

func TestPipeHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(time.Millisecond)
		fault := errors.New("no buffer space")
		a.FailWrites(func([]byte) error { return fault })
		_, err := a.Write([]byte("x"))
		require.ErrorIs(t, err, fault)
		a.FailWrites(nil)
		a.OnWrite(func(p []byte) bool { return p[0] == 'd' })
		_, _ = a.Write([]byte("drop"))
		_, _ = a.Write([]byte("keep"))
		b.Inject([]byte("injected"))
		buf := make([]byte, 16)
		n, err := b.Read(buf)
		require.NoError(t, err)
		assert.Equal(t, "keep", string(buf[:n]))
		n, err = b.Read(buf)
		require.NoError(t, err)
		assert.Equal(t, "injected", string(buf[:n]))
		assert.Zero(t, b.Queued())
	})
}
