package webrtc

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fillWith gives every number in a struct another value, from 1 on.
func fillWith(v reflect.Value, next *uint64) {
	for i := range v.NumField() {
		switch field := v.Field(i); {
		case field.Kind() == reflect.Struct:
			fillWith(field, next)
		case field.CanUint():
			*next++
			field.SetUint(*next)
		}
	}
}

// What pion/webrtc has no field for stands beside its fields in the JSON, and
// is absent if zero.
func TestOwnStatsJSON(t *testing.T) {
	for _, c := range []struct {
		stats Stats
		own   string
	}{
		{SCTPTransportStats{}, `{
			"localReceiverWindow":7, "packetsSent":8, "packetsReceived":9,
			"chunksSent":10, "chunksReceived":11, "chunksRetransmitted":12, "openChannels":13,
			"messagesSent":14, "messagesReceived":15, "messageBytesSent":16, "messageBytesReceived":17,
			"bufferedAmount":18, "bytesLost":19, "unreadMessages":20, "unreadBytes":21,
			"dropped":{"malformed":22, "tooLong":23, "wrongTag":24, "unusable":25, "overLimit":26,
				"discardedChunks":27, "unsentPackets":28}}`},
		{DataChannelStats{}, `{"priority":5, "bufferedAmount":6, "unreadMessages":7, "unreadBytes":8}`},
	} {
		zero, err := json.Marshal(c.stats)
		require.NoError(t, err)
		var pions, all, own map[string]any
		require.NoError(t, json.Unmarshal(zero, &pions))

		full := reflect.New(reflect.TypeOf(c.stats))
		fillWith(full.Elem(), new(uint64))
		text, err := json.Marshal(full.Interface())
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &all))
		require.NoError(t, json.Unmarshal([]byte(c.own), &own))
		for name := range pions {
			assert.NotContains(t, own, name, "absent if zero")
			delete(all, name)
		}
		assert.Equal(t, own, all)

		back := reflect.New(reflect.TypeOf(c.stats))
		require.NoError(t, json.Unmarshal(text, back.Interface()))
		assert.Equal(t, full.Interface(), back.Interface())
		assert.True(t, reflect.TypeOf(c.stats).Comparable())
	}
}
