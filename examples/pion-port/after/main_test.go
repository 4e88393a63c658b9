package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/internal/programtest"
)

func TestMain(m *testing.M) { os.Exit(programtest.Main(m.Run)) }

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)

	return string(text)
}

// The program prints what the README shows, and leaves no goroutine.
func TestGame(t *testing.T) {
	p := programtest.Start(t)
	require.Equal(t, 0, p.Wait(t), "%s%s", p.Printed(), p.Errors())
	assert.Empty(t, p.Errors())
	printed := regexp.MustCompile(`[1-9][0-9]* answered`).ReplaceAllString(p.Printed(), "20 answered")
	assert.Contains(t, read(t, "../README.md"), "```text\n"+printed+"```\n")
}

// lines counts those with code.
func lines(source string) (n int) {
	for line := range strings.Lines(source) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			n++
		}
	}

	return n
}

// What the README says about the lines is so, and there are much less of them
// afterwards.
func TestWhatWasDeleted(t *testing.T) {
	readme := read(t, "../README.md")
	for _, name := range []string{"main.go", "ortc/ortc.go"} {
		before, after := lines(read(t, "../before/"+name)), lines(read(t, name))
		assert.Less(t, float64(after), 0.75*float64(before), name)
		assert.Contains(t, readme, fmt.Sprintf("| %s | %d | %d |", name, before, after))
	}
}

// The code in the README is in the sources.
func TestTheReadmeShowsTheSources(t *testing.T) {
	sources := read(t, "../before/ortc/ortc.go") + read(t, "ortc/ortc.go")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(read(t, "../README.md"), -1)
	require.Len(t, blocks, 6)
	for _, block := range blocks {
		assert.Contains(t, sources, block[1])
	}
}

// None of the workarounds is there any more.
func TestNoWorkaround(t *testing.T) {
	for _, name := range []string{"main.go", "ortc/ortc.go"} {
		before, after := read(t, "../before/"+name), read(t, name)
		for _, pattern := range []string{
			`\bgo `, `time\.After\(`, `sync\.Once`, `BufferedAmount`, `Detach`, `GatheringCompletePromise`,
		} {
			workaround := regexp.MustCompile(`(?m)^[^/\n]*` + pattern)
			if name == "main.go" || pattern != "Detach" && pattern != "GatheringCompletePromise" {
				assert.Regexp(t, workaround, before, name)
			}
			assert.NotRegexp(t, workaround, after, name)
		}
	}
}
