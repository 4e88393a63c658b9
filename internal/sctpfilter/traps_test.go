package sctpfilter

import (
	"encoding/binary"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/internal/testnet"
)

// forward is a FORWARD-TSN chunk.
func forward(kind byte, to uint32, entries ...byte) []byte {
	return chunk(kind, 0, append(binary.BigEndian.AppendUint32(nil, to), entries...))
}

// resetOf is the parameter that asks for a reset.
func resetOf(number, last uint32, ids ...uint16) []byte {
	v := binary.BigEndian.AppendUint32(nil, number)
	v = binary.BigEndian.AppendUint32(v, 0)
	v = binary.BigEndian.AppendUint32(v, last)
	for _, id := range ids {
		v = binary.BigEndian.AppendUint16(v, id)
	}

	return chunk(0, paramResetRequest, v)
}

func answerOf(number, result uint32) []byte {
	return chunk(0, paramResetResponse, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, number), result))
}

func reconfigOf(params ...[]byte) []byte {
	v := []byte{}
	for _, p := range params {
		v = append(v, p...)
	}

	return chunk(chunkReconfig, 0, v)
}

// probe stands behind a packet that may be dropped, so that Read returns.
var probe = packet(defaultPorts, 1, chunk(chunkHeartbeat, 0, nil))

// readOne reads what the association gets of one packet, nil if nothing. The
// reader has been told of it when it returns.
func readOne(t *testing.T, f *Filter, near *testnet.PipeConn, p []byte) []byte {
	t.Helper()
	near.Inject(p)
	near.Inject(probe)
	var got []byte
	for range 2 {
		buf := nextBuffer()
		n, err := f.Read(buf)
		require.NoError(t, err)
		if buf[commonHeaderLen] == chunkHeartbeat && n == len(probe) {
			break
		}
		require.True(t, intact(buf[:n]), "checksum")
		got = buf[:n]
	}
	f.tell()

	return got
}

// What would make the association drop a whole packet or abort itself is kept
// from it, and the rest of the packet is not.
func TestTraps(t *testing.T) {
	data := dataOf(1000, 1, 3, 0, []byte("data"))
	pack := func(chunks ...[]byte) []byte { return packet(defaultPorts, 1, chunks...) }
	unpadded := pack(dataOf(1000, 1, 3, 0, []byte("x")))
	dirty := pack(dataOf(1000, 1, 3, 0, []byte("x")))
	dirty[len(dirty)-1] = 1
	binary.LittleEndian.PutUint32(dirty[8:], checksum(dirty))
	wrongSum := pack(data)
	wrongSum[9] ^= 1
	noSum := pack(data)
	clear(noSum[8:12])
	for name, tc := range map[string]struct {
		params  []byte // besides the extensions
		packet  []byte
		want    []byte // nil: nothing
		counter func(Stats) uint64
	}{
		"unknown chunk to be skipped":    {nil, pack(chunk(0xc1, 0, []byte{1}), data), pack(data), func(s Stats) uint64 { return s.Stripped }},
		"unknown chunk behind":           {nil, pack(data, chunk(0x80, 0, []byte{1})), pack(data), func(s Stats) uint64 { return s.Stripped }},
		"unknown chunk to stop at":       {nil, pack(chunk(0x41, 0, nil), data), nil, func(s Stats) uint64 { return s.Malformed }},
		"HEARTBEAT ACK":                  {nil, pack(chunk(chunkHeartbeatAck, 0, nil), data), pack(data), func(s Stats) uint64 { return s.Stripped }},
		"ERROR":                          {nil, pack(chunk(chunkError, 0, []byte{0, 3, 0, 40}), data), pack(data), func(s Stats) uint64 { return s.Stripped }},
		"HEARTBEAT with something else":  {nil, pack(chunk(chunkHeartbeat, 0, []byte{0, 9, 0, 4}), data), pack(data), func(s Stats) uint64 { return s.Stripped }},
		"HEARTBEAT":                      {nil, pack(chunk(chunkHeartbeat, 0, []byte{0, 1, 0, 8, 1, 2, 3, 4}), data), pack(chunk(chunkHeartbeat, 0, []byte{0, 1, 0, 8, 1, 2, 3, 4}), data), nil},
		"two HEARTBEATs":                 {nil, pack(chunk(chunkHeartbeat, 0, nil), chunk(chunkHeartbeat, 0, nil)), nil, func(s Stats) uint64 { return s.Malformed }},
		"SACK":                           {nil, pack(chunk(chunkSack, 0, sackValue(5, 9, 2, 3, 5, 5))), pack(chunk(chunkSack, 0, sackValue(5, 9, 2, 3, 5, 5))), nil},
		"SACK of wrong length":           {nil, pack(chunk(chunkSack, 0, append(sackValue(5, 9), 0)), data), nil, func(s Stats) uint64 { return s.Malformed }},
		"SACK with crossing gaps":        {nil, pack(chunk(chunkSack, 0, sackValue(5, 9, 2, 9, 3, 9))), nil, func(s Stats) uint64 { return s.Malformed }},
		"two SACKs":                      {nil, pack(chunk(chunkSack, 0, sackValue(5, 9)), chunk(chunkSack, 0, sackValue(5, 9))), nil, func(s Stats) uint64 { return s.Malformed }},
		"DATA without data":              {nil, pack(dataOf(1000, 1, 3, 0, nil)), nil, func(s Stats) uint64 { return s.Malformed }},
		"DATA not padded":                {nil, reseal(unpadded[:len(unpadded)-1]), nil, func(s Stats) uint64 { return s.Malformed }},
		"DATA padded with ones":          {nil, dirty, nil, func(s Stats) uint64 { return s.Malformed }},
		"I-DATA, not negotiated":         {nil, pack(iDataOf(1000, 1, 3, 0, 53, []byte("data"))), nil, func(s Stats) uint64 { return s.Contradicting }},
		"I-DATA beside DATA":             {nil, pack(iDataOf(1001, 1, 3, 0, 53, []byte("data")), data), pack(data), func(s Stats) uint64 { return s.Contradicting }},
		"I-FORWARD-TSN, not negotiated":  {nil, pack(forward(chunkIForwardTSN, 1005)), nil, func(s Stats) uint64 { return s.Contradicting }},
		"FORWARD-TSN of odd length":      {nil, pack(forward(chunkForwardTSN, 1005, 1)), nil, func(s Stats) uint64 { return s.Malformed }},
		"SHUTDOWN of wrong length":       {nil, pack(chunk(chunkShutdown, 0, []byte{1}), data), nil, func(s Stats) uint64 { return s.Malformed }},
		"COOKIE ECHO behind data":        {nil, pack(data, chunk(chunkCookieEcho, 0, nil)), nil, func(s Stats) uint64 { return s.Malformed }},
		"TSN at the reach":               {nil, pack(dataOf(999+8448, 1, 3, 0, []byte("data"))), pack(dataOf(999+8448, 1, 3, 0, []byte("data"))), nil},
		"TSN past the reach":             {nil, pack(dataOf(1000+8448, 1, 3, 0, []byte("data"))), nil, func(s Stats) uint64 { return s.TooFar }},
		"TSN before the first":           {nil, pack(dataOf(999, 1, 3, 0, []byte("data"))), pack(dataOf(999, 1, 3, 0, []byte("data"))), func(s Stats) uint64 { return s.Duplicates }},
		"wrong checksum":                 {nil, wrongSum, nil, func(s Stats) uint64 { return s.Malformed }},
		"no checksum, not negotiated":    {nil, noSum, nil, func(s Stats) uint64 { return s.Malformed }},
		"no checksum":                    {zeroChecksumParameter, noSum, noSum, nil},
		"checksum that nobody needs":     {zeroChecksumParameter, wrongSum, noSum, nil},
		"request for incoming resets":    {nil, pack(reconfigOf(chunk(0, 14, make([]byte, 8))), data), pack(data), func(s Stats) uint64 { return s.BadResets }},
		"request for all streams":        {nil, pack(reconfigOf(resetOf(1, 999)), data), pack(data), func(s Stats) uint64 { return s.BadResets }},
		"request for the sink":           {nil, pack(reconfigOf(resetOf(1, 999, 1, Sink)), data), pack(data), func(s Stats) uint64 { return s.BadResets }},
		"request for too many":           {nil, pack(reconfigOf(resetOf(1, 999, make([]uint16, 1025)...)), data), pack(data), func(s Stats) uint64 { return s.BadResets }},
		"two RE-CONFIGs":                 {nil, pack(reconfigOf(answerOf(1, 1)), reconfigOf(answerOf(2, 1))), nil, func(s Stats) uint64 { return s.Malformed }},
		"RE-CONFIG of nothing":           {nil, pack(chunk(chunkReconfig, 0, nil), data), pack(data), nil},
		"answer with more than a result": {nil, pack(reconfigOf(chunk(0, paramResetResponse, make([]byte, 16)))), pack(reconfigOf(chunk(0, paramResetResponse, make([]byte, 8)))), nil},
	} {
		t.Run(name, func(t *testing.T) {
			f, near, _, _ := newReading(t, Config{}, append(tc.params, plainExtensions...)...)
			assert.Equal(t, tc.want, readOne(t, f, near, tc.packet))
			if tc.counter != nil {
				assert.EqualValues(t, 1, tc.counter(f.Stats()), "%+v", f.Stats())
			}
		})
	}
}

func reseal(p []byte) []byte {
	seal(p)

	return p
}

// What completes the handshake passes alone, and what was behind it follows
// when somebody reads the streams.
func TestHandshakeIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := testnet.Pipe(0)
		f := New(near, Config{})
		_, err := f.Write(packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(1, plainExtensions...))))
		require.NoError(t, err)
		near.Inject(packet(defaultPorts, 0, chunk(chunkInit, 0, initValue(2, plainExtensions...))))
		buf := nextBuffer()
		_, err = f.Read(buf)
		require.NoError(t, err)
		cookie := []byte("cookie!!")
		_, err = f.Write(packet(defaultPorts, 2, chunk(chunkInitAck, 0, initValue(1, append([]byte{0, 7, 0, 12}, cookie...)...))))
		require.NoError(t, err)

		data := dataOf(1000, 1, 3, 0, []byte("data"))
		forged := packet(defaultPorts, 1, chunk(chunkCookieEcho, 0, []byte("forged")), data)
		assert.Equal(t, packet(defaultPorts, 1, chunk(chunkCookieEcho, 0, []byte("forged"))), readOne(t, f, near, forged),
			"the association will not take the cookie, so the data is too early")
		near.Inject(packet(defaultPorts, 1, chunk(chunkCookieEcho, 0, cookie), data))
		n, err := f.Read(buf)
		require.NoError(t, err)
		assert.Equal(t, packet(defaultPorts, 1, chunk(chunkCookieEcho, 0, cookie)), buf[:n])
		got := make(chan []byte)
		go func() {
			n, _ := f.Read(buf)
			got <- buf[:n]
		}()
		synctest.Wait()
		assert.Empty(t, got)
		f.Attach(&fake{})
		assert.Equal(t, packet(defaultPorts, 1, data), <-got)
	})
}

func TestFirstDataAsksOnce(t *testing.T) {
	f, near, _, r := newReading(t, Config{}, plainExtensions...)
	r.refuse[9] = true
	two := packet(defaultPorts, 1, dataOf(1000, 4, 2, 0, []byte("fi")), dataOf(1001, 4, 1, 0, []byte("rst")))
	assert.Equal(t, two, readOne(t, f, near, two))
	assert.Equal(t, []uint16{4}, r.opened)
	assert.Equal(t, []uint16{4}, r.readable, "once, though there were two chunks")
	messages, size := f.Unread(4)
	assert.Equal(t, []int{1, 5}, []int{messages, size})
	got := readOne(t, f, near, packet(defaultPorts, 1, dataOf(1002, 9, 3, 7, []byte("no"))))
	want := packet(defaultPorts, 1, dataOf(1002, Sink, 7, 0, []byte("no")))
	clear(want[commonHeaderLen+12 : commonHeaderLen+16])
	assert.Equal(t, reseal(want), got)
	assert.Equal(t, []uint16{4, 9, Sink}, r.opened)
	assert.Equal(t, []uint16{4, Sink}, r.readable)
	f.Opened(5)
	readOne(t, f, near, packet(defaultPorts, 1, dataOf(1003, 5, 3, 0, []byte("x"))))
	assert.Len(t, r.opened, 3, "our own stream is known")
	f.Took(4, 5)
	f.Took(4, 5)
	f.Took(77, 5)
	messages, size = f.Unread(4)
	assert.Zero(t, messages+size)
}

// Nobody may say that a stream reader said yes and leave a hole for ever.
func TestRefusedSinkLeavesData(t *testing.T) {
	f, near, _, r := newReading(t, Config{}, plainExtensions...)
	r.refuse[9], r.refuse[Sink] = true, true
	p := packet(defaultPorts, 1, dataOf(1000, 9, 3, 0, []byte("no")))
	assert.Nil(t, readOne(t, f, near, p))
	r.refuse[Sink] = false
	assert.NotNil(t, readOne(t, f, near, p), "it was not counted as received")
}

func TestOverflow(t *testing.T) {
	const limit = 10000
	piece := make([]byte, 1000)
	type step struct {
		chunks [][]byte
		drain  bool
	}
	one := func(c []byte) step { return step{chunks: [][]byte{c}} }
	for name, tc := range map[string]struct {
		steps func() []step
		want  []uint16
	}{
		"a message at the limit": {func() (s []step) {
			for i := range uint32(10) {
				flags := byte(0)
				if i == 0 {
					flags = flagBegin
				}
				s = append(s, one(dataOf(1000+i, 1, flags, 0, piece)))
			}

			return s
		}, nil},
		"a message past the limit": {func() (s []step) {
			for i := range uint32(11) {
				flags := byte(0)
				if i == 0 {
					flags = flagBegin
				}
				s = append(s, one(dataOf(1000+i, 1, flags, 0, piece)))
			}

			return s
		}, []uint16{1}},
		"a message past the limit with gaps is not yet known to be one": {func() (s []step) {
			for i := range uint32(12) {
				s = append(s, one(dataOf(1000+2*i, 1, 0, 0, piece)))
			}

			return s
		}, nil},
		"fragments without a beginning": {func() (s []step) {
			for i := range uint32(20) {
				s = append(s, one(dataOf(1000+i, 1, flagEnd, 0, piece)))
			}

			return s
		}, []uint16{1}},
		"small fragments without a beginning": {func() (s []step) {
			for i := range uint32(1100) {
				s = append(s, one(dataOf(1000+i, 1, flagEnd, 0, []byte{1})))
			}

			return s
		}, []uint16{1}},
		"fragments that are given up": {func() (s []step) {
			for i := range uint32(400) {
				s = append(s, one(dataOf(1000+2*i, 1, flagEnd, uint16(i), piece)),
					one(forward(chunkForwardTSN, 1001+2*i, 0, 1, byte(i>>8), byte(i))))
			}

			return s
		}, nil},
		"unordered fragments that are given up": {func() (s []step) {
			for i := range uint32(400) {
				s = append(s, one(dataOf(1000+2*i, 1, flagUnordered|flagEnd, 0, piece)), one(forward(chunkForwardTSN, 1001+2*i)))
			}

			return s
		}, nil},
		"fragments given up on another stream only": {func() (s []step) {
			for i := range uint32(30) {
				s = append(s, one(dataOf(1000+2*i, 1, flagEnd, uint16(i), piece)),
					one(forward(chunkForwardTSN, 1001+2*i, 0, 2, byte(i>>8), byte(i))))
			}

			return s
		}, []uint16{1}},
		"messages behind a gap of numbers": {func() (s []step) {
			for i := range uint32(maxStuckSoon + 1) {
				s = append(s, one(dataOf(1000+i, 1, 3, uint16(1+i), []byte("x"))))
			}

			return append(s, step{drain: true})
		}, []uint16{1}},
		"messages behind a gap of numbers while a TSN is missing": {func() (s []step) {
			for i := range uint32(maxStuckSoon + 1) {
				s = append(s, one(dataOf(1001+i, 1, 3, uint16(1+i), []byte("x"))))
			}

			return append(s, step{drain: true})
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f, near, _, r := newReading(t, Config{MaxMessage: limit}, plainExtensions...)
			for _, s := range tc.steps() {
				if s.drain {
					f.tell()
					f.Drained(1, f.Handled())

					continue
				}
				readOne(t, f, near, packet(defaultPorts, 1, s.chunks...))
			}
			f.tell()
			assert.Equal(t, tc.want, r.overflow)
			assert.EqualValues(t, len(tc.want), f.Stats().Overflows)
			if tc.want != nil {
				next := f.in.window.highest + 1
				got := readOne(t, f, near, packet(defaultPorts, 1, dataOf(next, 1, 3, 0, []byte("more"))))
				assert.Equal(t, Sink, binary.BigEndian.Uint16(got[commonHeaderLen+8:]), "what comes is discarded")
			}
		})
	}
}

// What comes of a message after it was given up the association drops, and
// does not count; nor does the number's next round.
func TestGivenUpMessagesComeNoMore(t *testing.T) {
	f, near, _, _ := newReading(t, Config{}, plainExtensions...)
	tsn := uint32(1000)
	next := func(flags byte, ssn uint16) {
		readOne(t, f, near, packet(defaultPorts, 1, dataOf(tsn, 1, flags, ssn, []byte("x"))))
		tsn++
	}
	next(flagBegin, 0)
	readOne(t, f, near, packet(defaultPorts, 1, forward(chunkForwardTSN, tsn, 0, 1, 0, 0)))
	tsn++
	next(flagEnd, 0)
	_, size := f.Unread(1)
	assert.Zero(t, size)
	for ssn := 1; ssn < 70000; ssn += 100 {
		next(flagBegin|flagEnd, uint16(ssn))
		messages, _ := f.Unread(1)
		require.Equal(t, 1, messages, ssn)
		f.Took(1, 1)
	}
}
