package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

const requestTime = 30 * time.Second

// client makes requests: the program curl, or net/http where there is none.
type client struct {
	name  string
	fetch func(ctx context.Context, url string, body io.Reader) ([]byte, error)
}

func newClient() client {
	if path, err := exec.LookPath("curl"); err == nil {
		return client{"curl", func(ctx context.Context, url string, body io.Reader) ([]byte, error) {
			return curl(ctx, path, url, body)
		}}
	}

	return client{"net/http", fetch}
}

// curl posts the body if there is one.
func curl(ctx context.Context, program, url string, body io.Reader) ([]byte, error) {
	// Neither somebody's .curlrc nor a proxy.
	args := []string{
		"-q", "--noproxy", "*", "--silent", "--show-error", "--fail",
		"--max-time", fmt.Sprint(requestTime.Seconds()),
	}
	if body != nil {
		args = append(args, "--data-binary", "@-", "--header", "Expect:")
	}
	cmd := exec.CommandContext(ctx, program, append(args, url)...) //nolint:gosec // curl
	cmd.Stdin = body
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
	}

	return out.Bytes(), nil
}

func fetch(ctx context.Context, url string, body io.Reader) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	// A connection for each request, as with curl, and no proxy.
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := web.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, content)
	}

	return content, err
}
