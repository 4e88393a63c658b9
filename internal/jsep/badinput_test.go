package jsep

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// prompt requires that the text is read or refused in milliseconds, and that a
// refusal has a line of the text. What it reads must be of use.
func prompt(t *testing.T, text string) error {
	t.Helper()
	// Far above the 50 ms that it should take: the machine has other work to do,
	// and BenchmarkParse tells what it does take.
	const most = 2 * time.Second * raceFactor
	begin := time.Now()
	d, err := Parse(text)
	assert.LessOrEqual(t, time.Since(begin), most, "%d bytes: %q", len(text), clip(text))
	if err == nil {
		use(t, d)

		return nil
	}

	var refusal *Error
	require.ErrorAs(t, err, &refusal)
	assert.Nil(t, d)
	assert.Positive(t, refusal.Line)
	assert.LessOrEqual(t, refusal.Line, max(1, strings.Count(text, "\n")+1))
	assert.LessOrEqual(t, len(refusal.Text), len("a=")+clipped+len("..."))
	assert.True(t, strings.HasPrefix(err.Error(), fmt.Sprintf("line %d: ", refusal.Line)), err.Error())

	return err
}

// use does with a description what a peer connection would.
func use(t testing.TB, d *Description) {
	t.Helper()
	for i := range d.Sections {
		if s := &d.Sections[i]; s.IsData() && s.Data.Port == 0 && !s.Rejected {
			s.Data.Port = portSCTP
		}
	}
	for i := range d.Sections {
		_, err := d.Sections[i].RTP()
		require.NoError(t, err)
	}
	text := d.Format()
	again, err := Parse(text)
	if errors.Is(err, ErrLimit) {
		return // What stood once for all sections stands in each.
	}
	require.NoError(t, err, text)
	require.Equal(t, d, again, text)
	require.Equal(t, text, again.Format())

	offer := Offer(ourLocal(), d.Sections, true, mediaFor(d))
	if err := CheckOffer(offer, d.Sections); !errors.Is(err, ErrBundle) { // What was apart is in one bundle now.
		require.NoError(t, err)
	}
	if len(offer.Sections) <= MaxSections {
		same(t, offer)
	}

	if CheckOffer(d, nil) != nil {
		return
	}
	for _, media := range [][]Media{nil, mediaFor(d)} {
		answer, err := Answer(ourLocal(), d, SetupNone, true, media)
		if errors.Is(err, ErrSetup) || errors.Is(err, ErrNoICECredentials) || errors.Is(err, ErrNoFingerprint) {
			continue // What is accepted is not what CheckOffer has looked at.
		}
		require.NoError(t, err)
		same(t, answer)
		require.NoError(t, CheckAnswer(d, answer))
	}
}

func lines(text string) []string { return strings.SplitAfter(text, "\n") }

func TestP7_TruncatedAtEveryByte(t *testing.T) {
	for name, text := range samples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := range len(text) {
				// The m= line in full is a section, which some need more of.
				_ = prompt(t, text[:n])
			}
		})
	}
}

func TestP7_EveryLineDeletedRepeatedAndSwapped(t *testing.T) {
	for name, text := range samples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := lines(text)
			for i := range len(all) - 1 {
				before, line, after := strings.Join(all[:i], ""), all[i], strings.Join(all[i+1:], "")
				_ = prompt(t, before+after)
				_ = prompt(t, before+line+line+after)
				_ = prompt(t, before+strings.TrimSpace(line)+line+after)
				next := all[i+1]
				_ = prompt(t, before+next+line+strings.TrimPrefix(after, next))
			}
		})
	}
}

func TestP7_EveryByteChanged(t *testing.T) {
	text := sample(t, "chrome-snap")
	for i := range len(text) {
		for _, b := range []byte{0, '\r', '\n', ' ', ':', '=', '/', '0', 'a', 0xff} {
			_ = prompt(t, text[:i]+string([]byte{b})+text[i+1:])
		}
	}
}

// big returns a text of MaxText bytes, or a little less, in which the middle
// part is repeated.
func big(head, repeated, tail string) string {
	n := (MaxText - len(head) - len(tail)) / len(repeated)

	return head + strings.Repeat(repeated, n) + tail
}

// bigTexts are those that take the most work that we could think of.
func bigTexts() map[string]string {
	const section = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
	group := anySession + "a=group:BUNDLE"
	var attributes, long strings.Builder
	for range MaxSections {
		attributes.WriteString("m=audio 9 RTP/SAVPF 0\r\n" + strings.Repeat("a=\t:1234567\r\n", 250))
		long.WriteString("m=audio 9 RTP/SAVPF 0" + strings.Repeat(" 0", 255) + "\r\nc=IN IP4 " + strings.Repeat("1", 3400) + "\r\n")
	}
	manyOptions := ""
	for i := range MaxOptions + 1 {
		manyOptions += " o" + strconv.Itoa(i)
	}
	header := "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\n"
	repeats := "t=0 0\r\n" + strings.Repeat("r=1"+strings.Repeat(" 1", 2040)+"\r\n", 28)

	return map[string]string{
		"one byte more":                 big("", "a", "") + "a",
		"one line":                      big("v=", "0", ""),
		"one attribute":                 big(anySession+"a=", "x", ""),
		"one attribute of a section":    big(anySession+section+"a=x:", "x", ""),
		"one o= line":                   big("v=0\r\no=- ", "0", ""),
		"one t= line":                   big("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=", "0 ", ""),
		"one m= line":                   big(anySession+"m=audio 9 RTP/SAVPF", " 0", ""),
		"session attributes":            big(anySession, "a=x:y\r\n", ""),
		"100,000 attributes":            anySession + section + strings.Repeat("a=x\r\n", 100_000),
		"as many as allowed, each":      anySession + attributes.String(),
		"as many as allowed, then bad":  anySession + attributes.String() + "u=x\r\n",
		"long lines, then bad":          anySession + long.String() + "u=x\r\n",
		"repeat times":                  header + repeats + strings.Repeat("a=x\r\n", MaxAttributes),
		"repeat times, then bad":        header + repeats + "z=\r\nz=\r\n" + strings.Repeat("a=x\r\n", MaxAttributes),
		"attributes, then bad":          anySession + strings.Repeat("a=x:"+strings.Repeat("y", 240)+"\r\n", MaxAttributes) + "t=0 0\r\n",
		"colons":                        big(anySession+"a=", ":", ""),
		"50,000 m= lines":               anySession + strings.Repeat("m=a 9 b c\r\n", 50_000),
		"data sections":                 big(anySession, section, ""),
		"group":                         big(group, " 0", ""),
		"group, as long as allowed":     group + strings.Repeat(" 0", MaxAttributeLine/2-10),
		"groups":                        big(anySession, "a=group:BUNDLE 0\r\n", ""),
		"candidates":                    big(anySession+section, "a=candidate:1\r\n", ""),
		"fingerprints":                  big(anySession+section, "a=fingerprint:sha-256 AB:CD\r\n", ""),
		"options":                       anySession + section + strings.Repeat("a=ice-options:"+strings.Repeat("x ", 32000)+"\r\n", 16) + "a=ice-options:" + manyOptions + "\r\n",
		"setups":                        big(anySession+section, "a=setup:active\r\n", ""),
		"mids":                          big(anySession+section, "a=mid:0\r\n", ""),
		"sctpmaps":                      big(anySession+"m=application 9 DTLS/SCTP 5000\r\n", "a=sctpmap:1 x 1\r\n", ""),
		"empty lines":                   big("", "\n", ""),
		"carriage returns":              big("", "\r", ""),
		"lines ending twice":            big("", "\r\r\n", ""),
		"zero bytes":                    big("", "\x00", ""),
		"equals signs":                  big("", "=", ""),
		"lines of nothing":              big(anySession, "a=\r\n", ""),
		"lines of another type":         big(anySession+section, "i=x\r\n", ""),
		"bandwidths":                    big(anySession+section, "b=AS:1\r\n", ""),
		"digits of a port":              big(anySession+"m=audio ", "9", ""),
		"digits of a port, as allowed":  anySession + "m=audio " + strings.Repeat("9", 4000) + " RTP/SAVPF 0",
		"slashes":                       anySession + "m=audio 9 " + strings.Repeat("/", 4000) + " 0",
		"letters outside of ASCII":      big("v=0\r\ns=", "é", ""),
		"a base64 that does not end":    anySession + section + "a=sctp-init:" + strings.Repeat("A", MaxAttributeLine-20),
		"a fingerprint of a whole line": anySession + section + "a=fingerprint:sha-256 " + strings.Repeat("AA:", 20000) + "AA",
	}
}

func TestP7_HugeTexts(t *testing.T) {
	allowed := map[string]bool{"as many as allowed, each": true, "repeat times": true, "a base64 that does not end": true}
	for name, text := range bigTexts() {
		t.Run(name, func(t *testing.T) {
			err := prompt(t, text)
			if allowed[name] {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
			t.Log(err)
		})
	}
}

func BenchmarkParse(b *testing.B) {
	texts := bigTexts()
	for name, text := range samples(b) {
		texts[name] = text
	}
	for name, text := range texts {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, _ = Parse(text)
			}
		})
	}
}
