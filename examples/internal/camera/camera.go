// Package camera is a page that sends a browser's camera and microphone by WHIP, and
// shows what is sent back.
package camera

import (
	"embed"
	"io/fs"
)

//go:embed page
var files embed.FS

// Path is where the page sends its offer.
const Path = "/whip"

// Page is the page's files.
func Page() fs.FS {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder was there when this was compiled
	}

	return page
}
