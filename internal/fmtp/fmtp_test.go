package fmtp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParse(t *testing.T) {
	for line, want := range map[string]Parameters{
		"":                    {},
		";; ;=;=1":            {},
		"apt=96":              {"apt": "96"},
		" A = 1 ;\tb=x=y; c ": {"a": "1", "b": "x=y", "c": ""},
		"a=1;A=2":             {"a": "2"},
		"111/111":             {"111/111": ""},
		"a=\x00\xff;\x80=1":   {"a": "\x00\xff", "\ufffd": "1"},
	} {
		assert.Equal(t, want, Parse(line), "%q", line)
	}
}

func TestParseIsBounded(t *testing.T) {
	var line strings.Builder
	for i := range 10 * maxParameters {
		fmt.Fprintf(&line, "p%d=1;", i)
	}
	assert.Len(t, Parse(line.String()), maxParameters)
}

const (
	mode0 = "packetization-mode=0;profile-level-id="
	mode1 = "packetization-mode=1;profile-level-id="
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		mime, a, b string
		want       bool
	}{
		{"audio/opus", "minptime=10;useinbandfec=1", "useinbandfec=1;minptime=10;stereo=1", true},
		{"audio/opus", "useinbandfec=1", "useinbandfec=0", false},
		{"audio/opus", "", "useinbandfec=0", true},
		{"video/rtx", "apt=96", "apt=97", false},
		{"video/rtx", "apt=96", "apt=96;rtx-time=3000", true},
		{"audio/L16", "x=Abc", "X=aBC", true},

		{"video/H264", "level-asymmetry-allowed=1;" + mode1 + "42e01f", mode1 + "42E034", true},
		{"video/H264", mode1 + "42e01f", mode0 + "42e01f", false},
		{"video/H264", mode1 + "42001f", mode1 + "42e01f", false},
		{"video/H264", mode1 + "42c01f", mode1 + "42e01f", true},
		{"video/H264", mode1 + "4d801f", mode1 + "42e01f", true},
		{"video/H264", mode1 + "58f01f", mode1 + "42e01f", true},
		{"video/H264", mode1 + "58801f", mode1 + "42001f", true},
		{"video/H264", mode1 + "4d001f", mode1 + "4d401f", true},
		{"video/H264", mode1 + "64001f", mode1 + "640c1f", false},
		{"video/H264", mode1 + "64001f", mode1 + "640028", true},
		{"video/H264", "", "", true},
		{"video/H264", "", mode0 + "42001f", false},
		{"video/H264", "profile-level-id=42e01f", mode0 + "42e01f", false},
		{"video/H264", "packetization-mode=0", mode0 + "42e01f", false},
		{"video/H264", mode1, mode1, true},
		{"video/H264", mode1 + "zz", mode1 + "42e01f", false},
		{"video/H264", mode1 + "zzzzzz", mode1 + "ZZZZZZ", true},
		{"video/H264", mode1 + "42e0", mode1 + "42e01f", false},
		{"video/H264", mode1 + "42e01f1f", mode1 + "42e01f", false},

		{"video/H265", "", "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST", true},
		{"video/H265", "level-id=93", "level-id=156", true},
		{"video/H265", "profile-id=2", "", false},
		{"video/H265", "tier-flag=1", "", false},
		{"video/H265", "tx-mode=srst", "tx-mode=MRST", false},

		{"video/VP9", "", "profile-id=0", true},
		{"video/VP9", "", "profile-id=2", false},
		{"video/VP9", "profile-id=2;max-fr=30", "profile-id=2", true},

		{"video/AV1", "", "profile=0;level-idx=5;tier=0", true},
		{"video/AV1", "level-idx=5", "level-idx=8;tier=1", true},
		{"video/AV1", "profile=1", "", false},
	} {
		assert.Equal(t, c.want, Match(c.mime, c.a, c.b), "%s %q %q", c.mime, c.a, c.b)
		assert.Equal(t, c.want, Match(strings.ToLower(c.mime), c.b, c.a), "%s %q %q", c.mime, c.b, c.a)
	}
}

func TestUsualClockRatesAndChannels(t *testing.T) {
	assert.EqualValues(t, 48000, ClockRate("audio/OPUS", 0))
	assert.EqualValues(t, 8000, ClockRate("audio/PCMU", 0))
	assert.EqualValues(t, 16000, ClockRate("audio/PCMU", 16000))
	assert.EqualValues(t, 90000, ClockRate("video/anything", 0))
	assert.Zero(t, ClockRate("audio/L16", 0))
	assert.Zero(t, ClockRate("", 0))

	assert.EqualValues(t, 2, Channels("audio/opus", 0))
	assert.EqualValues(t, 1, Channels("audio/opus", 1))
	assert.EqualValues(t, 1, Channels("audio/L16", 0))
	assert.EqualValues(t, 1, Channels("video/VP8", 0))
}

// Whatever the lines are, comparing them is symmetric, and a line matches
// itself.
func FuzzMatch(f *testing.F) {
	for _, mime := range []string{"video/H264", "video/H265", "video/VP9", "video/AV1", "audio/opus", ""} {
		f.Add(mime, mode1+"42e01f", "profile-id=1;tier-flag;tx-mode=")
		f.Add(mime, ";=;", strings.Repeat("a;b=", 99))
	}
	f.Fuzz(func(t *testing.T, mime, a, b string) {
		if Match(mime, a, b) != Match(mime, b, a) {
			t.Errorf("%q: %q and %q", mime, a, b)
		}
		if !Match(mime, a, a) {
			t.Errorf("%q: %q is not itself", mime, a)
		}
		if n := len(Parse(a)); n > maxParameters {
			t.Errorf("%d parameters", n)
		}
	})
}
