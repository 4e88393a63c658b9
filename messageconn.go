package webrtc

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// MessageConn makes a net.Conn of the channel that keeps to its messages: one
// Write is one message, and one Read is one message, as of UDP. It is for every
// open channel, unordered and unreliable ones too; what is lost and in which
// order the rest comes is theirs.
//
// It is as [DataChannel.NetConn] in everything else, the errors too, but that:
//
//   - Read returns 0 and nil for an empty message. For one that is longer than
//     the buffer it returns 0 and an error that matches io.ErrShortBuffer and
//     names the length; the message stays the next one. Whether a message is
//     text is not told: [DataChannel.ReadMessage] does.
//   - Write sends a binary message, an empty one for no bytes, and returns
//     [ErrMessageTooLarge] above the peer's maximum, which is
//     [SCTPTransport.GetCapabilities]. Nothing of a message was queued if there
//     is an error.
//
// [ErrInvalidState] before the channel is open and after it has ended, in
// detached mode, and if something else has the messages; nothing has changed
// then.
func (c *DataChannel) MessageConn() (net.Conn, error) {
	const op = "datachannel message conn"
	if err := c.mayConnect(op); err != nil {
		return nil, err
	}
	conn := new(messageConn)
	if err := conn.init(c, op); err != nil {
		return nil, err
	}

	return conn, nil
}

// messageConn is what MessageConn returns.
type messageConn struct{ channelConn }

func (c *messageConn) Read(p []byte) (int, error) {
	const op = "messageconn read"
	ctx := c.readLimit.Context()
	if err := c.begin(ctx, op, c.reading); err != nil {
		return 0, err
	}
	defer c.reading.release()
	n, _, err := c.channel.readMessage(ctx, op, true, p)
	if errors.Is(err, io.ErrShortBuffer) {
		// n is no number of bytes in p, as readers would take it.
		return 0, &Error{Op: op, Err: fmt.Errorf("%w: a message of %d bytes", io.ErrShortBuffer, n)}
	}
	if err != nil {
		return 0, c.failed(ctx, op, err)
	}

	return n, nil
}

func (c *messageConn) Write(p []byte) (int, error) {
	const op = "messageconn write"
	ctx := c.writeLimit.Context()
	if err := c.begin(ctx, op, c.writing); err != nil {
		return 0, err
	}
	defer c.writing.release()
	if err := c.send(ctx, op, p); err != nil {
		return 0, err
	}

	return len(p), nil
}
