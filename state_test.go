package webrtc

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pion/ice/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// enumTable is what a program may have stored of one enum: texts in the order
// of the numbers, from first, separated by spaces.
type enumTable struct {
	name  string
	first int
	texts string
	at    func(int) fmt.Stringer
	named func(string) fmt.Stringer // the value of a constant, by its suffix
}

func enumOf[E interface {
	~int | ~int32 | ~uint32 | ~uint8
	fmt.Stringer
}](name string, first int, texts string, constants ...E) enumTable {
	return enumTable{
		name: name, first: first, texts: texts,
		at: func(i int) fmt.Stringer { return E(i) },
		named: func(text string) fmt.Stringer {
			return constants[slices.Index(strings.Fields(texts), text)]
		},
	}
}

func TestEnumNumbersAndTexts(t *testing.T) {
	for _, e := range []enumTable{
		enumOf("ICETransportState", 1, "new checking connected completed failed disconnected closed",
			ICETransportStateNew, ICETransportStateChecking, ICETransportStateConnected, ICETransportStateCompleted,
			ICETransportStateFailed, ICETransportStateDisconnected, ICETransportStateClosed),
		enumOf("ICEGathererState", 1, "new gathering complete closed",
			ICEGathererStateNew, ICEGathererStateGathering, ICEGathererStateComplete, ICEGathererStateClosed),
		enumOf("ICEGatheringState", 1, "new gathering complete",
			ICEGatheringStateNew, ICEGatheringStateGathering, ICEGatheringStateComplete),
		enumOf("ICEConnectionState", 1, "new checking connected completed disconnected failed closed",
			ICEConnectionStateNew, ICEConnectionStateChecking, ICEConnectionStateConnected,
			ICEConnectionStateCompleted, ICEConnectionStateDisconnected, ICEConnectionStateFailed,
			ICEConnectionStateClosed),
		enumOf("PeerConnectionState", 1, "new connecting connected disconnected failed closed",
			PeerConnectionStateNew, PeerConnectionStateConnecting, PeerConnectionStateConnected,
			PeerConnectionStateDisconnected, PeerConnectionStateFailed, PeerConnectionStateClosed),
		enumOf("SignalingState", 1, "stable have-local-offer have-remote-offer have-local-pranswer have-remote-pranswer closed",
			SignalingStateStable, SignalingStateHaveLocalOffer, SignalingStateHaveRemoteOffer,
			SignalingStateHaveLocalPranswer, SignalingStateHaveRemotePranswer, SignalingStateClosed),
		enumOf("DTLSTransportState", 1, "new connecting connected closed failed",
			DTLSTransportStateNew, DTLSTransportStateConnecting, DTLSTransportStateConnected,
			DTLSTransportStateClosed, DTLSTransportStateFailed),
		enumOf("SCTPTransportState", 1, "connecting connected closed",
			SCTPTransportStateConnecting, SCTPTransportStateConnected, SCTPTransportStateClosed),
		enumOf("DataChannelState", 1, "connecting open closing closed",
			DataChannelStateConnecting, DataChannelStateOpen, DataChannelStateClosing, DataChannelStateClosed),
		enumOf("ICEComponent", 1, "rtp rtcp", ICEComponentRTP, ICEComponentRTCP),
		enumOf("ICEProtocol", 1, "udp tcp", ICEProtocolUDP, ICEProtocolTCP),
		enumOf("ICERole", 1, "controlling controlled", ICERoleControlling, ICERoleControlled),
		enumOf("ICECandidateType", 1, "host srflx prflx relay", ICECandidateTypeHost, ICECandidateTypeSrflx,
			ICECandidateTypePrflx, ICECandidateTypeRelay),
		enumOf("ICETransportPolicy", 0, "all relay nohost", ICETransportPolicyAll, ICETransportPolicyRelay,
			ICETransportPolicyNoHost),
		enumOf("ICECredentialType", 0, "password oauth", ICECredentialTypePassword, ICECredentialTypeOauth),
		enumOf("DTLSRole", 1, "auto client server", DTLSRoleAuto, DTLSRoleClient, DTLSRoleServer),
		enumOf("NetworkType", 1, "udp4 udp6 tcp4 tcp6", NetworkTypeUDP4, NetworkTypeUDP6, NetworkTypeTCP4,
			NetworkTypeTCP6),
	} {
		t.Run(e.name, func(t *testing.T) {
			texts := strings.Fields(e.texts)
			for i, text := range texts {
				assert.Equal(t, text, e.at(e.first+i).String())
				assert.Equal(t, e.at(e.first+i), e.named(text), "the constant of %q", text)
			}
			for _, none := range []int{-1, e.first - 1, e.first + len(texts), 255} {
				assert.Equal(t, "unknown", e.at(none).String(), "%d", none)
			}
			require.IsType(t, e.at(0), e.at(1))
		})
	}
}

// The JSON form is on the wire: some enums are texts there, the others numbers.
func TestEnumJSON(t *testing.T) {
	for _, c := range []struct {
		value any
		json  string
	}{
		{ICETransportStateChecking, `"checking"`},
		{ICETransportStateUnknown, `"unknown"`},
		{DTLSTransportStateFailed, `"failed"`},
		{DataChannelStateClosing, `"closing"`},
		{ICERoleControlled, `"controlled"`},
		{ICECandidateTypeRelay, `"relay"`},
		{ICETransportPolicyAll, `"all"`},
		{ICETransportPolicyNoHost, `"nohost"`},
		{ICECredentialTypeOauth, `"oauth"`},
		{ICEGathererStateComplete, `3`},
		{ICEGatheringStateComplete, `3`},
		{ICEConnectionStateFailed, `6`},
		{PeerConnectionStateFailed, `5`},
		{SignalingStateHaveLocalPranswer, `4`},
		{SCTPTransportStateConnected, `2`},
		{ICEComponentRTCP, `2`},
		{ICEProtocolTCP, `2`},
		{DTLSRoleServer, `3`},
		{NetworkTypeTCP6, `4`},
	} {
		got, err := json.Marshal(c.value)
		require.NoError(t, err)
		assert.Equal(t, c.json, string(got), "%T", c.value)
	}
}

type textEnum[E any] interface {
	*E
	encoding.TextUnmarshaler
}

func checkTextRoundTrip[E interface {
	~int
	encoding.TextMarshaler
}, P textEnum[E]](t *testing.T, from, to E,
) {
	t.Helper()
	for e := from; e <= to; e++ {
		text, err := e.MarshalText()
		require.NoError(t, err)
		back := E(99)
		require.NoError(t, P(&back).UnmarshalText(text), "%s", text)
		assert.Equal(t, e, back)

		asJSON, err := json.Marshal([]E{e})
		require.NoError(t, err)
		var list []E
		require.NoError(t, json.Unmarshal(asJSON, &list))
		assert.Equal(t, []E{e}, list)
	}
	for _, text := range []string{"", "New", " new", "x", strings.Repeat("x", 10000)} {
		kept := from + 1
		err := P(&kept).UnmarshalText([]byte(text))
		require.ErrorIs(t, err, ErrUnknownType, "%.20q", text)
		assert.Less(t, len(err.Error()), 300)
		assert.Equal(t, from+1, kept, "an unknown text changes nothing")
	}
	require.ErrorIs(t, P(nil).UnmarshalText([]byte(fmt.Sprint(from+1))), ErrInvalidArgument)
}

func TestEnumTextRoundTrip(t *testing.T) {
	checkTextRoundTrip(t, ICETransportStateUnknown, ICETransportStateClosed)
	checkTextRoundTrip(t, DTLSTransportStateUnknown, DTLSTransportStateFailed)
	checkTextRoundTrip(t, DataChannelStateUnknown, DataChannelStateClosed)
	checkTextRoundTrip(t, ICERoleUnknown, ICERoleControlled)
	checkTextRoundTrip(t, ICECandidateTypeHost, ICECandidateTypeRelay)
}

func TestStateConstructors(t *testing.T) {
	for s := ICEGatheringStateNew; s <= ICEGatheringStateComplete; s++ {
		assert.Equal(t, s, NewICEGatheringState(s.String()))
	}
	for s := ICEConnectionStateNew; s <= ICEConnectionStateClosed; s++ {
		assert.Equal(t, s, NewICEConnectionState(s.String()))
	}
	for _, text := range []string{"", "unknown", "Checking", "open"} {
		assert.Equal(t, ICEGatheringStateUnknown, NewICEGatheringState(text))
		assert.Equal(t, ICEConnectionStateUnknown, NewICEConnectionState(text))
	}
}

func TestSignalingStateGetSet(t *testing.T) {
	var s SignalingState
	s.Set(SignalingStateHaveLocalOffer)
	assert.Equal(t, SignalingStateHaveLocalOffer, s.Get())
	var none *SignalingState
	none.Set(SignalingStateStable)
	assert.Equal(t, SignalingStateUnknown, none.Get())
}

func TestICETransportStateFromAgent(t *testing.T) {
	for agent := ice.ConnectionState(-1); agent < 12; agent++ {
		want := "unknown"
		if ice.ConnectionStateNew <= agent && agent <= ice.ConnectionStateClosed {
			want = strings.ToLower(agent.String())
		}
		assert.Equal(t, want, newICETransportStateFromICE(agent).String(), "%d", agent)
	}
}

// checkTransitions walks every pair of states.
func checkTransitions[S interface {
	~int | ~uint32
	fmt.Stringer
}](t *testing.T, table transitions[S], first, closed S, legal string,
) {
	t.Helper()
	states := slices.Sorted(maps.Keys(table))
	var got []string
	for _, from := range states {
		for _, to := range states {
			if table.allows(from, to) {
				got = append(got, fmt.Sprintf("%v-%v", from, to))
			}
			if from == closed || from == 0 || to == 0 || from == to {
				assert.False(t, table.allows(from, to), "%v to %v", from, to)
			}
		}
		if from != closed && from != 0 {
			assert.True(t, table.allows(from, closed), "%v to closed", from)
		}
	}
	assert.ElementsMatch(t, strings.Fields(legal), got)

	reached := map[S]bool{first: true}
	for grown := true; grown; {
		grown = false
		for from := range maps.Clone(reached) {
			for _, to := range table[from] {
				grown = grown || !reached[to]
				reached[to] = true
			}
		}
	}
	assert.Len(t, reached, len(states)-1, "every state but unknown can be reached")
	assert.False(t, table.allows(99, closed), "a value outside the enum")
}

func TestE3_TransitionsWholeProduct(t *testing.T) {
	checkTransitions(t, iceTransitions, ICETransportStateNew, ICETransportStateClosed, `
		new-checking new-failed new-closed
		checking-connected checking-disconnected checking-failed checking-closed
		connected-completed connected-disconnected connected-failed connected-closed
		completed-connected completed-disconnected completed-failed completed-closed
		disconnected-checking disconnected-connected disconnected-completed disconnected-failed disconnected-closed
		failed-checking failed-closed`)
	checkTransitions(t, gathererTransitions, ICEGathererStateNew, ICEGathererStateClosed, `
		new-gathering new-closed gathering-complete gathering-closed complete-gathering complete-closed`)
	checkTransitions(t, sctpTransitions, SCTPTransportStateConnecting, SCTPTransportStateClosed, `
		connecting-connected connecting-closed connected-closed`)
	checkTransitions(t, channelTransitions, DataChannelStateConnecting, DataChannelStateClosed, `
		connecting-open connecting-closing connecting-closed open-closing open-closed closing-closed`)
	// Here failed has a higher number than closed.
	checkTransitions(t, dtlsTransitions, DTLSTransportStateNew, DTLSTransportStateClosed, `
		new-connecting new-closed connecting-connected connecting-failed connecting-closed
		connected-failed connected-closed failed-closed`)
}

func TestE4_AggregatesOfOneTransport(t *testing.T) {
	const table = `
		new          | new          connecting   connected:connecting   closed:new          failed | new
		checking     | connecting   connecting   connected:connecting   closed:connecting   failed | checking
		connected    | connecting   connecting   connected:connected    closed:connected    failed | connected
		completed    | connecting   connecting   connected:connected    closed:connected    failed | completed
		disconnected | disconnected disconnected connected:disconnected closed:disconnected failed | disconnected
		failed       | failed       failed       connected:failed       closed:failed       failed | failed
		closed       | new          connecting   connected:connecting   closed:new          failed | new`
	columns := []DTLSTransportState{
		DTLSTransportStateNew, DTLSTransportStateConnecting, DTLSTransportStateConnected,
		DTLSTransportStateClosed, DTLSTransportStateFailed,
	}
	rows := strings.Split(strings.TrimSpace(table), "\n")
	require.Len(t, rows, 7)
	for _, row := range rows {
		parts := strings.Split(row, "|")
		var state ICETransportState
		require.NoError(t, state.UnmarshalText([]byte(strings.TrimSpace(parts[0]))))
		ics := strings.TrimSpace(parts[2])
		assert.Equal(t, ics, aggregateICE(false, []ICETransportState{state}).String())
		assert.Equal(t, "closed", aggregateICE(true, []ICETransportState{state}).String())
		cells := strings.Fields(parts[1])
		require.Len(t, cells, len(columns))
		for i, cell := range cells {
			if _, after, ok := strings.Cut(cell, ":"); ok {
				cell = after
			}
			one, dtls := []ICETransportState{state}, []DTLSTransportState{columns[i]}
			assert.Equal(t, cell, aggregateConnection(false, one, dtls).String(), "%v, %v", state, columns[i])
			assert.Equal(t, "closed", aggregateConnection(true, one, dtls).String())
		}
	}
	assert.Equal(t, ICEConnectionStateNew, aggregateICE(false, nil))
	assert.Equal(t, PeerConnectionStateNew, aggregateConnection(false, nil, nil))
	assert.Equal(t, ICEConnectionStateClosed, aggregateICE(true, nil))
	assert.Equal(t, PeerConnectionStateClosed, aggregateConnection(true, nil, nil))
}

// count is the oracle's only tool: it counts texts instead of making sets.
func count[S fmt.Stringer](states []S, texts ...string) (n int) {
	for _, s := range states {
		if slices.Contains(texts, s.String()) {
			n++
		}
	}

	return n
}

func oracleICE(closed bool, all []ICETransportState) string {
	if closed {
		return "closed"
	}
	if count(all, "failed") > 0 {
		return "failed"
	}
	if count(all, "disconnected") > 0 {
		return "disconnected"
	}
	if count(all, "new", "closed") == len(all) {
		return "new"
	}
	if count(all, "new", "checking") > 0 {
		return "checking"
	}
	if count(all, "completed", "closed") == len(all) {
		return "completed"
	}
	if count(all, "connected", "completed", "closed") == len(all) {
		return "connected"
	}

	return "unknown"
}

func oracleConnection(closed bool, all []ICETransportState, dtls []DTLSTransportState) string {
	ics := oracleICE(closed, all)
	if ics == "closed" {
		return ics
	}
	if ics == "failed" || count(dtls, "failed") > 0 {
		return "failed"
	}
	if ics == "disconnected" {
		return ics
	}
	if len(all)+len(dtls) == 0 || ics == "new" && count(dtls, "new", "closed") == len(dtls) {
		return "new"
	}
	if (ics == "connected" || ics == "completed") && count(dtls, "connected", "closed") == len(dtls) {
		return "connected"
	}

	return "connecting"
}

func TestE4_AggregatesWholeProductOfTwoTransports(t *testing.T) {
	cells := 0
	for _, closed := range []bool{false, true} {
		for a := ICETransportStateUnknown; a <= ICETransportStateClosed; a++ {
			for b := ICETransportStateUnknown; b <= ICETransportStateClosed; b++ {
				both := []ICETransportState{a, b}
				require.Equal(t, oracleICE(closed, both), aggregateICE(closed, both).String(), "%v %v", closed, both)
				for c := DTLSTransportStateUnknown; c <= DTLSTransportStateFailed; c++ {
					for d := DTLSTransportStateUnknown; d <= DTLSTransportStateFailed; d++ {
						dtls := []DTLSTransportState{c, d}
						require.Equal(t, oracleConnection(closed, both, dtls),
							aggregateConnection(closed, both, dtls).String(), "%v %v %v", closed, both, dtls)
						cells++
					}
				}
			}
		}
	}
	assert.Equal(t, 2*8*8*6*6, cells)
}

func TestAggregatesOutsideTheEnum(t *testing.T) {
	for _, s := range []ICETransportState{-1, 8, 64, 1 << 30} {
		assert.Equal(t, ICEConnectionStateUnknown, aggregateICE(false, []ICETransportState{s}))
		assert.Equal(t, PeerConnectionStateConnecting, aggregateConnection(false, []ICETransportState{s}, nil))
	}
}
