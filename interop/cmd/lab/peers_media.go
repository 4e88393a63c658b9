package main

import (
	"github.com/ctxrtc/webrtc/interop/internal/cases"
	"github.com/ctxrtc/webrtc/interop/internal/install"
	"github.com/ctxrtc/webrtc/interop/internal/table"
)

// server is a peer for what is published and read alone.
var server = definition{
	name: "mediamtx",
	need: install.Need{
		Source: &install.Source{
			Module: "github.com/bluenviron/mediamtx", Version: mediaMTX,
			// The second is a player for browsers, which nobody asks for here.
			Files: map[string]string{"internal/core/VERSION": mediaMTX + "\n", "internal/servers/hls/hls.min.js": ""},
		},
		Binary: ".bin/mediamtx-" + mediaMTX,
	},
	argv: []string{"node", "peers/node/mediamtx.js", ".bin/mediamtx-" + mediaMTX},
}

const mediaMTX = "v1.13.1"

// noMedia are the quirks of a peer that does no audio and video, or not here.
func noMedia(reason string) (all []quirk) {
	for _, c := range cases.Media() {
		all = append(all, quirk{pattern: c.Name + "/*", outcome: table.Skipped, reason: reason})
	}

	return all
}

// noH264 and noSimulcast are common quirks.
func noH264(reason string) quirk {
	return quirk{pattern: "video-h264/*", outcome: table.Skipped, reason: reason}
}

func noSimulcast(reason string) quirk {
	return quirk{pattern: "simulcast/*", outcome: table.Skipped, reason: reason}
}
