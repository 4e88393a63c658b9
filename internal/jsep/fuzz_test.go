package jsep

import "testing"

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
