package webrtc

import (
	"context"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
)

// Read reads a compound RTCP packet that concerns the first encoding: what the
// peer reports, and asks for. It waits for one. The oldest that nobody reads are
// dropped; interceptors have seen them all the same.
//
// Errors: io.ErrShortBuffer, and the packet stays the next; os.ErrDeadlineExceeded; the
// cause of the end.
func (r *RTPSender) Read(b []byte) (n int, a interceptor.Attributes, err error) {
	return r.ReadSimulcast(b, "")
}

// ReadSimulcast is Read for the encoding with a RID; the empty one means the first.
func (r *RTPSender) ReadSimulcast(b []byte, rid string) (n int, a interceptor.Attributes, err error) {
	return reportsOf(r.reportsOf).read("rtpsender read", rid, b)
}

// ReadRTCP is Read, and parses.
func (r *RTPSender) ReadRTCP() ([]rtcp.Packet, interceptor.Attributes, error) {
	return r.readRTCP(context.Background(), "")
}

// ReadSimulcastRTCP is ReadRTCP for the encoding with a RID.
func (r *RTPSender) ReadSimulcastRTCP(rid string) ([]rtcp.Packet, interceptor.Attributes, error) {
	return r.readRTCP(context.Background(), rid)
}

// ReadRTCPContext is ReadRTCP, until ctx ends.
func (r *RTPSender) ReadRTCPContext(ctx context.Context) ([]rtcp.Packet, interceptor.Attributes, error) {
	return r.readRTCP(ctx, "")
}

func (r *RTPSender) readRTCP(ctx context.Context, rid string) ([]rtcp.Packet, interceptor.Attributes, error) {
	return reportsOf(r.reportsOf).readPackets(ctx, "rtpsender read", rid)
}

// SetReadDeadline ends what waits for RTCP, and will wait, at t. The zero time
// lifts it.
func (r *RTPSender) SetReadDeadline(t time.Time) error { return r.SetReadDeadlineSimulcast(t, "") }

// SetReadDeadlineSimulcast is SetReadDeadline for the encoding with a RID.
func (r *RTPSender) SetReadDeadlineSimulcast(deadline time.Time, rid string) error {
	return reportsOf(r.reportsOf).setDeadline("rtpsender set deadline", rid, deadline)
}

// reportsOf is the queue of an encoding.
func (r *RTPSender) reportsOf(op, rid string) (*reportQueue, error) {
	if err := r.alive().usable(op); err != nil {
		return nil, err
	}
	r.life.mu.Lock()
	defer r.life.mu.Unlock()
	for _, e := range r.encodings {
		if rid == "" || e.coding.RID == rid {
			return e.reports, nil
		}
	}

	return nil, refuse(op, ErrInvalidArgument, "no encoding with the RID %q", clip(rid))
}

// reportReader is a queue as interceptors and tracks read it.
func (r *RTPSender) reportReader(queue *reportQueue) interceptor.RTCPReader {
	return interceptor.RTCPReaderFunc(
		func(b []byte, _ interceptor.Attributes) (int, interceptor.Attributes, error) {
			return queue.read(context.Background(), "rtpsender read", b)
		})
}
