package sctpfilter

// Sink is the reserved stream on which discarded data arrives. Its reader
// throws away what it reads. No data channel has this id.
// https://www.rfc-editor.org/rfc/rfc8832#section-6
const Sink uint16 = 65535

// Streams is whoever reads the association's streams. Its methods are called
// by the goroutine that calls Read, between two packets, with no lock held.
// They must not block, and may call every method of the [Filter] but Read and
// Detach.
type Streams interface {
	// Opening is asked before the first data of a stream that the filter does
	// not know is handed on: the implementation opens the stream at the
	// association. If it returns false, what comes on it is discarded.
	Opening(id uint16) bool
	// Readable tells, after a packet was handled, which streams got data, or
	// are to be reset by the peer; those again after every packet until
	// ResetSeen. There are no duplicates, and ids is valid during the call only.
	Readable(ids []uint16)
	// ResetAnswered tells that the peer has answered our own reset of the
	// stream, whatever its result.
	ResetAnswered(id uint16)
	// Overflow tells that a message on the stream has grown past MaxMessage
	// before it was complete, or that fragments keep coming that can never
	// become one. What still comes is discarded, as after Discard.
	Overflow(id uint16)
	// Acknowledged tells that a packet with a SACK was handled.
	Acknowledged()
}

// Attach names the reader of the streams. Until then Read holds back
// everything that follows the handshake. It counts once.
func (f *Filter) Attach(s Streams) {}

// Opened tells of a stream that our side has opened: it is known from now on.
func (f *Filter) Opened(id uint16) {}

// Took tells that a message of so many bytes was read from the stream.
func (f *Filter) Took(id uint16, bytes int) {}

// Drained tells that a poll of the stream has found no complete message.
func (f *Filter) Drained(id uint16) {}

// Discard has everything that still comes on the stream thrown away, until
// Forget.
func (f *Filter) Discard(id uint16) {}

// ResetSeen tells that the stream was read to its end after the peer's reset.
func (f *Filter) ResetSeen(id uint16) {}

// Forget tells that both sides have reset the stream: its id is new again.
func (f *Filter) Forget(id uint16) {}

// HoldResets has packets that ask for a reset dropped while hold is true; the
// peer sends them again.
func (f *Filter) HoldResets(hold bool) {}

// Unread tells how much of the stream has come and was not yet taken: complete
// messages, and bytes of user data.
func (f *Filter) Unread(id uint16) (messages, bytes int) { return 0, 0 }
