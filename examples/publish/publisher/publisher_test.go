package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc"
)

// journal is what happened, and how many seconds after the beginning.
type journal struct {
	begin time.Time

	mu    sync.Mutex
	lines []string
}

func newJournal() *journal { return &journal{begin: time.Now()} }

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	seconds := int(time.Since(j.begin) / time.Second)
	j.lines = append(j.lines, fmt.Sprintf("%d: ", seconds)+fmt.Sprintf(format, args...))
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()

	return slices.Clone(j.lines)
}

func (j *journal) count(text string) (n int) {
	for _, line := range j.all() {
		if strings.HasSuffix(line, ": "+text) {
			n++
		}
	}

	return n
}

// at is where a line is, -1 if it is not there.
func (j *journal) at(text string) int {
	return slices.IndexFunc(j.all(), func(line string) bool { return strings.HasSuffix(line, ": "+text) })
}

// takes waits for so long, and returns the cause of a context that ends first.
func takes(ctx context.Context, d time.Duration) error {
	if d == forEver {
		<-ctx.Done()

		return context.Cause(ctx)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

const forEver = -1

type fakeTrack struct {
	*journal
	name  string
	local webrtc.TrackLocal
	plays time.Duration
	fails error
	ended chan struct{}
	end   func()
	play  func() // called at the first packet
}

func newTrack(t *testing.T, j *journal, name string, plays time.Duration) *fakeTrack {
	t.Helper()
	local, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, name, "test")
	require.NoError(t, err)
	track := &fakeTrack{journal: j, name: name, local: local, plays: plays, ended: make(chan struct{}), play: func() {}}
	track.end = sync.OnceFunc(func() { close(track.ended) })

	return track
}

func (f *fakeTrack) Name() string             { return f.name }
func (f *fakeTrack) Local() webrtc.TrackLocal { return f.local }
func (f *fakeTrack) Ended() <-chan struct{}   { return f.ended }

func (f *fakeTrack) Play(ctx context.Context) error {
	f.add("play %s", f.name)
	f.play()
	select {
	case <-f.ended:
		return nil
	default:
	}
	if err := takes(ctx, f.plays); err != nil {
		return err
	}
	if f.fails == nil {
		f.end()
	}

	return f.fails
}

type fakeSource struct {
	*journal
	starts time.Duration
	fails  error
	tracks []Track
}

func (f *fakeSource) Start(ctx context.Context) ([]Track, error) {
	f.add("start")
	if err := takes(ctx, f.starts); err != nil {
		f.add("start ended by %v", err)

		return nil, err
	}
	f.add("started")

	return f.tracks, f.fails
}

func (f *fakeSource) Close() error {
	f.add("close")

	return nil
}

type fakeRoom struct {
	*journal
	joins        time.Duration
	fails        error
	publishes    time.Duration // each
	publishFails error
	disconnects  time.Duration // after having joined
	leaves       error
}

var errKicked = errors.New("kicked")

func (f *fakeRoom) Join(ctx context.Context) error {
	f.add("join")
	if err := takes(ctx, f.joins); err != nil {
		f.add("join ended by %v", err)

		return err
	}
	f.add("joined")

	return f.fails
}

func (f *fakeRoom) Wait(ctx context.Context) error {
	if err := takes(ctx, f.disconnects); err != nil {
		return err
	}

	return errKicked
}

func (f *fakeRoom) Publish(ctx context.Context, track webrtc.TrackLocal) error {
	if err := takes(ctx, f.publishes); err != nil {
		return err
	}
	f.add("publish %s", track.ID())

	return f.publishFails
}

func (f *fakeRoom) Unpublish(_ context.Context, track webrtc.TrackLocal) error {
	f.add("unpublish %s", track.ID())

	return nil
}

func (f *fakeRoom) Leave(context.Context) error {
	f.add("leave")

	return f.leaves
}

// fakes are a source of the tracks and a room that stays.
func fakes(j *journal, tracks ...Track) (*fakeSource, *fakeRoom) {
	return &fakeSource{journal: j, tracks: tracks}, &fakeRoom{journal: j, disconnects: forEver}
}

func (j *journal) note(string) {}

// requireEnded says that both were ended, once, and last.
func requireEnded(t *testing.T, j *journal) {
	t.Helper()
	lines := j.all()
	require.GreaterOrEqual(t, len(lines), 2)
	assert.True(t, strings.HasSuffix(lines[len(lines)-2], ": close"), "%v", lines)
	assert.True(t, strings.HasSuffix(lines[len(lines)-1], ": leave"), "%v", lines)
	assert.Equal(t, 1, j.count("close"))
	assert.Equal(t, 1, j.count("leave"))
}

func TestSourceAndRoomStartAtTheSameTime(t *testing.T) {
	for _, times := range [][2]time.Duration{{3 * time.Second, 5 * time.Second}, {5 * time.Second, 3 * time.Second}, {5 * time.Second, 5 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			j := newJournal()
			source, room := fakes(j, newTrack(t, j, "a", time.Second))
			source.starts, room.joins = times[0], times[1]
			require.NoError(t, New(source, room, j.note).Run(t.Context()))
			lines := j.all()
			assert.ElementsMatch(t, []string{"0: start", "0: join"}, lines[:2])
			assert.Equal(t, []string{"5: publish a", "5: play a", "6: unpublish a"}, lines[4:7])
			requireEnded(t, j)
		})
	}
}

// If either fails, both end, and the first cause is returned.
func TestFirstFailureEndsBoth(t *testing.T) {
	broken := errors.New("broken")
	gone := errors.New("gone")
	for name, tc := range map[string]struct {
		change func(source *fakeSource, room *fakeRoom, cancel context.CancelCauseFunc)
		cause  error
		text   string
		ended  string // what was under way
	}{
		"the source": {func(s *fakeSource, r *fakeRoom, _ context.CancelCauseFunc) {
			s.starts, s.fails, r.joins = time.Second, broken, forEver
		}, broken, "source: broken", "join ended by source: broken"},
		"the room": {func(s *fakeSource, r *fakeRoom, _ context.CancelCauseFunc) {
			r.joins, r.fails, s.starts = time.Second, broken, forEver
		}, broken, "room: broken", "start ended by room: broken"},
		"the room has disconnected while the source starts": {func(s *fakeSource, r *fakeRoom, _ context.CancelCauseFunc) {
			r.disconnects, s.starts = time.Second, forEver
		}, ErrDisconnected, "disconnected by the room: kicked", "start ended by disconnected by the room: kicked"},
		"the caller": {func(s *fakeSource, r *fakeRoom, cancel context.CancelCauseFunc) {
			r.joins, s.starts = forEver, forEver
			time.AfterFunc(time.Second, func() { cancel(gone) })
		}, gone, "gone", "start ended by gone"},
		"both, one after the other": {func(s *fakeSource, r *fakeRoom, _ context.CancelCauseFunc) {
			s.starts, s.fails, r.joins, r.fails = time.Second, broken, 1001*time.Millisecond, gone
		}, broken, "source: broken", "join ended by source: broken"},
		"leaving, too": {func(s *fakeSource, r *fakeRoom, _ context.CancelCauseFunc) {
			s.starts, s.fails, r.joins, r.leaves = time.Second, broken, forEver, gone
		}, broken, "source: broken", "join ended by source: broken"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJournal()
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				source, room := fakes(j, newTrack(t, j, "a", time.Second))
				tc.change(source, room, cancel)
				err := New(source, room, j.note).Run(ctx)
				require.ErrorIs(t, err, tc.cause)
				require.EqualError(t, err, tc.text)
				assert.Equal(t, 1, j.count(tc.ended), "%v", j.all())
				assert.Zero(t, j.count("publish a"))
				assert.Equal(t, time.Second, time.Since(j.begin))
				requireEnded(t, j)
			})
		})
	}
}

// A start that takes for ever ends, too.
func TestStartIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		source, room := fakes(j)
		room.joins = forEver
		err := New(source, room, j.note).Run(t.Context())
		require.EqualError(t, err, "room: not there within 30s")
		requireEnded(t, j)
	})
}

func TestTracksArePublishedBeforeTheFirstPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		source, room := fakes(j, newTrack(t, j, "a", time.Second), newTrack(t, j, "b", time.Second))
		room.publishes = time.Second
		require.NoError(t, New(source, room, j.note).Run(t.Context()))
		stand := max(j.at("started"), j.at("joined"))
		first := min(j.at("play a"), j.at("play b"))
		for _, line := range []string{"publish a", "publish b"} {
			assert.Greater(t, j.at(line), stand, "%v", j.all())
			assert.Less(t, j.at(line), first, "%v", j.all())
		}
	})
}

func TestEndOfStreamUnpublishesThatTrackAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		source, room := fakes(j,
			newTrack(t, j, "a", 3*time.Second), newTrack(t, j, "b", time.Second), newTrack(t, j, "c", 2*time.Second))
		require.NoError(t, New(source, room, j.note).Run(t.Context()))
		var ends []string
		for _, line := range j.all() {
			if strings.Contains(line, "unpublish") || strings.Contains(line, "leave") {
				ends = append(ends, line)
			}
		}
		assert.Equal(t, []string{"1: unpublish b", "2: unpublish c", "3: unpublish a", "3: leave"}, ends)
	})
}

// half is half a second after a whole one, between the events of a test.
func half(second int) time.Duration {
	return time.Duration(second)*time.Second + 500*time.Millisecond
}

// An end of stream may come at any time, and be told again and again.
func TestEarlyEndOfStream(t *testing.T) {
	for at := range 9 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJournal()
				a, b, c := newTrack(t, j, "a", 3*time.Second), newTrack(t, j, "b", 3*time.Second), newTrack(t, j, "c", 3*time.Second)
				source, room := fakes(j, a, b, c)
				source.starts, room.joins, room.publishes = 2*time.Second, 4*time.Second, time.Second
				end := func() { b.end(); b.end() }
				if at == 0 {
					end()
				} else {
					time.AfterFunc(half(at), end)
				}
				require.NoError(t, New(source, room, j.note).Run(t.Context()))
				assert.Equal(t, j.count("publish b"), j.count("unpublish b"), "%v", j.all())
				assert.Equal(t, j.count("publish b"), j.count("play b"))
				if at <= 4 {
					assert.Zero(t, j.count("publish b"), "it had ended before: %v", j.all())
				} else {
					assert.Equal(t, 1, j.count("publish b"), "%v", j.all())
				}
				for _, other := range []string{"a", "c"} {
					assert.Equal(t, 1, j.count("publish "+other))
					assert.Equal(t, 1, j.count("unpublish "+other))
				}
				requireEnded(t, j)
			})
		})
	}
}

// With nothing left to publish there is nothing to do.
func TestAllEndEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		a := newTrack(t, j, "a", forEver)
		a.end()
		source, room := fakes(j, a)
		require.NoError(t, New(source, room, j.note).Run(t.Context()))
		assert.Zero(t, j.count("publish a"))
		requireEnded(t, j)
	})
}

func TestTrackThatFails(t *testing.T) {
	broken := errors.New("broken")
	for name, text := range map[string]string{"in the source": "source: a: broken", "in the room": "room: a: broken"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJournal()
				a, b := newTrack(t, j, "a", time.Second), newTrack(t, j, "b", forEver)
				source, room := fakes(j, a, b)
				if a.fails = broken; name == "in the room" {
					a.fails, room.publishFails = nil, broken
				}
				err := New(source, room, j.note).Run(t.Context())
				require.ErrorIs(t, err, broken)
				require.EqualError(t, err, text)
				assert.Zero(t, j.count("unpublish a")+j.count("unpublish b"), "leaving ends them")
				requireEnded(t, j)
			})
		})
	}
}

func TestDisconnectedByTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		source, room := fakes(j, newTrack(t, j, "a", forEver))
		room.disconnects = 2 * time.Second
		err := New(source, room, j.note).Run(t.Context())
		require.ErrorIs(t, err, ErrDisconnected)
		require.ErrorIs(t, err, errKicked)
		assert.Equal(t, 2*time.Second, time.Since(j.begin))
		requireEnded(t, j)
	})
}

// Stop may come at any time, from anywhere, and again.
func TestStopIsIdempotentFromAnywhere(t *testing.T) {
	for at := range 8 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJournal()
				source, room := fakes(j, newTrack(t, j, "a", time.Second), newTrack(t, j, "b", forEver))
				source.starts, room.joins, room.publishes = time.Second, 3*time.Second, time.Second
				p := New(source, room, j.note)
				for range 3 {
					time.AfterFunc(half(at), p.Stop)
				}
				require.NoError(t, p.Run(t.Context()))
				assert.Equal(t, half(at), time.Since(j.begin))
				requireEnded(t, j)
				p.Stop()
				require.ErrorIs(t, p.Run(t.Context()), ErrRunTwice)
			})
		})
	}
	t.Run("before", func(t *testing.T) {
		j := newJournal()
		source, room := fakes(j)
		p := New(source, room, j.note)
		p.Stop()
		require.NoError(t, p.Run(t.Context()))
		assert.Empty(t, j.all(), "nothing is started")
	})
	t.Run("within", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			j := newJournal()
			a := newTrack(t, j, "a", forEver)
			source, room := fakes(j, a)
			var p *Publisher
			p = New(source, room, func(string) { p.Stop() })
			a.play = func() { p.Stop() }
			require.NoError(t, p.Run(t.Context()))
			requireEnded(t, j)
		})
	})
}

// What goes wrong at the end is told if nothing had gone wrong before.
func TestLeavingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		source, room := fakes(j, newTrack(t, j, "a", time.Second))
		room.leaves = errKicked
		require.EqualError(t, New(source, room, j.note).Run(t.Context()), "room: kicked")
	})
}
