// Package table is what the laboratory has found, as the table of RESULTS.md.
package table

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Outcome of a case.
type Outcome string

// The outcomes: Defect is a failure that is known to be the peer's.
const (
	OK      Outcome = "ok"
	Failed  Outcome = "FAILED"
	Skipped Outcome = "skipped"
	Defect  Outcome = "defect of the peer"
)

// Row is one case with one peer in one direction.
type Row struct {
	Peer    string
	Version string
	Case    string
	// Direction says who offers, or whatever else tells two rows apart.
	Direction string
	Outcome   Outcome
	Time      time.Duration
	// Note is the reason of whatever is not ok, or what was measured.
	Note string
}

const header = "| peer | version | case | direction | outcome | time | note |"

// Merge puts the rows of a run in the place of those of before that are of the
// same peers.
func Merge(before, run []Row) []Row {
	fresh := map[string]bool{}
	for _, r := range run {
		fresh[r.Peer] = true
	}
	kept := slices.DeleteFunc(slices.Clone(before), func(r Row) bool { return fresh[r.Peer] })

	return append(kept, run...)
}

// Update puts the rows of a run that had not all cases in the place of the same
// ones, or behind the others of their peer and direction.
func Update(before, run []Row) []Row {
	all := slices.Clone(before)
	for _, r := range run {
		at := slices.IndexFunc(all, func(b Row) bool { return b.Peer == r.Peer && b.Case == r.Case && b.Direction == r.Direction })
		if at >= 0 {
			all[at] = r

			continue
		}
		at = len(all)
		for i, b := range all {
			if b.Peer == r.Peer && b.Direction == r.Direction {
				at = i + 1
			}
		}
		all = slices.Insert(all, at, r)
	}

	return all
}

// Parse reads the rows of a file that Write has made. What it does not
// understand it leaves out.
func Parse(text []byte) []Row {
	var rows []Row
	inside := false
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if line == header {
			inside = true

			continue
		}
		if !inside || !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) == 6 {
			cells = append(cells, "") // an empty note, trimmed away
		}
		if len(cells) != 7 {
			continue
		}
		took, err := time.ParseDuration(strings.ReplaceAll(cells[5], " ", ""))
		if err != nil {
			continue
		}
		rows = append(rows, Row{
			Peer: cells[0], Version: cells[1], Case: cells[2], Direction: cells[3],
			Outcome: Outcome(cells[4]), Time: took, Note: strings.ReplaceAll(cells[6], `\|`, "|"),
		})
	}

	return rows
}

// Write is the file: a summary, what is not ok, and every row. Rows of a peer
// stay in the order in which they were found.
func Write(rows []Row) []byte {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(a.Peer, b.Peer) })
	var b bytes.Buffer
	b.WriteString("# Results\n\nWritten by `make interop`, or by its fast part; README.md says what the cases are.\n")
	b.WriteString("\n## Summary\n\n| peer | version | ok | failed | defects of the peer | skipped | time |\n")
	b.WriteString("|---|---|---|---|---|---|---|\n")
	for _, s := range summary(rows) {
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %.1f s |\n",
			s.peer, s.version, s.count[OK], s.count[Failed], s.count[Defect], s.count[Skipped], s.time.Seconds())
	}
	b.WriteString("\n## All cases\n\n" + header + "\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %d ms | %s |\n",
			cell(r.Peer), cell(r.Version), cell(r.Case), cell(r.Direction), r.Outcome, r.Time.Milliseconds(), cell(r.Note))
	}

	return b.Bytes()
}

// cell is a text that cannot end its cell.
func cell(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 400 {
		text = strings.ToValidUTF8(text[:400], "") + " …"
	}

	return strings.ReplaceAll(text, "|", `\|`)
}

type sum struct {
	peer, version string
	count         map[Outcome]int
	time          time.Duration
}

func summary(rows []Row) []*sum {
	var all []*sum
	for _, r := range rows {
		at := slices.IndexFunc(all, func(s *sum) bool { return s.peer == r.Peer })
		if at < 0 {
			at = len(all)
			all = append(all, &sum{peer: r.Peer, version: r.Version, count: make(map[Outcome]int)})
		}
		s := all[at]
		s.version = cmp.Or(s.version, r.Version)
		s.count[r.Outcome]++
		s.time += r.Time
	}

	return all
}
