package webrtc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/pion/logging"
)

// LevelTrace is the slog level of trace messages, which slog itself has no
// name for. It lies as far below Debug as Debug lies below Info.
const LevelTrace = slog.LevelDebug - 4

// NewSlogLoggerFactory sends what this package and the modules below it log to
// a handler of log/slog. Every record carries the part that logged it ("ice",
// "dtls", "sctp", ...) as the attribute "scope". Messages of a level that the
// handler has not enabled are not even formatted. If h is nil, the records go
// to the handler of slog.Default at the time of the call.
func NewSlogLoggerFactory(h slog.Handler) logging.LoggerFactory {
	if h == nil || isNilPointer(h) {
		h = slog.Default().Handler()
	}

	return slogFactory{h}
}

type slogFactory struct{ handler slog.Handler }

func (f slogFactory) NewLogger(scope string) logging.LeveledLogger {
	return slogLogger{f.handler.WithAttrs([]slog.Attr{slog.String("scope", scope)})}
}

type slogLogger struct{ handler slog.Handler }

var _ logging.LeveledLogger = slogLogger{}

func (l slogLogger) Trace(msg string) { l.log(LevelTrace, msg) }
func (l slogLogger) Debug(msg string) { l.log(slog.LevelDebug, msg) }
func (l slogLogger) Info(msg string)  { l.log(slog.LevelInfo, msg) }
func (l slogLogger) Warn(msg string)  { l.log(slog.LevelWarn, msg) }
func (l slogLogger) Error(msg string) { l.log(slog.LevelError, msg) }

func (l slogLogger) Tracef(format string, args ...any) { l.log(LevelTrace, format, args...) }
func (l slogLogger) Debugf(format string, args ...any) { l.log(slog.LevelDebug, format, args...) }
func (l slogLogger) Infof(format string, args ...any)  { l.log(slog.LevelInfo, format, args...) }
func (l slogLogger) Warnf(format string, args ...any)  { l.log(slog.LevelWarn, format, args...) }
func (l slogLogger) Errorf(format string, args ...any) { l.log(slog.LevelError, format, args...) }

// log writes one record. A message without arguments is taken as it is: it may
// hold percent signs.
func (l slogLogger) log(level slog.Level, msg string, args ...any) {
	ctx := context.Background()
	if !l.handler.Enabled(ctx, level) {
		return
	}
	if len(args) > 0 {
		msg = fmt.Sprintf(msg, args...)
	}

	// Callers, log and the method above it are ours; the source is the next.
	var pc [1]uintptr
	runtime.Callers(3, pc[:])

	// There is nobody to report a failing handler to.
	_ = l.handler.Handle(ctx, slog.NewRecord(time.Now(), level, msg, pc[0]))
}
