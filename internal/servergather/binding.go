package servergather

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/pion/stun/v4"

	"github.com/ctxrtc/webrtc/internal/lifecycle"
)

const (
	firstResend = 200 * time.Millisecond // doubled
	mostResend  = 1600 * time.Millisecond
	maxAnswer   = 1500 // bytes
)

// Reflexive asks a server over UDP for the address that our packets come from.
// The socket is the caller's then; nothing reads from it.
// https://www.rfc-editor.org/rfc/rfc8489#section-12
func (c *Client) Reflexive(ctx context.Context, r *Request) (net.PacketConn, netip.AddrPort, error) {
	server, err := c.resolve(ctx, r)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	r.To(server)
	r.At(Listen)
	conn, err := c.Listen(r.Network, r.Local)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	r.From(conn.LocalAddr())
	r.At(Bind)
	release := lifecycle.AbortOnDone(ctx, func() { _ = conn.Close() })
	mapped, err := bind(conn, server)
	if !release() {
		return nil, netip.AddrPort{}, ctx.Err()
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return nil, netip.AddrPort{}, errors.Join(err, conn.Close())
	}

	return conn, mapped, nil
}

// KeepAlive sends what keeps an address alive that Reflexive has found, while its
// socket is idle. An indication has no answer, which nobody would read.
// https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1.4
func KeepAlive(conn net.PacketConn, server netip.AddrPort) error {
	indication, err := stun.Build(stun.TransactionID,
		stun.NewType(stun.MethodBinding, stun.ClassIndication), stun.Fingerprint)
	if err != nil {
		return err
	}
	_, err = conn.WriteTo(indication.Raw, net.UDPAddrFromAddrPort(server))

	return err
}

// bind sends the request until it is answered, or the socket is closed. What is
// no answer to it, of that server, is dropped.
func bind(conn net.PacketConn, server netip.AddrPort) (netip.AddrPort, error) {
	request, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.Fingerprint)
	if err != nil {
		return netip.AddrPort{}, err
	}
	to := net.UDPAddrFromAddrPort(server)
	buf := make([]byte, maxAnswer)
	for wait := firstResend; ; wait = min(2*wait, mostResend) {
		if _, err = conn.WriteTo(request.Raw, to); err != nil {
			return netip.AddrPort{}, err
		}
		if err = conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return netip.AddrPort{}, err
		}
		for {
			n, from, err := conn.ReadFrom(buf)
			if isTimeout(err) {
				break
			}
			if err != nil {
				return netip.AddrPort{}, err
			}
			if addrPort(from) != addrPort(to) {
				continue
			}
			if m := answerTo(request, buf[:n]); m != nil {
				return reflexive(m, server)
			}
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error

	return errors.Is(err, os.ErrDeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout())
}

// answerTo returns the packet as the answer to a request, nil if it is none.
func answerTo(request *stun.Message, packet []byte) *stun.Message {
	m := &stun.Message{Raw: packet}
	isAnswer := stun.IsMessage(packet) && m.Decode() == nil &&
		m.TransactionID == request.TransactionID && m.Type.Method == request.Type.Method &&
		(m.Type.Class == stun.ClassSuccessResponse || m.Type.Class == stun.ClassErrorResponse)
	if !isAnswer {
		return nil
	}

	return m
}

// reflexive reads our address from an answer.
func reflexive(m *stun.Message, server netip.AddrPort) (netip.AddrPort, error) {
	if m.Type.Class == stun.ClassErrorResponse {
		return netip.AddrPort{}, refusal(m)
	}
	var address stun.XORMappedAddress
	if err := address.GetFrom(m); err != nil {
		// Servers of RFC 3489 know no other.
		var old stun.MappedAddress
		if old.GetFrom(m) != nil {
			return netip.AddrPort{}, err
		}
		address.IP, address.Port = old.IP, old.Port
	}
	mapped, err := usable(address.IP, address.Port, server)
	if err == nil && mapped.Addr().Is4() != server.Addr().Is4() {
		err = errMapped
	}

	return mapped, err
}

// refusal is what an error response says.
func refusal(m *stun.Message) *ResponseError {
	var code stun.ErrorCodeAttribute
	if code.GetFrom(m) != nil {
		return &ResponseError{Reason: "an error without a code"}
	}

	return &ResponseError{Code: int(code.Code), Reason: string(code.Reason)}
}
