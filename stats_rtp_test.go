package webrtc

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mediaStats are the structs of media, each with what tells UnmarshalStatsJSON
// its type.
var mediaStats = []Stats{
	CodecStats{Type: StatsTypeCodec},
	InboundRTPStreamStats{Type: StatsTypeInboundRTP},
	OutboundRTPStreamStats{Type: StatsTypeOutboundRTP},
	RemoteInboundRTPStreamStats{Type: StatsTypeRemoteInboundRTP},
	RemoteOutboundRTPStreamStats{Type: StatsTypeRemoteOutboundRTP},
	RTPContributingSourceStats{Type: StatsTypeCSRC},
	AudioSourceStats{Type: StatsTypeMediaSource, Kind: "audio"},
	VideoSourceStats{Type: StatsTypeMediaSource, Kind: "video"},
}

// Every field has a name of its own in JSON, the W3C's, and comes back.
func TestMediaStatsJSON(t *testing.T) {
	for _, stats := range mediaStats {
		given := reflect.New(reflect.TypeOf(stats)).Elem()
		for i := range given.NumField() {
			f := given.Field(i)
			if f.Kind() == reflect.Map {
				f.Set(reflect.MakeMap(f.Type()))
				f.SetMapIndex(reflect.ValueOf("x"), reflect.ValueOf(i+1).Convert(f.Type().Elem()))

				continue
			}
			field := given.Type().Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			assert.True(t, strings.EqualFold(name, field.Name), "%T.%s is %q", stats, field.Name, name)
		}
		numbered := reflect.New(given.Type()).Elem()
		numbered.Set(given)
		numberOthers(numbered)
		for _, name := range []string{"Type", "Kind"} {
			if f := numbered.FieldByName(name); f.IsValid() {
				f.SetString(reflect.ValueOf(stats).FieldByName(name).String())
			}
		}
		text, err := json.Marshal(numbered.Interface())
		require.NoError(t, err)
		back, err := UnmarshalStatsJSON(text)
		require.NoError(t, err, "%s", text)
		assert.Equal(t, numbered.Interface(), back)

		var fields map[string]any
		require.NoError(t, json.Unmarshal(text, &fields))
		assert.Len(t, fields, given.NumField(), "%T", stats)
	}
}

// numberOthers gives every field that is no map a value of its own.
func numberOthers(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.String:
			f.SetString("s" + string(rune('a'+i)))
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.CanInt():
			f.SetInt(int64(i + 1))
		case f.CanUint():
			f.SetUint(uint64(i + 1))
		case f.CanFloat():
			f.SetFloat(float64(i + 1))
		}
	}
}

func TestCodecStats(t *testing.T) {
	vp8 := codec(96, MimeTypeVP8, "x=1")
	opus := codec(111, MimeTypeOpus, "")
	opus.Channels = 300
	report := StatsReport{}
	for _, c := range []RTPCodecParameters{vp8, opus} {
		stats := newCodecStats(c, 7)
		report[stats.ID] = stats
	}
	got, ok := report.GetCodecStats(&vp8)
	require.True(t, ok)
	assert.Equal(t, CodecStats{
		Timestamp: 7, Type: StatsTypeCodec, ID: "codec-video/VP8-96", PayloadType: 96, TransportID: "iceTransport",
		MimeType: MimeTypeVP8, ClockRate: 90000, SDPFmtpLine: "x=1",
	}, got)
	got, ok = report.GetCodecStats(&opus)
	require.True(t, ok)
	assert.EqualValues(t, 255, got.Channels)

	other := codec(97, MimeTypeVP8, "x=1")
	for _, r := range []StatsReport{nil, {}, report} {
		_, ok = r.GetCodecStats(&other)
		assert.False(t, ok)
		_, ok = r.GetCodecStats(nil)
		assert.False(t, ok)
	}
}
