package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"github.com/ctxrtc/webrtc/interop/internal/cases"
	"github.com/ctxrtc/webrtc/interop/internal/peer"
)

// turnServer is the helper that is a TURN server, by pion/turn, over UDP, TCP
// and TLS at an address. It ends with its stdin, as peers do.
func turnServer(address string) int {
	if err := serveTURN(address); err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 1
	}

	return 0
}

func serveTURN(address string) error {
	file := "/etc/" + cases.ServerCertificate
	certificate, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return err
	}
	relay := &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(address), Address: address}
	packets, err := net.ListenPacket("udp4", address+":3478") //nolint:noctx // it waits for nothing
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp4", address+":3478") //nolint:noctx // it waits for nothing
	if err != nil {
		return err
	}
	secret, err := tls.Listen("tcp4", address+":5349", &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		return err
	}
	logs := logging.NewDefaultLoggerFactory()
	logs.Writer = os.Stderr
	server, err := turn.NewServer(turn.ServerConfig{
		Realm:         cases.TURNRealm,
		LoggerFactory: logs,
		AuthHandler: func(r *turn.RequestAttributes) (string, []byte, bool) {
			return r.Username, turn.GenerateAuthKey(r.Username, r.Realm, cases.TURNPassword), r.Username == cases.TURNUser
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: packets, RelayAddressGenerator: relay}},
		ListenerConfigs: []turn.ListenerConfig{
			{Listener: plain, RelayAddressGenerator: relay}, {Listener: secret, RelayAddressGenerator: relay},
		},
	})
	if err != nil {
		return err
	}
	ready(peer.Event{Event: "ready", Version: "pion/turn v5.1.2"})
	_, err = io.Copy(io.Discard, os.Stdin)

	return errors.Join(err, server.Close())
}

// ready tells the laboratory that a helper may be used.
func ready(e peer.Event) {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // made of plain values only
	}
	fmt.Println(string(line))
}
