package jsep

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParse reads anything. What can be read can be written and read again, can
// be answered, and can be offered again.
func FuzzParse(f *testing.F) {
	for _, text := range samples(f) {
		f.Add(text)
	}
	f.Add(anySession)
	f.Add(anySession + anySection + anyAttribute)
	f.Add(Offer(ourLocal(), nil, true, twoMedia()).Format())
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := Parse(text); err == nil {
			use(t, d)
		}
	})
}

// FuzzRTP reads the attributes of a section that are anything. What can be read
// can be written, and means the same then.
func FuzzRTP(f *testing.F) {
	for _, text := range samples(f) {
		for i, part := range strings.Split(strings.ReplaceAll(text, "\r", ""), "\nm=")[1:] {
			first, rest, _ := strings.Cut(part, "\n")
			f.Add(i%2 == 0, strings.Join(strings.Fields(first)[3:], " "), rest)
		}
	}
	f.Add(true, "96 0", "a=rtcp-fb:* nack\na=fmtp:96 x\na=fmtp:96 y\na=rtcp-fb:0 ccm fir\n")
	f.Add(false, "96", "a=rid:a send pt=96;max-fps=1\na=rid:b recv\na=simulcast: send rid=a,~c;d recv b\n")
	f.Fuzz(func(t *testing.T, video bool, formats, text string) {
		kind := KindAudio
		if video {
			kind = KindVideo
		}

		// As values that nobody has looked at.
		s := Section{Kind: kind, Protocol: protocolMedia, Formats: strings.Fields(formats)}
		for row := range strings.SplitSeq(text, "\n") {
			key, value, _ := strings.Cut(strings.TrimPrefix(row, "a="), ":")
			s.Attributes = append(s.Attributes, Attribute{key, value})
		}
		var refusal *Error
		if _, err := s.RTP(); err != nil {
			require.ErrorAs(t, err, &refusal)
		}

		d, err := Parse(anySession + "m=" + kind + " 9 " + protocolMedia + " " + formats + "\n" + text)
		if err != nil {
			require.ErrorAs(t, err, &refusal)
			require.Positive(t, refusal.Line)

			return
		}
		for i := range d.Sections {
			rtp, err := d.Sections[i].RTP()
			require.NoError(t, err)
			media := rtp.Media("m", d.Sections[i].Kind, DirectionSendRecv)
			if len(media.Formats) == 0 {
				continue
			}
			again, err := Parse(Offer(ourLocal(), nil, false, []Media{media}).Format())
			if errors.Is(err, ErrLimit) {
				continue // What stood once for all codecs stands with each.
			}
			require.NoError(t, err)
			read, err := again.Sections[0].RTP()
			require.NoError(t, err)
			require.Equal(t, rtp, read)
			_, _ = rtp.SendRIDs(), rtp.Simulcast.Answer()
		}
	})
}

// twoMedia are Media that need sections.
func twoMedia() []Media {
	return []Media{
		{Kind: KindAudio, Formats: []string{"111"}, Attributes: []Attribute{{"rtpmap", "111 opus/48000/2"}}},
		{
			Kind: KindVideo, Formats: []string{"96", "97"}, Direction: DirectionSendOnly,
			Attributes: []Attribute{{"rtpmap", "96 VP8/90000"}, {"rtcp-fb", "96 nack"}, {"extmap", "1 urn:x"}},
		},
	}
}
