package webrtc

import (
	"net"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
)

// NewICEUDPMux puts the host candidates of any number of transports on one UDP
// socket: give it to SetICEUDPMux. What it returns is a [*UDPMux]. The program
// closes the mux, which closes the socket, when the transports have ended. A nil
// logger is the default one.
//
// It has no error to return: a nil socket is reported by the API that gets the
// mux.
func NewICEUDPMux(logger logging.LeveledLogger, udpConn net.PacketConn) ice.UDPMux {
	mux, err := newUDPMux("new ICE UDP mux", logger, UDPMuxSettings{IncludeLoopback: true}, udpConn)
	if err != nil {
		return refusedUDPMux{err}
	}

	return mux
}

// NewICETCPMux accepts the connections of any number of transports on one
// listener, for passive TCP candidates: give it to SetICETCPMux, and have TCP
// among the network types. readBufferSize is how many packets of a connection
// can wait to be read. The program closes the mux, which closes the listener,
// when the transports have ended. A nil logger is the default one.
//
// It has no error to return: a nil listener or a negative size is reported by
// the API that gets the mux.
func NewICETCPMux(logger logging.LeveledLogger, listener net.Listener, readBufferSize int) ice.TCPMux {
	const op = "new ICE TCP mux"
	if listener == nil || isNilPointer(listener) {
		return refusedTCPMux{refuse(op, ErrInvalidArgument, "nil listener")}
	}
	if readBufferSize < 0 {
		return refusedTCPMux{refuse(op, ErrInvalidArgument, "read buffer of %d packets", readBufferSize)}
	}

	return ice.NewTCPMuxDefault(ice.TCPMuxParams{Logger: logger, Listener: listener, ReadBufferSize: readBufferSize})
}

// refusedUDPMux and refusedTCPMux carry the error of a mux that could not be
// made to where it can be returned.
type (
	refusedUDPMux struct{ err error }
	refusedTCPMux struct{ err error }
)

func (m refusedUDPMux) refusal() error { return m.err }
func (m refusedTCPMux) refusal() error { return m.err }

func (m refusedUDPMux) Close() error                                     { return m.err }
func (m refusedUDPMux) GetConn(string, net.Addr) (net.PacketConn, error) { return nil, m.err }
func (m refusedUDPMux) RemoveConnByUfrag(string)                         {}
func (m refusedUDPMux) GetListenAddresses() []net.Addr                   { return nil }
func (m refusedTCPMux) Close() error                                     { return m.err }
func (m refusedTCPMux) RemoveConnByUfrag(string)                         {}
func (m refusedTCPMux) GetConnByUfrag(string, bool, net.IP) (net.PacketConn, error) {
	return nil, m.err
}

// refusalOf is the error that a mux carries, if it is one of those above.
func refusalOf(mux any) error {
	if m, ok := mux.(interface{ refusal() error }); ok {
		return m.refusal()
	}

	return nil
}
