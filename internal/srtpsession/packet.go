package srtpsession

import "sync"

// Rooms of two sizes are kept for reuse: those of audio and those of video. What
// is larger is rare.
const (
	smallRoom = 256
	largeRoom = 1536
)

var (
	smallRooms = sync.Pool{New: func() any { return &Packet{room: make([]byte, smallRoom)} }}
	largeRooms = sync.Pool{New: func() any { return &Packet{room: make([]byte, largeRoom)} }}
)

// Packet is one RTP packet that has arrived. Whoever takes it from a stream has to
// release it.
type Packet struct {
	// Data is the packet, opened.
	Data []byte
	// Repair tells that it repeats a packet of another SSRC; Original makes that of
	// it.
	Repair bool

	room []byte
}

func newPacket(data []byte, repair bool) *Packet {
	var p *Packet
	switch n := len(data); {
	case n <= smallRoom:
		p, _ = smallRooms.Get().(*Packet)
	case n <= largeRoom:
		p, _ = largeRooms.Get().(*Packet)
	default:
		p = &Packet{room: make([]byte, n)}
	}
	p.Data, p.Repair = p.room[:copy(p.room, data)], repair

	return p
}

// Release gives the room back. The packet must not be used any more.
func (p *Packet) Release() {
	p.Data = nil
	switch len(p.room) {
	case smallRoom:
		smallRooms.Put(p)
	case largeRoom:
		largeRooms.Put(p)
	}
}
