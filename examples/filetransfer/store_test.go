package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))

	return hex.EncodeToString(sum[:])
}

func headerOf(name, content string) header {
	return header{Name: name, Size: int64(len(content)), SHA256: sumOf(content)}
}

func TestNamesThatAreRefused(t *testing.T) {
	for _, name := range []string{
		"", ".", "..", "../x", "/etc/passwd", "a/b", `a\b`, `..\x`, "C:x", "x:stream", "x\x00y", "x\ny", "x\x1b[2Jy",
		"\u202egnp.exe", "x\xff", ".bashrc", "~", "-rf", "x.", "x ", "x.part", "X.PART", "x?", strings.Repeat("x", maxName+1),
	} {
		require.Error(t, checkName(name), "%q", name)
	}
	for _, name := range []string{"x", "random.bin", "a b.txt", "ä.txt", "..x"[2:], "x..y", "日本.txt", strings.Repeat("x", maxName)} {
		require.NoError(t, checkName(name), "%q", name)
	}
}

// A folder with a neighbour that must not be touched.
func newStore(t *testing.T, files map[string]string) (s *store, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "..", "outside"), []byte("abc"), 0o600))
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	s, err := openStore(dir)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })

	return s, dir
}

// filesIn reads a folder.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	files := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = string(content)
	}

	return files
}

func TestReceivingAFile(t *testing.T) {
	const content = "abcdef"
	for name, tc := range map[string]struct {
		there   map[string]string
		have    have
		add     string
		fails   string // what finish says
		written map[string]string
	}{
		"new":             {nil, have{0, sumOf("")}, content, "", map[string]string{"x": content}},
		"resumed":         {map[string]string{"x.part": "abc"}, have{3, sumOf("abc")}, "def", "", map[string]string{"x": content}},
		"all has come":    {map[string]string{"x.part": content}, have{6, sumOf(content)}, "", "", map[string]string{"x": content}},
		"there already":   {map[string]string{"x": content, "x.part": "q"}, have{6, sumOf(content)}, "", "", map[string]string{"x": content, "x.part": "q"}},
		"too early":       {nil, have{0, sumOf("")}, "abc", "the end has come after 3 of 6 bytes", map[string]string{"x.part": "abc"}},
		"nothing has":     {nil, have{0, sumOf("")}, "", "after 0 of 6 bytes", map[string]string{}},
		"other content":   {map[string]string{"x.part": "abc"}, have{3, sumOf("abc")}, "DEF", `other content has come than announced; "x.part" is removed`, map[string]string{}},
		"other beginning": {map[string]string{"x.part": "ABC"}, have{3, sumOf("ABC")}, "def", `"x.part" is removed`, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := newStore(t, tc.there)
			in, err := s.begin(t.Context(), headerOf("x", content))
			require.NoError(t, err)
			assert.Equal(t, tc.have, have{in.size, in.digest().SHA256})
			if tc.add != "" {
				require.NoError(t, in.add([]byte(tc.add)))
			}
			err = in.finish()
			if tc.fails == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, tc.fails)
			}
			assert.Equal(t, tc.written, filesIn(t, dir))
		})
	}
}

func TestAFileOfNoBytes(t *testing.T) {
	s, dir := newStore(t, nil)
	in, err := s.begin(t.Context(), headerOf("x", ""))
	require.NoError(t, err)
	require.NoError(t, in.finish())
	assert.Equal(t, map[string]string{"x": ""}, filesIn(t, dir))
}

func TestMoreThanAnnounced(t *testing.T) {
	for name, there := range map[string]map[string]string{"new": nil, "there already": {"x": "abc"}} {
		t.Run(name, func(t *testing.T) {
			s, dir := newStore(t, there)
			in, err := s.begin(t.Context(), headerOf("x", "abc"))
			require.NoError(t, err)
			require.ErrorContains(t, in.add([]byte("abcd")), "more has come than the 3 bytes announced")
			in.close()
			assert.Len(t, filesIn(t, dir), len(there), "nothing was written")
		})
	}
}

// Whatever is refused changes nothing.
func TestFilesThatAreNotTouched(t *testing.T) {
	for name, tc := range map[string]struct {
		there  map[string]string
		prepar func(dir string) error
		fails  string
	}{
		"other content, other length": {map[string]string{"x": "a"}, nil, "with other content"},
		"other content, same length":  {map[string]string{"x": "abd"}, nil, "with other content"},
		"a longer part":               {map[string]string{"x.part": "abcd"}, nil, "longer than the file"},
		"a folder": {nil, func(dir string) error {
			return os.Mkdir(filepath.Join(dir, "x"), 0o700)
		}, "and no file"},
		"a link": {nil, func(dir string) error {
			return os.Symlink("../outside", filepath.Join(dir, "x"))
		}, "and no file"},
		"a link to nowhere": {nil, func(dir string) error {
			return os.Symlink("../new", filepath.Join(dir, "x"))
		}, "and no file"},
		"a part that is a link": {nil, func(dir string) error {
			return os.Symlink("../outside", filepath.Join(dir, "x.part"))
		}, "and no file"},
		"a part that is a link inside": {map[string]string{"y": ""}, func(dir string) error {
			return os.Symlink("y", filepath.Join(dir, "x.part"))
		}, "and no file"},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := newStore(t, tc.there)
			if tc.prepar != nil {
				if err := tc.prepar(dir); err != nil && runtime.GOOS == "windows" {
					t.Skip("no links here: ", err)
				} else {
					require.NoError(t, err)
				}
			}
			_, err := s.begin(t.Context(), headerOf("x", "abc"))
			require.ErrorContains(t, err, tc.fails)
			for name, content := range tc.there {
				got, err := os.ReadFile(filepath.Join(dir, name))
				require.NoError(t, err)
				assert.Equal(t, content, string(got))
			}
			outside, err := os.ReadFile(filepath.Join(dir, "..", "outside"))
			require.NoError(t, err)
			assert.Equal(t, "abc", string(outside))
			assert.NoFileExists(t, filepath.Join(dir, "..", "new"))
		})
	}
}

func TestAFileThatAppearsMeanwhile(t *testing.T) {
	s, dir := newStore(t, nil)
	in, err := s.begin(t.Context(), headerOf("x", "abc"))
	require.NoError(t, err)
	require.NoError(t, in.add([]byte("abc")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), []byte("mine"), 0o600))
	require.ErrorContains(t, in.finish(), `"x" has appeared meanwhile`)
	assert.Equal(t, map[string]string{"x": "mine", "x.part": "abc"}, filesIn(t, dir))
}

// An interrupt while the beginning is read leaves what is there.
func TestAnInterruptWhileReading(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, there := range []map[string]string{{"x.part": "ab"}, {"x": "abc", "x.part": "ab"}} {
		s, dir := newStore(t, there)
		_, err := s.begin(ctx, headerOf("x", "abc"))
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, there, filesIn(t, dir))
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	good := headerOf("x", "abc")
	require.NoError(t, good.check())
	for _, h := range []header{
		{"../x", good.Size, good.SHA256},
		{"x", -1, good.SHA256},
		{"x", 1 << 62, good.SHA256},
		{"x", 3, ""},
		{"x", 3, good.SHA256[2:]},
		{"x", 3, strings.ToUpper(good.SHA256)},
		{"x", 3, strings.Repeat("x", 64)},
	} {
		s, dir := newStore(t, nil)
		_, err := s.begin(t.Context(), h)
		require.Error(t, err, "%+v", h)
		assert.Empty(t, filesIn(t, dir))
	}
}
