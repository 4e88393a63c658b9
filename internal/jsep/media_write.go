package jsep

import (
	"strconv"
	"strings"
)

// Media returns the section that says it, for Offer and Answer. Its attributes
// are in the order in which browsers write them. Without codecs it has no
// formats, and so gets no section or rejects its own.
func (r RTP) Media(mid, kind string, direction Direction) Media {
	m := Media{MID: mid, Kind: kind, Direction: direction}
	add := func(key, value string) { m.Attributes = append(m.Attributes, Attribute{Key: key, Value: value}) }

	for i := range r.Codecs {
		c := &r.Codecs[i]
		format := strconv.Itoa(int(c.PayloadType))
		m.Formats = append(m.Formats, format)
		add(keyCodec, format+" "+c.text())
		for _, f := range c.Feedback {
			add(keyFeedback, strings.TrimSuffix(format+" "+f.Type+" "+f.Parameter, " "))
		}
		if c.Fmtp != "" {
			add(keyFmtp, format+" "+c.Fmtp)
		}
	}
	for _, e := range r.Extensions {
		add(keyExtension, e.text())
	}
	for _, s := range r.MSIDs {
		add(keyMSID, s.text())
	}
	for i := range r.RIDs {
		add(keyRID, r.RIDs[i].text())
	}
	if text := r.Simulcast.text(); text != "" {
		add(keySimulcast, text)
	}
	for i := range r.Groups {
		add(keyGroup, r.Groups[i].text())
	}
	for _, s := range r.Sources {
		ssrc, said := strconv.FormatUint(uint64(s.SSRC), 10), false
		if s.CName != "" {
			add(keySource, ssrc+" cname:"+s.CName)
			said = true
		}
		if s.StreamID != "" || s.TrackID != "" {
			add(keySource, ssrc+" msid:"+MSID{s.StreamID, s.TrackID}.text())
			said = true
		}
		if !said {
			add(keySource, ssrc)
		}
	}

	return m
}

// text is the value of rtpmap behind the payload type.
func (c *Codec) text() string {
	text := c.Name + "/" + strconv.FormatUint(uint64(c.ClockRate), 10)
	if c.Channels != 0 {
		text += "/" + strconv.Itoa(int(c.Channels))
	}

	return text
}

func (e Extension) text() string {
	text := strconv.Itoa(e.ID)
	if e.Direction != DirectionSendRecv {
		text += "/" + e.Direction.String()
	}

	return text + " " + e.URI
}

func (s MSID) text() string {
	text := s.StreamID
	if text == "" {
		text = "-"
	}
	if s.TrackID != "" {
		text += " " + s.TrackID
	}

	return text
}

func (r *RID) text() string {
	text := r.ID + " " + ridRecv
	if r.Send {
		text = r.ID + " " + ridSend
	}
	var restrictions []string
	if len(r.PayloadTypes) > 0 {
		types := make([]string, 0, len(r.PayloadTypes))
		for _, t := range r.PayloadTypes {
			types = append(types, strconv.Itoa(int(t)))
		}
		restrictions = append(restrictions, "pt="+strings.Join(types, ","))
	}
	if r.Restrictions != "" {
		restrictions = append(restrictions, r.Restrictions)
	}
	if restrictions == nil {
		return text
	}

	return text + " " + strings.Join(restrictions, ";")
}

// text is the value of the attribute, "" if there is no stream.
func (s *Simulcast) text() string {
	if s == nil {
		return ""
	}
	var parts []string
	for _, list := range []struct {
		direction string
		streams   [][]SimulcastStream
	}{{ridSend, s.Send}, {ridRecv, s.Recv}} {
		var all []string
		for _, alternatives := range list.streams {
			var one []string
			for _, stream := range alternatives {
				if stream.Paused {
					one = append(one, "~"+stream.ID)
				} else {
					one = append(one, stream.ID)
				}
			}
			if one != nil {
				all = append(all, strings.Join(one, ","))
			}
		}
		if all != nil {
			parts = append(parts, list.direction+" "+strings.Join(all, ";"))
		}
	}

	return strings.Join(parts, " ")
}
