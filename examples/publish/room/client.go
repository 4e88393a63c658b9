package room

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Renegotiation is the name of an extension of WHIP, which itself has no way to
// change a session's tracks: PATCH of the URL in a Link header of this relation, with
// an offer, is answered with an answer.
// https://www.rfc-editor.org/rfc/rfc9725#section-4.9
const Renegotiation = "https://github.com/ctxrtc/webrtc/examples/publish#renegotiation"

const (
	sdpType = "application/sdp"
	// maxAnswer is the longest answer that is read, in bytes.
	maxAnswer = 64 << 10
	// maxReason is how much of a refusal is told.
	maxReason = 200
)

// StatusError is an endpoint that refuses.
type StatusError struct {
	Method string
	Status string // such as "401 Unauthorized"
	Code   int
	Reason string // the beginning of what the endpoint says, may be empty
}

func (e *StatusError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("%s: %s", e.Method, e.Status)
	}

	return fmt.Sprintf("%s: %s: %s", e.Method, e.Status, e.Reason)
}

// client is the HTTP of WHIP.
type client struct {
	endpoint *url.URL
	token    string
	http     http.Client
}

func newClient(endpoint, token string) (*client, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("%q is not an http or https URL", endpoint)
	}
	// One of its own, whose connections end with the room.
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}

	return &client{endpoint: u, token: token, http: http.Client{Transport: transport}}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// created is a new session.
type created struct {
	sdp                    string
	session, renegotiation *url.URL
}

// post makes a session, which may be there with an error, too: it has to be ended
// then. https://www.rfc-editor.org/rfc/rfc9725#section-4.2
func (c *client) post(ctx context.Context, offer string) (created, error) {
	response, body, err := c.do(ctx, http.MethodPost, c.endpoint, offer, http.StatusCreated)
	if err != nil {
		return created{}, err
	}
	base := response.Request.URL // behind redirections
	location := response.Header.Get("Location")
	if location == "" {
		return created{}, errors.New("POST: the answer has no Location, which is where the session can be ended")
	}
	made := created{sdp: body}
	if made.session, err = base.Parse(location); err != nil {
		return created{}, fmt.Errorf("POST: Location: %w", err)
	}
	if link, ok := findLink(response.Header.Values("Link"), Renegotiation); ok {
		if made.renegotiation, err = base.Parse(link); err != nil {
			return made, fmt.Errorf("POST: Link: %w", err)
		}
	}
	if err = expectSDP(response); err != nil {
		return made, fmt.Errorf("POST: %w", err)
	}

	return made, nil
}

func (c *client) patch(ctx context.Context, at *url.URL, offer string) (answer string, err error) {
	response, body, err := c.do(ctx, http.MethodPatch, at, offer, http.StatusOK)
	if err != nil {
		return "", err
	}
	if err = expectSDP(response); err != nil {
		return "", fmt.Errorf("PATCH: %w", err)
	}

	return body, nil
}

func (c *client) delete(ctx context.Context, at *url.URL) error {
	_, _, err := c.do(ctx, http.MethodDelete, at, "", http.StatusOK, http.StatusNoContent, http.StatusAccepted)

	return err
}

// do sends a request, and reads the response, which has to have one of the codes.
func (c *client) do(
	ctx context.Context, method string, at *url.URL, sdp string, codes ...int,
) (*http.Response, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, at.String(), strings.NewReader(sdp))
	if err != nil {
		return nil, "", err
	}
	if sdp != "" {
		request.Header.Set("Content-Type", sdpType)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}

		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	for _, code := range codes {
		if code != response.StatusCode {
			continue
		}
		if len(body) > maxAnswer {
			err = fmt.Errorf("a response of more than %d bytes", maxAnswer)
		}
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", method, err)
		}

		return response, string(body), nil
	}

	return nil, "", &StatusError{method, response.Status, response.StatusCode, reason(body)}
}

// reason is the first line of a refusal, as far as it is for people.
func reason(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}

		return r
	}, strings.ToValidUTF8(line, "?"))

	return line[:min(len(line), maxReason)]
}

func expectSDP(response *http.Response) error {
	if got, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || got != sdpType {
		return fmt.Errorf("the answer is of type %q, not %s", response.Header.Get("Content-Type"), sdpType)
	}

	return nil
}

// link is a target and its parameters. https://www.rfc-editor.org/rfc/rfc8288#section-3
var (
	link     = regexp.MustCompile(`<([^>]*)>((?:[^,"]|"[^"]*")*)`)
	relation = regexp.MustCompile(`;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,]+))`)
)

// findLink returns the target of a relation.
func findLink(headers []string, rel string) (string, bool) {
	for _, header := range headers {
		for _, l := range link.FindAllStringSubmatch(header, -1) {
			of := relation.FindStringSubmatch(l[2])
			if of == nil {
				continue
			}
			for _, name := range strings.Fields(of[1] + of[2]) {
				if name == rel {
					return l[1], true
				}
			}
		}
	}

	return "", false
}
