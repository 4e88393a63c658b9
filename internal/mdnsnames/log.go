package mdnsnames

import "github.com/pion/logging"

// atDebug makes loggers of the module that warn of nothing: what a stranger on
// the link sends, and an interface that is not reached just now, are no faults
// of the program.
type atDebug struct{ logging.LoggerFactory }

// NewLogger makes one.
func (f atDebug) NewLogger(scope string) logging.LeveledLogger {
	return debugLogger{f.LoggerFactory.NewLogger(scope)}
}

type debugLogger struct{ logging.LeveledLogger }

func (l debugLogger) Warn(msg string)             { l.Debug(msg) }
func (l debugLogger) Warnf(msg string, a ...any)  { l.Debugf(msg, a...) }
func (l debugLogger) Error(msg string)            { l.Debug(msg) }
func (l debugLogger) Errorf(msg string, a ...any) { l.Debugf(msg, a...) }
