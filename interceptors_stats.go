package webrtc

import (
	"slices"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/stats"
	"github.com/pion/rtcp"
)

// pion's interceptor that counts keeps the recorder of every stream that was ever
// bound, and leads each RTCP packet through all of them. Ours has one of pion's for
// each stream instead, which goes with the stream: so a program's options still
// decide who counts, and with which clock.

// statsFactory makes a streamCounts for each chain, and tells who waits for it.
type statsFactory struct {
	each *stats.InterceptorFactory
	tell func(id string, counts stats.Getter)
}

// NewInterceptor fails as pion's does if an option fails.
func (f *statsFactory) NewInterceptor(id string) (interceptor.Interceptor, error) {
	first, err := f.each.NewInterceptor(id)
	if err != nil {
		return nil, err
	}
	counts := &streamCounts{
		id: id, each: f.each, spare: first, kept: map[uint32]any{},
	}
	f.tell(id, counts)

	return counts, nil
}

// streamCounts counts the streams of one chain. A stream is counted from its first
// binding until it is neither bound nor kept.
type streamCounts struct {
	interceptor.NoOp
	id   string
	each *stats.InterceptorFactory

	mu      sync.Mutex
	spare   interceptor.Interceptor // of no stream yet: an option is seldom applied in vain
	streams []*countedStream        // replaced, never changed: what uses it holds no lock
	kept    map[uint32]any          // the owners of streams that go on without a binding
	closed  bool
}

// countedStream is what counts one SSRC. A stream that we send and one of the same
// SSRC that we receive are one, as pion has it.
type countedStream struct {
	ssrc  uint32
	count interceptor.Interceptor
	get   stats.Getter
	in    interceptor.RTCPReader // counts what its buffer holds
	out   interceptor.RTCPWriter // counts, and sends nothing
	bound []*interceptor.StreamInfo
	over  sync.Once
}

// stop ends the recorder. It waits for the recorder's Start, as pion's Close does.
func (s *countedStream) stop() (err error) {
	s.over.Do(func() { err = s.count.Close() })

	return err
}

func newCountedStream(ssrc uint32, count interceptor.Interceptor) *countedStream {
	get, counts := count.(stats.Getter)
	if !counts {
		return nil
	}

	return &countedStream{
		ssrc: ssrc, count: count, get: get,
		in: count.BindRTCPReader(interceptor.RTCPReaderFunc(
			func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) { return len(b), a, nil })),
		out: count.BindRTCPWriter(interceptor.RTCPWriterFunc(
			func([]rtcp.Packet, interceptor.Attributes) (int, error) { return 0, nil })),
	}
}

// Get returns what was counted of a stream, nil if there is none of that SSRC.
func (c *streamCounts) Get(ssrc uint32) *stats.Stats {
	c.mu.Lock()
	s := c.findLocked(ssrc)
	c.mu.Unlock()
	if s == nil {
		return nil
	}

	return s.get.Get(ssrc)
}

func (c *streamCounts) findLocked(ssrc uint32) *countedStream {
	i := slices.IndexFunc(c.streams, func(s *countedStream) bool { return s.ssrc == ssrc })
	if i < 0 {
		return nil
	}

	return c.streams[i]
}

// bind is the stream of a binding, which is new if its SSRC is. It is nil after the
// end, and if an option fails now that has not failed before: nothing is counted then.
func (c *streamCounts) bind(info *interceptor.StreamInfo) *countedStream {
	if s, over := c.bindTo(info, nil); s != nil || over {
		return s
	}
	count := c.takeSpare()
	if count == nil {
		var err error
		if count, err = c.each.NewInterceptor(c.id); err != nil { // the program's options: no lock is held
			return nil
		}
	}
	fresh := newCountedStream(info.SSRC, count)
	if fresh == nil {
		return nil
	}
	s, _ := c.bindTo(info, fresh)

	return s
}

// bindTo adds a binding to the stream that is there, or else to a fresh one. One that
// is not taken has no recorder yet, so nothing of it has to be ended.
func (c *streamCounts) bindTo(info *interceptor.StreamInfo, fresh *countedStream) (s *countedStream, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, true
	}
	if s = c.findLocked(info.SSRC); s == nil && fresh != nil {
		s = fresh
		c.streams = append(slices.Clip(c.streams), fresh)
	}
	if s != nil {
		s.bound = append(s.bound, info)
	}

	return s, false
}

func (c *streamCounts) takeSpare() interceptor.Interceptor {
	c.mu.Lock()
	defer c.mu.Unlock()
	spare := c.spare
	c.spare = nil

	return spare
}

// unbind ends a binding. A stream may have been bound anew before: what counts is
// which binding ends.
func (c *streamCounts) unbind(info *interceptor.StreamInfo) {
	if info == nil {
		return
	}
	c.mu.Lock()
	s := c.findLocked(info.SSRC)
	if s != nil {
		s.bound = slices.DeleteFunc(s.bound, func(i *interceptor.StreamInfo) bool { return i == info })
	}
	c.mu.Unlock()
	c.letGo(info.SSRC)
}

// keep has a stream counted on while it is not bound: a sender that changes its
// track goes on, or has none for a while.
func (c *streamCounts) keep(ssrc uint32, owner any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[ssrc] = owner
}

// unkeep takes keep back, unless the stream is another owner's by now.
func (c *streamCounts) unkeep(ssrc uint32, owner any) {
	c.mu.Lock()
	if c.kept[ssrc] == owner {
		delete(c.kept, ssrc)
	}
	c.mu.Unlock()
	c.letGo(ssrc)
}

// letGo drops a stream that nobody needs any more.
func (c *streamCounts) letGo(ssrc uint32) {
	c.mu.Lock()
	s := c.findLocked(ssrc)
	if _, keeps := c.kept[ssrc]; s == nil || keeps || len(s.bound) > 0 {
		s = nil
	} else {
		c.streams = slices.DeleteFunc(slices.Clone(c.streams), func(other *countedStream) bool { return other == s })
	}
	c.mu.Unlock()
	if s != nil {
		_ = s.stop() // pion's has no error
	}
}

// counted are the streams. They are not to be changed.
func (c *streamCounts) counted() []*countedStream {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.streams
}

// BindLocalStream counts what is sent.
func (c *streamCounts) BindLocalStream(info *interceptor.StreamInfo, writer interceptor.RTPWriter) interceptor.RTPWriter {
	if s := c.bind(info); s != nil {
		return s.count.BindLocalStream(info, writer)
	}

	return writer
}

// UnbindLocalStream lets the recorder go.
func (c *streamCounts) UnbindLocalStream(info *interceptor.StreamInfo) { c.unbind(info) }

// BindRemoteStream counts what is read.
func (c *streamCounts) BindRemoteStream(info *interceptor.StreamInfo, reader interceptor.RTPReader) interceptor.RTPReader {
	if s := c.bind(info); s != nil {
		return s.count.BindRemoteStream(info, reader)
	}

	return reader
}

// UnbindRemoteStream lets the recorder go.
func (c *streamCounts) UnbindRemoteStream(info *interceptor.StreamInfo) { c.unbind(info) }

// BindRTCPReader shows every stream's recorder what has come.
func (c *streamCounts) BindRTCPReader(reader interceptor.RTCPReader) interceptor.RTCPReader {
	return interceptor.RTCPReaderFunc(
		func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
			n, attributes, err := reader.Read(b, a)
			if err != nil {
				return 0, attributes, err
			}
			for _, s := range c.counted() {
				_, _, _ = s.in.Read(b[:n], a) // it reads what is there
			}

			return n, attributes, nil
		})
}

// BindRTCPWriter shows every stream's recorder what is sent.
func (c *streamCounts) BindRTCPWriter(writer interceptor.RTCPWriter) interceptor.RTCPWriter {
	return interceptor.RTCPWriterFunc(func(packets []rtcp.Packet, a interceptor.Attributes) (int, error) {
		for _, s := range c.counted() {
			_, _ = s.out.Write(packets, a) // it writes nothing
		}

		return writer.Write(packets, a)
	})
}

// Close ends the recorders. What they have counted can be asked for until their
// streams are unbound.
func (c *streamCounts) Close() error {
	c.mu.Lock()
	c.closed = true
	streams := c.streams
	c.mu.Unlock()
	var first error
	for _, s := range streams {
		if err := s.stop(); err != nil && first == nil {
			first = err
		}
	}

	return first
}
