// Package reflect runs examples/reflect with Chromium and its own camera.
package reflect

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ctxrtc/webrtc/examples/browser/internal/chromium"
	"github.com/ctxrtc/webrtc/examples/internal/programtest"
)

func TestMain(m *testing.M) { os.Exit(programtest.MainOf("../../reflect", m.Run)) }

func TestChromiumSeesItsCamera(t *testing.T) {
	path, ok := chromium.Find()
	if !ok {
		t.Skip(chromium.Missing)
	}
	p := programtest.Start(t, "-browser", "-loopback", "-addr", "127.0.0.1:0")
	url := p.Until(t, `^open (http://127\.0\.0\.1:\d+/) in a browser$`)[1]
	tab, quit, err := chromium.Start(path, chromium.FakeCamera()...)
	require.NoError(t, err)
	defer quit()
	ctx, cancel := context.WithTimeout(tab, 30*time.Second)
	defer cancel()
	var facts string
	begin := time.Now()
	err = chromedp.Run(ctx,
		chromium.Permit(strings.TrimSuffix(url, "/")),
		chromedp.Navigate(url),
		chromium.Until(`document.body.dataset.state === "new"`),
		chromedp.Click("#start", chromedp.ByQuery),
		chromium.Until(`document.body.dataset.back >= 100 && document.body.dataset.sound > 100`),
		chromedp.Text("#facts", &facts, chromedp.ByQuery),
		chromium.Until(`document.querySelector("#back").videoWidth > 0`),
		chromedp.Click("#stop", chromedp.ByQuery),
		chromium.Until(`document.body.dataset.state === "over"`),
	)
	if err != nil {
		seen, cancel := context.WithTimeout(tab, 5*time.Second)
		defer cancel()
		_ = chromedp.Run(seen, chromedp.Evaluate(`document.body.outerHTML`, &facts))
		require.NoError(t, p.Kill())
		p.Wait(t)
		t.Fatalf("%v\n%s\n%s%s", err, facts, p.Printed(), p.Errors())
	}
	t.Logf("%s, within %v", facts, time.Since(begin))
	require.Equal(t, 0, p.Wait(t), "%s%s", p.Printed(), p.Errors())
	assert.Regexp(t, `  video/\S+ comes, and goes back\n`, p.Printed())
	assert.Contains(t, p.Printed(), "  audio/opus comes, and goes back\n")
	assert.Regexp(t, `\n  [1-9]\d* packets of video and [1-9]\d* of audio went back`, p.Printed())
}
