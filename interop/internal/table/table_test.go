package table

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	rows := []Row{
		{"a", "a 1", "echo", "we offer", OK, 12 * time.Millisecond, ""},
		{"a", "a 1", "bulk", "we offer", Failed, time.Second, "one | two\nthree"},
		{"b", "", "install", "-", Skipped, 0, "no network"},
		{"b", "b 2", "echo", "we offer", Defect, time.Minute, "x"},
	}
	read := Parse(Write(rows))
	rows[1].Note = "one | two three"
	assert.Equal(t, rows, read)
	assert.Equal(t, Write(rows), Write(read))
	assert.Contains(t, string(Write(rows)), "| b | b 2 | 0 | 0 | 1 | 1 | 60.0 s |")
	assert.Empty(t, Parse(nil))
	assert.Empty(t, Parse([]byte(header+"\n|---|\n| a | b |\n| a | b | c | d | e | f | g |\n")))
}

// A run takes the place of what is known of its peers, and of no others.
func TestMerge(t *testing.T) {
	before := []Row{{Peer: "a", Case: "gone"}, {Peer: "b", Case: "stays"}}
	run := []Row{{Peer: "a", Case: "new"}, {Peer: "c", Case: "new"}}
	assert.Equal(t, []Row{before[1], run[0], run[1]}, Merge(before, run))
}

// A run of some cases takes the place of these alone.
func TestUpdate(t *testing.T) {
	before := []Row{
		{Peer: "a", Case: "x", Direction: "we"},
		{Peer: "a", Case: "y", Direction: "we"},
		{Peer: "a", Case: "x", Direction: "they"},
		{Peer: "b", Case: "x", Direction: "we"},
	}
	run := []Row{
		{Peer: "a", Case: "x", Direction: "they", Note: "again"},
		{Peer: "a", Case: "z", Direction: "we"},
		{Peer: "c", Case: "x", Direction: "we"},
	}
	assert.Equal(t, []Row{before[0], before[1], run[1], run[0], before[3], run[2]}, Update(before, run))
}
