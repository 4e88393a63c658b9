package whip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/ctxrtc/webrtc"
)

// Client is the side that offers. It is for one session at a time.
type Client struct {
	transport *http.Transport
	endpoint  *url.URL
	token     string
	session   *url.URL // nil if there is none to end
}

// NewClient takes the address of an endpoint, and a token, which may be empty.
func NewClient(endpoint, token string) (*Client, error) {
	at, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	if at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return nil, fmt.Errorf("%q is no http or https URL", endpoint)
	}

	return &Client{transport: &http.Transport{Proxy: http.ProxyFromEnvironment}, endpoint: at, token: token}, nil
}

// Connect offers what the connection was made for, and waits until it is connected.
// The session has to be ended also if that fails.
func (c *Client) Connect(ctx context.Context, pc *webrtc.PeerConnection) error {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTime, errConnectTime)
	defer cancel()
	if err := pc.SetLocalDescriptionContext(ctx, webrtc.SessionDescription{}); err != nil {
		return err
	}
	answer, err := c.post(ctx, pc.LocalDescription().SDP)
	if err != nil {
		return err
	}
	err = pc.SetRemoteDescriptionContext(ctx, webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
	if err != nil {
		return fmt.Errorf("the answer of %s: %w", c.endpoint.Host, err)
	}

	return pc.Connect(ctx)
}

func (c *Client) post(ctx context.Context, offer string) (answer string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint.String(), strings.NewReader(offer))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", contentType)
	authorize(request.Header, c.token)
	client := http.Client{Transport: c.transport}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		return "", refusal(response)
	}
	c.session, err = response.Location() // relative ones begin at where redirections have led to
	if err != nil {
		return "", fmt.Errorf("%s does not say where its session is: %w", c.endpoint.Host, err)
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != contentType {
		return "", fmt.Errorf("%s has answered with %q instead of %s", c.endpoint.Host, kind, contentType)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDescription+1))
	if err == nil && len(body) > maxDescription {
		err = fmt.Errorf("the answer of %s has more than %d bytes", c.endpoint.Host, maxDescription)
	}

	return string(body), err
}

// End ends the session if there is one, and leaves nothing behind. It takes its own
// time, because the context of the session has often ended.
func (c *Client) End(ctx context.Context) (err error) {
	defer c.transport.CloseIdleConnections()
	if c.session == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.session.String(), nil)
	if err != nil {
		return err
	}
	if c.session.Host == c.endpoint.Host { // nobody else is given the token
		authorize(request.Header, c.token)
	}
	c.session = nil
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotFound: // it was faster
	case response.StatusCode/100 != 2:
		return refusal(response)
	}

	return nil
}

// refusal is what the server says, on one line.
func refusal(response *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxReason))
	text := strings.Join(strings.FieldsFunc(string(body), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if text == "" {
		return errors.New(response.Request.URL.Host + " says " + response.Status)
	}

	return fmt.Errorf("%s says %s: %s", response.Request.URL.Host, response.Status, text)
}
