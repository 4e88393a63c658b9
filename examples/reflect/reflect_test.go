package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/internal/programtest"
)

func TestMain(m *testing.M) { os.Exit(programtest.Main(m.Run)) }

func TestAPeerInThePlaceOfABrowser(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-frames", "45")
	code := p.Wait(t)
	printed := p.Printed()
	require.Equal(t, 0, code, "%s%s", printed, p.Errors())
	assert.Empty(t, p.Errors())
	assert.Contains(t, printed, "  video/VP8 comes, and goes back\n")
	assert.Contains(t, printed, "  audio/opus comes, and goes back\n")
	assert.Contains(t, printed, "  45 frames were sent, and the same ones came back\n")
	assert.Contains(t, printed, "  requests for a picture that were passed on: 1\n")
	assert.Contains(t, printed, "\n  goroutines left: 0\n")
}

// The page is there, and what is no offer is refused with a reason.
func TestThePage(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-browser", "-addr", "127.0.0.1:0", "-loopback", "-wait", "50s")
	url := p.Until(t, `^open (http://127\.0\.0\.1:\d+/) in a browser$`)[1]
	status, page := request(t, http.MethodGet, url, "", "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, page, `<script type="module" src="main.js">`)
	for _, tc := range []struct {
		kind, body string
		status     int
	}{
		{"text/plain", "v=0\r\n", http.StatusUnsupportedMediaType},
		{"application/sdp", "", http.StatusBadRequest},
		{"application/sdp", "hello", http.StatusBadRequest},
		{"application/sdp", strings.Repeat("a=b\r\n", 1<<16), http.StatusRequestEntityTooLarge},
	} {
		status, reason := request(t, http.MethodPost, url+"whip", tc.kind, tc.body)
		assert.Equal(t, tc.status, status, "%.20q: %s", tc.body, reason)
		assert.NotEmpty(t, reason)
	}
	status, _ = request(t, http.MethodDelete, url+"whip/none", "", "")
	assert.Equal(t, http.StatusNotFound, status)
	status, _ = request(t, http.MethodOptions, url+"whip", "", "")
	assert.Equal(t, http.StatusMethodNotAllowed, status, "pages of other sites are not let in")
	require.NoError(t, p.Kill())
	p.Wait(t)
}

func request(t *testing.T, method, url, kind, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", kind)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	require.NoError(t, err)

	return response.StatusCode, string(reply)
}

func TestNobodyComes(t *testing.T) {
	t.Parallel()
	p := programtest.Start(t, "-browser", "-addr", "127.0.0.1:0", "-wait", "100ms")
	assert.Equal(t, 1, p.Wait(t))
	assert.Equal(t, "reflect: no page has come within 100ms", p.Complaint(t))
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-h"}, 0, "usage: reflect [-frames N]"},
		{[]string{"-bogus"}, 2, "flag provided but not defined: -bogus"},
		{[]string{"more"}, 2, `unexpected argument "more"`},
		{[]string{"-frames", "0"}, 2, "from 1 to 9000"},
		{[]string{"-browser", "-frames", "5"}, 2, "-frames means nothing here"},
		{[]string{"-addr", "127.0.0.1:0"}, 2, "-addr means nothing here"},
		{[]string{"-browser", "-addr", "0.0.0.0:0"}, 2, "-addr is on loopback"},
		{[]string{"-browser", "-addr", "nowhere"}, 2, "-addr"},
		{[]string{"-browser", "-wait", "0s"}, 2, "above zero"},
	} {
		p := programtest.Start(t, tc.args...)
		assert.Equal(t, tc.code, p.Wait(t), "%v", tc.args)
		assert.Contains(t, p.Errors(), tc.stderr)
		assert.Empty(t, p.Printed())
		if tc.code != 0 {
			assert.True(t, strings.HasPrefix(p.Complaint(t), "reflect: "), p.Errors())
		}
	}
}
