package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// maxContent bounds what is asked of the server, in bytes.
const maxContent = 1 << 30

// contentOf returns bytes that both sides of the demo can make, but nobody
// else between.
func contentOf(number byte, size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{number}), size)
}

func hashOf(r io.Reader) (string, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, r)

	return hex.EncodeToString(sum.Sum(nil)), err
}

// webServer is an HTTP server that knows nothing of the tunnel.
type webServer struct {
	http.Server

	listener net.Listener
	done     chan struct{}
	err      error // why it has ended; read it after done
}

// startServer starts a server on a port of the loopback interface.
func startServer(ctx context.Context) (*webServer, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "hello from process %d\n", os.Getpid())
	})
	mux.HandleFunc("GET /content/{number}/{size}", func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.ParseUint(r.PathValue("number"), 10, 8)
		size, sizeErr := strconv.ParseInt(r.PathValue("size"), 10, 64)
		if err != nil || sizeErr != nil || size < 0 || size > maxContent {
			http.Error(w, "no such content", http.StatusNotFound)

			return
		}
		_, _ = io.Copy(w, contentOf(byte(number), size))
	})
	mux.HandleFunc("POST /hash", func(w http.ResponseWriter, r *http.Request) {
		sum, err := hashOf(http.MaxBytesReader(w, r.Body, maxContent))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)

			return
		}
		fmt.Fprintln(w, sum)
	})
	s := &webServer{listener: listener, done: make(chan struct{})}
	s.Handler, s.ReadHeaderTimeout = mux, 10*time.Second
	go func() {
		defer close(s.done)
		if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.err = err
		}
	}()

	return s, nil
}

func (s *webServer) address() string { return s.listener.Addr().String() }

// stop ends the server and its connections.
func (s *webServer) stop() error {
	err := s.Close()
	<-s.done

	return errors.Join(err, s.err)
}
