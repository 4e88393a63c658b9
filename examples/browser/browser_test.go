package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/browser/internal/chromium"
	"github.com/ctxrtc/webrtc/examples/internal/peer"
)

// screenshots is the environment's variable with a folder to put the pictures
// into; otherwise they go with the test.
const screenshots = "BROWSER_SCREENSHOTS"

func TestChromium(t *testing.T) {
	path, ok := chromium.Find()
	if !ok {
		t.Skip(chromium.Missing)
	}
	pictures := os.Getenv(screenshots)
	if pictures == "" {
		pictures = t.TempDir()
	}
	before := runtime.NumGoroutine()

	func() {
		tab, quit := startChromium(t, path)
		defer quit()
		t.Run("the page offers and closes", func(t *testing.T) {
			p := open(t, tab)
			p.do(click("#offer-page"))
			p.useAll()
			p.picture(filepath.Join(pictures, "light.png"), "light")
			p.picture(filepath.Join(pictures, "dark.png"), "dark")
			p.do(click("#close-page"))
			p.requireClosed("closed by the page")
		})
		t.Run("Go offers and closes", func(t *testing.T) {
			p := open(t, tab)
			p.do(click("#offer-go"))
			p.useAll()
			p.do(click("#close-go"))
			p.requireClosed("closed from here, as the page has asked")
		})
		t.Run("the page goes away", func(t *testing.T) {
			p := open(t, tab)
			p.do(click("#offer-page"), there(state("go", "chat", "open")), chromedp.Navigate("about:blank"))
			gone := time.Now()
			require.NoError(t, p.ended())
			assert.Less(t, time.Since(gone), 2*time.Second)
			// Chromium closes the page's connections in any order.
			assert.Regexp(t, `(?m)^(the page has gone|closed by the page .*)$`, p.printed(t))
		})
		t.Run("an interrupt", func(t *testing.T) {
			p := open(t, tab)
			p.do(click("#offer-go"), there(state("page", "bulk", "open")))
			interrupted := errors.New("interrupted")
			p.cancel(interrupted)
			p.do(there(`body[data-over="closed from here"][data-page="closed"][data-go="closed"]`))
			require.ErrorIs(t, p.ended(), interrupted)
		})
	}()
	assert.Zero(t, peer.Leftover(context.Background(), before), "goroutines")
}

func startChromium(t *testing.T, path string) (tab context.Context, quit func()) {
	t.Helper()
	tab, quit, err := chromium.Start(path)
	require.NoError(t, err)
	if err = chromedp.Run(tab, emulation.SetDeviceMetricsOverride(1220, 900, 1, false)); err != nil {
		quit()
		require.NoError(t, err)
	}

	return tab, quit
}

// visited is a run of the program, with the browser's tab on its page.
type visited struct {
	*run

	t   *testing.T
	tab context.Context
}

func open(t *testing.T, tab context.Context) *visited {
	t.Helper()
	p := &visited{start(t, nil), t, tab}
	p.do(
		chromium.Permit(strings.TrimSuffix(p.url, "/")),
		chromedp.Navigate(p.url),
		there(state("go", "connection", "new")),
	)

	return p
}

// do fails the test if the actions are not done in time.
func (p *visited) do(actions ...chromedp.Action) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.tab, 15*time.Second)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		var text string
		seen, cancel := context.WithTimeout(p.tab, 5*time.Second)
		defer cancel()
		_ = chromedp.Run(seen, chromedp.Evaluate(`document.body.outerHTML`, &text))
		p.t.Fatalf("%v\n%s\n%s", err, text, p.printed(p.t))
	}
}

func click(selector string) chromedp.Action { return chromedp.Click(selector, chromedp.ByQuery) }

// there waits for an element.
func there(selector string) chromedp.Action {
	return chromedp.WaitReady(selector, chromedp.ByQuery)
}

// state is the line that tells a state in the page's list of them.
func state(side, track, state string) string {
	return fmt.Sprintf(`#states [data-side=%q][data-track=%q][data-state=%q]`, side, track, state)
}

// useAll uses every channel of a connection that is being made.
func (p *visited) useAll() {
	p.t.Helper()
	p.do(
		there(`body[data-page="connected"][data-go="connected"]`),
		there(`#line:enabled`),
		chromedp.SendKeys("#line", "hello, Go\n", chromedp.ByQuery),
		chromium.Until(`[...document.querySelectorAll("#said .go")].some((e) => e.textContent === "HELLO, GO")`),
	)
	_, err := fmt.Fprintln(p.keys, "good morning, page")
	require.NoError(p.t, err)
	p.do(
		chromium.Until(`[...document.querySelectorAll("#said .go")].some((e) => e.textContent === "good morning, page")`),
		chromium.Until(`document.body.dataset.pings > 5`),
		click("#send-page"),
		chromium.Until(`document.body.dataset.up > 0`),
		click("#send-go"),
		chromium.Until(`document.body.dataset.down > 0`),
	)
	for _, side := range []string{"page", "go"} {
		for track, states := range map[string][]string{
			"signaling":  {"stable"},
			"gathering":  {"new", "gathering", "complete"},
			"ice":        {"new", "checking", "connected"},
			"dtls":       {"connecting", "connected"},
			"connection": {"new", "connecting", "connected"},
			"chat":       {"open"},
			"ping":       {"open"},
			"bulk":       {"open"},
		} {
			for _, name := range states {
				p.do(there(state(side, track, name)))
			}
		}
	}
	p.do(chromium.Until(`document.body.dataset.failed === undefined`))
}

func (p *visited) picture(path, theme string) {
	p.t.Helper()
	var png []byte
	p.do(
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}),
		chromium.Until(fmt.Sprintf(`matchMedia("(prefers-color-scheme: %s)").matches && new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, theme)),
		chromedp.FullScreenshot(&png, 100),
	)
	require.NoError(p.t, os.WriteFile(path, png, 0o600))
	p.t.Logf("%s: %d bytes", path, len(png))
}

// requireClosed checks that both sides tell it, and that the program ends.
func (p *visited) requireClosed(why string) {
	p.t.Helper()
	p.do(there(`body[data-over][data-page="closed"][data-go="closed"]`))
	for _, side := range []string{"page", "go"} {
		for _, track := range []string{"signaling", "ice", "dtls", "connection", "chat", "ping", "bulk"} {
			p.do(there(state(side, track, "closed")))
		}
	}
	require.NoError(p.t, p.ended())
	assert.Contains(p.t, p.printed(p.t), "\n"+why)
}
