package screen

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSizes(t *testing.T) {
	for text, bytes := range map[string]int64{
		"1": 1, "7B": 7, "2KiB": 2048, "64MiB": 64 << 20, "64 MiB": 64 << 20, "1GiB": 1 << 30,
	} {
		got, err := ParseSize(text)
		require.NoError(t, err)
		require.Equal(t, bytes, got)
	}
}

func TestProgressWithoutATerminal(t *testing.T) {
	for name, tc := range map[string]struct {
		from, total int64
		at          []int64
		printed     string
	}{
		"a line for each quarter": {0, 8, []int64{1, 2, 3, 8}, `(?s)^  █{8}░{24}  25 %  2 B of 8 B [^\n]*\n  █{32} 100 %  8 B of 8 B [^\n]*\n$`},
		"resumed":                 {6, 8, []int64{6, 7, 8}, `(?s)^  █{24}░{8}  75 %  6 B of 8 B  0.0 MiB/s\n  █{32} 100 %[^\n]*\n$`},
		"nothing to do":           {0, 0, []int64{0}, `^  █{32} 100 %  0 B of 0 B  0.0 MiB/s\n$`},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := os.Create(filepath.Join(t.TempDir(), "out"))
			require.NoError(t, err)
			defer out.Close()
			bar := NewProgress(New(out), tc.from, tc.total)
			for _, at := range tc.at {
				bar.At(at)
			}
			_, err = out.Seek(0, io.SeekStart)
			require.NoError(t, err)
			printed, err := io.ReadAll(out)
			require.NoError(t, err)
			require.Regexp(t, tc.printed, string(printed))
		})
	}
}
