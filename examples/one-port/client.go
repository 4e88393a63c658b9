package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ctxrtc/webrtc"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
	"github.com/ctxrtc/webrtc/examples/internal/screen"
)

const (
	atOnce   = 16                     // peers that connect at the same time
	rounds   = 3                      // messages of each peer, there and back
	pause    = 100 * time.Millisecond // between them
	maxReply = 64 << 10
)

// result is what the peers have seen.
type result struct {
	Peers    int     `json:"peers"`
	Median   float64 `json:"median"` // from the first call to connected, in milliseconds
	Slowest  float64 `json:"slowest"`
	Messages int     `json:"messages"` // that came back as they were sent
}

// client is one peer, with a socket of its own as one on another machine has.
type client struct {
	pc      *webrtc.PeerConnection
	channel *webrtc.DataChannel
	took    time.Duration
}

// runPeers connects the peers, calls all when all are, has them talk to the
// server, and closes them gracefully.
func runPeers(ctx context.Context, server string, peers int, all func(result) error) (r result, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		if err != nil { // when the context has ended, its cause says more than what it broke
			err = peer.CauseOr(ctx, err)
		}
	}()
	api := webrtc.NewAPI(webrtc.WithSettingEngine(peer.OnLoopback()))
	clients := make([]*client, peers)
	defer func() {
		for _, c := range clients {
			if c != nil {
				_ = c.pc.Close()
			}
		}
	}()
	defer http.DefaultClient.CloseIdleConnections()

	connecting, connected := context.WithTimeoutCause(ctx, peer.ConnectTime, peer.ErrConnectTime)
	defer connected()
	slots := make(chan struct{}, atOnce)
	err = forEach(peers, cancel, func(i int) error {
		slots <- struct{}{}
		defer func() { <-slots }()
		c, err := dial(connecting, api, server)
		clients[i] = c

		return err
	})
	if err != nil {
		return r, err
	}
	took := make([]float64, 0, peers)
	for _, c := range clients {
		took = append(took, c.took.Seconds()*1000)
	}
	slices.Sort(took)
	r = result{Peers: peers, Median: took[peers/2], Slowest: took[peers-1]}
	if err = all(r); err != nil {
		return r, err
	}

	var mu sync.Mutex
	err = forEach(peers, cancel, func(i int) error {
		for round := range rounds {
			if err := clients[i].ask(ctx, fmt.Sprintf("peer %d, message %d", i+1, round+1)); err != nil {
				return fmt.Errorf("peer %d: %w", i+1, err)
			}
			mu.Lock()
			r.Messages++
			mu.Unlock()
			if err := wait(ctx, pause); err != nil {
				return err
			}
		}
		closing, closed := context.WithTimeoutCause(ctx, peer.CloseTime, peer.ErrCloseTime)
		defer closed()
		err := clients[i].pc.Shutdown(closing)
		if err == nil {
			err = clients[i].pc.Run(closing) // everything of it has ended
		}
		if err != nil && !errors.Is(err, io.EOF) { // the server may close as gracefully
			return fmt.Errorf("peer %d: %w", i+1, err)
		}

		return nil
	})

	return r, err
}

// forEach does the same for all peers at once. The first error ends the others.
func forEach(peers int, cancel context.CancelCauseFunc, do func(i int) error) error {
	var running sync.WaitGroup
	errs := make([]error, peers)
	for i := range peers {
		running.Go(func() {
			if errs[i] = do(i); errs[i] != nil {
				cancel(errs[i])
			}
		})
	}
	running.Wait()

	return errors.Join(errs...)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dial connects one peer. It is returned with an error, too, and has to be
// closed, unless it is nil.
func dial(ctx context.Context, api *webrtc.API, server string) (*client, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	begin := time.Now()
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	c := &client{pc: pc}
	if c.channel, err = pc.CreateDataChannel("echo", nil); err != nil {
		return c, err
	}
	// With all candidates in it the description is the only message.
	if err = pc.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{}); err != nil {
		return c, err
	}
	answer, err := post(ctx, server, pc.LocalDescription())
	if err != nil {
		return c, err
	}
	if err = pc.SetRemoteDescriptionContext(ctx, answer); err != nil {
		return c, err
	}
	err = pc.Connect(ctx)
	c.took = time.Since(begin)

	return c, err
}

// post signals: an offer there, and an answer back.
func post(ctx context.Context, url string, offer *webrtc.SessionDescription) (answer webrtc.SessionDescription, err error) {
	body, err := json.Marshal(offer)
	if err != nil {
		return answer, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	switch {
	case err != nil:
		return answer, err
	case response.StatusCode != http.StatusOK:
		return answer, fmt.Errorf("the server says %s: %s", response.Status, strings.TrimSpace(string(reply)))
	}

	return answer, json.Unmarshal(reply, &answer)
}

// ask sends a message, which has to come back.
func (c *client) ask(ctx context.Context, text string) error {
	if err := c.channel.SendContext(ctx, []byte(text)); err != nil {
		return err
	}
	message, err := c.channel.ReceiveContext(ctx)
	if err == nil && string(message.Data) != text {
		err = fmt.Errorf("%q has come back as %q", text, message.Data)
	}

	return err
}

// connect is the peers alone.
func connect(ctx context.Context, out *screen.Screen, opts *options) error {
	r, err := runPeers(ctx, opts.connect, opts.peers, func(r result) error {
		out.Line("%s", r.connected())

		return nil
	})
	if err != nil {
		return err
	}
	out.Line("%d messages went there and back", r.Messages)

	return nil
}

func (r result) connected() string {
	return fmt.Sprintf("%d peers are connected: half of them within %.1f ms, all within %.1f ms",
		r.Peers, r.Median, r.Slowest)
}
