package servergather

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strconv"

	"github.com/pion/dtls/v3"
)

// connect reaches a TURN server. The address is not valid if a name went to the
// dialer as it is.
func (c *Client) connect(ctx context.Context, r *Request) (net.PacketConn, netip.AddrPort, error) {
	if IsOverTCP(r.URL) {
		conn, err := c.dialStream(ctx, r)
		server, _ := netip.ParseAddr(r.URL.Host)

		return conn, netip.AddrPortFrom(server, 0), err
	}
	server, err := c.resolve(ctx, r)
	if err != nil {
		return nil, server, err
	}
	conn, err := c.listen(r)
	if err == nil && isSecure(r.URL) {
		conn, err = c.secureDatagrams(ctx, r, conn, server)
	}

	return conn, server, err
}

func (c *Client) dialStream(ctx context.Context, r *Request) (net.PacketConn, error) {
	r.At(Dial)
	raw, err := c.Dial(ctx, r.Network, net.JoinHostPort(r.URL.Host, strconv.Itoa(r.URL.Port)), r.Local)
	if err != nil {
		return nil, err
	}
	r.From(raw.LocalAddr())
	if !isSecure(r.URL) {
		return newStream(raw, raw, c.Tasks), nil
	}
	r.At(Handshake)
	secured := tls.Client(raw, c.tlsConfig(r.URL.Host))
	if err = secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}

	return newStream(raw, secured, c.Tasks), nil
}

func (c *Client) tlsConfig(host string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		config = c.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = host
	}

	return config
}

// onlyFrom is a socket on which nobody but the server is heard.
type onlyFrom struct {
	net.PacketConn

	server netip.AddrPort
}

func (c onlyFrom) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(p)
		if err != nil || addrPort(from) == c.server {
			return n, from, err
		}
	}
}

// https://www.rfc-editor.org/rfc/rfc7350
func (c *Client) secureDatagrams(
	ctx context.Context, r *Request, conn net.PacketConn, server netip.AddrPort,
) (net.PacketConn, error) {
	r.At(Handshake)
	config := c.tlsConfig(r.URL.Host)
	options := []dtls.ClientOption{
		dtls.WithServerName(config.ServerName),
		dtls.WithInsecureSkipVerify(config.InsecureSkipVerify), //nolint:gosec // as the program has set it
		dtls.WithExtendedMasterSecret(dtls.RequestExtendedMasterSecret),
	}
	if config.RootCAs != nil {
		options = append(options, dtls.WithRootCAs(config.RootCAs))
	}
	if len(config.Certificates) > 0 {
		options = append(options, dtls.WithCertificates(config.Certificates...))
	}
	if config.VerifyPeerCertificate != nil {
		options = append(options, dtls.WithVerifyPeerCertificate(config.VerifyPeerCertificate))
	}
	if c.LoggerFactory != nil {
		options = append(options, dtls.WithLoggerFactory(c.LoggerFactory))
	}
	to := net.UDPAddrFromAddrPort(server)
	secured, err := dtls.ClientWithOptions(onlyFrom{conn, addrPort(to)}, to, options...)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	err = secured.HandshakeContext(ctx)
	if err == nil && ctx.Err() != nil { // the module can return nil with its read loop ended
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close() // before the connection, which could write

		return nil, errors.Join(err, secured.Close())
	}

	return datagrams{secured}, nil
}
