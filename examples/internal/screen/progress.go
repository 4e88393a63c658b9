package screen

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	barWidth   = 32
	barEvery   = 50 * time.Millisecond
	quietSteps = 4 // lines of progress where there is no terminal
)

// Progress shows how far a transfer is.
type Progress struct {
	screen *Screen
	from   int64
	total  int64
	begin  time.Time
	drawn  time.Time
	step   int64
}

// NewProgress begins now, with from of total bytes there already. What was
// there does not count for the rate.
func NewProgress(s *Screen, from, total int64) *Progress {
	return &Progress{screen: s, from: from, total: total, begin: time.Now()}
}

// At tells how many bytes are done.
func (p *Progress) At(done int64) {
	now := time.Now()
	if p.screen.tty {
		if done == p.total || now.Sub(p.drawn) >= barEvery {
			p.drawn = now
			p.screen.draw(p.text(done, now))
		}
		if done == p.total {
			p.screen.End()
		}

		return
	}
	if step := share(done, p.total, quietSteps); step > p.step {
		p.step = step
		p.screen.Line("%s", p.text(done, now))
	}
}

func (p *Progress) text(done int64, now time.Time) string {
	full := int(share(done, p.total, barWidth))

	return fmt.Sprintf("  %s%s %3d %%  %s of %s  %s",
		strings.Repeat("█", full), strings.Repeat("░", barWidth-full), share(done, p.total, 100),
		Amount(done), Amount(p.total), Rate(done-p.from, now.Sub(p.begin)))
}

// share is the part of all parts that is done. Nothing at all is done at once.
func share(done, total, all int64) int64 {
	if total == 0 {
		return all
	}

	return done * all / total
}

// Amount writes a number of bytes with a unit.
func Amount(n int64) string {
	for _, u := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}

	return fmt.Sprintf("%d B", n)
}

// Rate writes a number of bytes per time with a unit.
func Rate(n int64, d time.Duration) string {
	if d <= 0 {
		d = 1
	}

	return fmt.Sprintf("%.1f MiB/s", float64(n)/(1<<20)/d.Seconds())
}

// MaxSize keeps the arithmetic of the progress bar away from overflow.
const MaxSize = 1 << 50

// ParseSize reads a number of bytes as somebody types it.
func ParseSize(text string) (int64, error) {
	number, unit := text, int64(1)
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}} {
		if n, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit = n, u.bytes

			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 1 || n > MaxSize/unit {
		return 0, errors.New("not a size from 1 B to 1048576 GiB, in B, KiB, MiB or GiB, such as 64MiB")
	}

	return n * unit, nil
}
