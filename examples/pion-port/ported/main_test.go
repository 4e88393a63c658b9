package main

import (
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

// The files are those of before, but for the import path.
func TestOneLineDiffers(t *testing.T) {
	for _, name := range []string{"main.go", "ortc/ortc.go", "ortc/ortc_test.go"} {
		before := strings.Split(read(t, "../before/"+name), "\n")
		ported := strings.Split(read(t, name), "\n")
		require.Len(t, ported, len(before), name)
		var differ []string
		for i := range before {
			if before[i] != ported[i] {
				differ = append(differ, before[i], ported[i])
			}
		}
		assert.Equal(t, []string{"\t\"github.com/pion/webrtc/v4\"", "\t\"github.com/ctxrtc/webrtc\""}, differ, name)
	}
}
