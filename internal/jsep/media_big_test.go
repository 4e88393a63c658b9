package jsep

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bigMedia are the texts of media that take the most work that we could think
// of, within all limits.
func bigMedia() map[string]string {
	const m = "m=video 9 RTP/SAVPF"
	// Sections of these lines until the text is full.
	fill := func(first, lines string) string {
		var b strings.Builder
		b.WriteString(anySession)
		rows := 0
		for i := range MaxSections {
			section := fmt.Sprintf("%s\na=mid:%d\na=rtcp-mux\na=ice-ufrag:a\na=ice-pwd:b\na=fingerprint:sha-256 AA\n%s", first, i, lines)
			if rows += strings.Count(section, "\n"); b.Len()+len(section) > MaxText || rows > MaxLines-10 {
				break
			}
			b.WriteString(section)
		}

		return b.String()
	}
	lines := func(n int, format string) string {
		return "a=" + strings.ReplaceAll(repeat(n, format), "\n", "\na=") + "\n"
	}
	all := m
	for i := range maxPayloadType + 1 {
		all += fmt.Sprint(" ", i)
	}
	const few = 900 // so that there are many sections

	return map[string]string{
		"feedback of all codecs": fill(all, lines(maxPayloadType+1, "rtpmap:%d a/1")+lines(MaxFeedback, "rtcp-fb:* %d")),
		"feedback of each and of all": fill(all, lines(maxPayloadType+1, "rtpmap:%d a/1")+lines(MaxFeedback/2, "rtcp-fb:* x%d")+
			lines(maxPayloadType+1, "rtcp-fb:%d x0")+lines(maxPayloadType+1, "rtcp-fb:%d y")),
		"feedback again":         fill(m+" 0", lines(MaxFeedback-1, "rtcp-fb:0 x%d")+strings.Repeat("a=rtcp-fb:0 y\n", few)),
		"rtpmaps again":          fill(m+" 0", strings.Repeat("a=rtpmap:0 VP8/90000/1\n", few)),
		"parameters again":       fill(m+" 0", strings.Repeat("a=fmtp:0 x=1\n", few)),
		"parameters, long":       fill(m+" 0", lines(MaxFmtp-1, "fmtp:0 %d"+strings.Repeat("x", 8000))),
		"extensions":             fill(m+" 0", lines(14, "extmap:2%d x")+strings.Repeat("a=extmap:20 x\n", few)),
		"streams again":          fill(m+" 0", lines(MaxMSIDs-1, "msid:x%d")+strings.Repeat("a=msid:y\n", few)),
		"sources":                fill(m+" 0", lines(MaxSources, "ssrc:%d")),
		"sources again":          fill(m+" 0", strings.Repeat("a=ssrc:1 cname:x\n", few)),
		"groups":                 fill(m+" 0", lines(MaxGroups, "ssrc-group:F %d")),
		"groups, long":           fill(m+" 0", lines(20, "ssrc-group:F"+strings.Repeat(" 0", MaxSources-1)+" %d")),
		"rids again":             fill(m+" 0", lines(MaxAllRIDs/MaxSections-1, "rid:x%d send")+strings.Repeat("a=rid:y send pt=1,2\n", few)),
		"rids with many types":   fill(m+" 0", lines(MaxAllRIDs/MaxSections, "rid:x%d send pt="+strings.TrimSuffix(strings.Repeat("127,", 10000/(MaxAllRIDs/MaxSections)), ","))),
		"simulcast again":        fill(m+" 0", strings.Repeat("a=simulcast:send a;b;c\n", few)),
		"one line of a pt list":  fill(m+" 0", "a=rid:x send pt="+strings.Repeat("1,", 30000)+"1\n"),
		"spaces":                 fill(m+" 0", "a=simulcast:"+strings.Repeat(" ", 60000)+"send a\na=msid:"+strings.Repeat(" ", 60000)+"a\n"),
		"a wide m= line":         fill(m+strings.Repeat(" 0", MaxFormats), ""),
		"attributes of no use":   fill(m+" 0", strings.Repeat("a=x:y\n", few)),
		"extensions of sections": fill(m+" 0", lines(50, "extmap:2%d x")),
	}
}

// readAll reads what Parse returned as a connection would: once to check it as
// an offer, once as values, and once more with the answer.
func readAll(t testing.TB, d *Description) {
	t.Helper()
	var media []Media
	require.NoError(t, CheckOffer(d, nil))
	for i := range d.Sections {
		rtp, err := d.Sections[i].RTP()
		require.NoError(t, err)
		if i == 0 { // Without a bundle one is accepted.
			media = append(media, rtp.Media(d.Sections[i].MID, d.Sections[i].Kind, DirectionSendRecv))
		}
	}
	answer, err := Answer(ourLocal(), d, SetupNone, false, media)
	require.NoError(t, err)
	require.NoError(t, CheckAnswer(d, answer))
}

func TestP7_BigMedia(t *testing.T) {
	for name, text := range bigMedia() {
		t.Run(name, func(t *testing.T) {
			// As in prompt: far above what it should take.
			const most = 2 * time.Second * raceFactor
			begin := time.Now()
			d, err := Parse(text)
			require.NoError(t, err)
			readAll(t, d)
			assert.LessOrEqual(t, time.Since(begin), most)
			assert.NotEmpty(t, d.Sections)
		})
	}
}

func BenchmarkMedia(b *testing.B) {
	for name, text := range bigMedia() {
		b.Run("parse/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Parse(text)
			}
		})
		b.Run("read/"+name, func(b *testing.B) {
			d := parse(b, text)
			b.ReportAllocs()
			for b.Loop() {
				readAll(b, d)
			}
		})
	}
}

// Each rid is a stream that a receiver keeps things for.
func TestRIDsOfAllSections(t *testing.T) {
	text := func(rids int) string {
		var b strings.Builder
		b.WriteString(anySession)
		for i := 0; rids > 0; i++ {
			fmt.Fprintf(&b, "m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:%d\na=rtpmap:96 VP8/90000\n", i)
			for range min(rids, MaxRIDs) {
				fmt.Fprintf(&b, "a=rid:r%d send\n", rids)
				rids--
			}
		}

		return b.String()
	}
	_, err := Parse(text(MaxAllRIDs))
	require.NoError(t, err)
	_, err = Parse(text(MaxAllRIDs + 1))
	require.ErrorIs(t, err, ErrLimit)
}
