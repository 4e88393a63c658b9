package sctpfilter

import "encoding/binary"

// outTSN is the highest TSN that our association has sent.
type outTSN struct {
	known   bool
	highest uint32
}

// start begins with our first TSN.
func (o *outTSN) start(initial uint32) {
	if !o.known {
		*o = outTSN{known: true, highest: initial - 1}
	}
}

// sentData counts the chunks of a packet with data.
func (f *Filter) sentData(p []byte) {
	for b := p[commonHeaderLen:]; len(b) > 0; {
		chunk, rest, ok := nextChunk(b)
		if !ok {
			return
		}
		b = rest
		if chunk.kind != chunkData && chunk.kind != chunkIData || len(chunk.value) < 4 {
			continue
		}
		f.counts.dataOut.Add(1)
		if tsn := binary.BigEndian.Uint32(chunk.value); !before(f.outTSN.highest, tsn) {
			f.counts.dataAgain.Add(1)

			continue
		} else {
			f.outTSN.highest = tsn
		}
		header := dataHeaderLen
		if chunk.kind == chunkIData {
			header = iDataHeaderLen
		}
		f.counts.userBytesOut.Add(uint64(max(0, chunkHeaderLen+len(chunk.value)-header)))
		if chunk.flags&flagEnd != 0 {
			f.counts.messagesOut.Add(1)
		}
	}
}
