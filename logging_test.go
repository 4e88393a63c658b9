package webrtc

import (
	"bytes"
	"context"
	"errors"
	"log"
	"log/slog"
	"os"
	"path"
	"runtime"
	"testing"

	"github.com/pion/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recordingHandler keeps the records of an enabled level.
type recordingHandler struct {
	level   slog.Level
	records *[]slog.Record
	attrs   []slog.Attr
}

func (h recordingHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h recordingHandler) Handle(_ context.Context, r slog.Record) error {
	r.AddAttrs(h.attrs...)
	*h.records = append(*h.records, r)

	return errors.New("a handler's error has nobody to go to")
}

func (h recordingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(h.attrs, attrs...)

	return h
}

func (h recordingHandler) WithGroup(string) slog.Handler { return h }

// counted notes that it was formatted.
type counted struct{ times *int }

func (c counted) String() string {
	*c.times++

	return "counted"
}

func TestSlogLevels(t *testing.T) {
	for _, tc := range []struct {
		name  string
		level slog.Level
		plain func(logging.LeveledLogger, string)
		with  func(logging.LeveledLogger, string, ...any)
	}{
		{"trace", LevelTrace, logging.LeveledLogger.Trace, logging.LeveledLogger.Tracef},
		{"debug", slog.LevelDebug, logging.LeveledLogger.Debug, logging.LeveledLogger.Debugf},
		{"info", slog.LevelInfo, logging.LeveledLogger.Info, logging.LeveledLogger.Infof},
		{"warn", slog.LevelWarn, logging.LeveledLogger.Warn, logging.LeveledLogger.Warnf},
		{"error", slog.LevelError, logging.LeveledLogger.Error, logging.LeveledLogger.Errorf},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var records []slog.Record
			formatted := 0

			on := NewSlogLoggerFactory(recordingHandler{level: tc.level, records: &records}).NewLogger("ice")
			tc.plain(on, "100% sure %d")
			tc.with(on, "%v of %d", counted{&formatted}, 7)
			require.Len(t, records, 2)
			assert.Equal(t, "100% sure %d", records[0].Message)
			assert.Equal(t, "counted of 7", records[1].Message)
			for _, r := range records {
				assert.Equal(t, tc.level, r.Level)
				assert.False(t, r.Time.IsZero())
				r.Attrs(func(a slog.Attr) bool { return assert.Equal(t, slog.String("scope", "ice"), a) })
				assert.Equal(t, 1, r.NumAttrs())
			}

			off := NewSlogLoggerFactory(recordingHandler{level: tc.level + 1, records: &records}).NewLogger("ice")
			tc.plain(off, "quiet")
			tc.with(off, "%v", counted{&formatted})
			assert.Len(t, records, 2, "a level that is not enabled reached the handler")
			assert.Equal(t, 1, formatted, "a message that nobody wants was formatted")
		})
	}
}

func TestSlogSource(t *testing.T) {
	var records []slog.Record
	log := NewSlogLoggerFactory(recordingHandler{records: &records}).NewLogger("dtls")
	log.Error("here")
	log.Errorf("and %s", "here")
	require.Len(t, records, 2)
	for _, r := range records {
		frame, _ := runtime.CallersFrames([]uintptr{r.PC}).Next()
		assert.Equal(t, "logging_test.go", path.Base(frame.File))
	}
}

func TestSlogScopesAreApart(t *testing.T) {
	var out bytes.Buffer
	factory := NewSlogLoggerFactory(slog.NewTextHandler(&out, nil))
	ice, sctp := factory.NewLogger("ice"), factory.NewLogger("sctp")
	sctp.Info("one")
	ice.Info("two")
	assert.Regexp(t, "msg=one scope=sctp\n.*msg=two scope=ice\n", out.String())
}

func TestSlogWithoutHandler(t *testing.T) {
	var out bytes.Buffer
	before, flags := slog.Default(), log.Flags()
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr) // slog has redirected it, and does not undo that
		log.SetFlags(flags)
	}()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	NewSlogLoggerFactory(nil).NewLogger("ice").Warn("to the default")
	assert.Contains(t, out.String(), "to the default")
}
