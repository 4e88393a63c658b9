// Package chromium starts a headless Chromium for tests.
package chromium

import (
	"context"
	"os/exec"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// Missing is why a test is skipped where Find finds nothing.
const Missing = "there is no chromium: apt-get install --no-install-recommends chromium"

// limit bounds the life of one.
const limit = 90 * time.Second

// Find returns the path of the program.
func Find() (path string, ok bool) {
	path, err := exec.LookPath("chromium")

	return path, err == nil
}

// Start returns the context of a tab. WebRTC needs a flag and a permission to use the
// network of tests, loopback alone. When quit has returned, the process and the
// goroutines for it are gone.
func Start(path string, more ...chromedp.ExecAllocatorOption) (tab context.Context, quit func(), err error) {
	options := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), // the folder of its user is a new one, and removed
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
		chromedp.Flag("allow-loopback-in-peer-connection", true),
		chromedp.WSURLReadTimeout(30 * time.Second),
	}, more...)
	life, cancel := context.WithTimeout(context.Background(), limit)
	process, kill := chromedp.NewExecAllocator(life, options...)
	tab, _ = chromedp.NewContext(process)
	quit = func() {
		_ = chromedp.Cancel(tab)
		kill()
		chromedp.FromContext(tab).Allocator.Wait()
		cancel()
	}
	if err = chromedp.Run(tab); err != nil {
		quit()

		return nil, nil, err
	}

	return tab, quit, nil
}

// Permit lets pages of an origin, such as http://127.0.0.1:8080, use camera and
// microphone.
func Permit(origin string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		return browser.GrantPermissions([]browser.PermissionType{
			browser.PermissionTypeAudioCapture, browser.PermissionTypeVideoCapture,
		}).WithOrigin(origin).Do(cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser))
	})
}

// Until waits for an expression of JavaScript to be true.
func Until(expression string) chromedp.Action {
	return chromedp.Poll(expression, nil, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0))
}

// FakeCamera has a camera and a microphone of Chromium's own, and asks nobody for the
// permission to use them.
func FakeCamera() []chromedp.ExecAllocatorOption {
	return []chromedp.ExecAllocatorOption{
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
	}
}
