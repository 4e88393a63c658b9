package main

import (
	"path"
	"slices"
	"strings"

	"github.com/ctxrtc/webrtc/interop/internal/cases"
	"github.com/ctxrtc/webrtc/interop/internal/install"
	"github.com/ctxrtc/webrtc/interop/internal/table"
)

// definition is a peer: how it gets here, how it is started, what it cannot do.
type definition struct {
	name string
	need install.Need
	// argv starts it, in the folder of the laboratory.
	argv []string
	// fast peers are those of `make interop-fast`.
	fast bool
	// internet peers are tried on the network with two routers, too, with these
	// arguments more.
	internet     bool
	internetArgs []string
	// mirror and prefix are what the cases have to know of one that only echoes.
	mirror bool
	prefix string
	// quirks are what it does not do or does wrong, with its version in mind.
	quirks []quirk
}

// quirk is a case that does not succeed with a peer, by fault of the peer.
type quirk struct {
	// pattern is that of path.Match over case/direction.
	pattern string
	outcome table.Outcome
	reason  string
	// text is what the error has to have in it, if the case fails now and then.
	text string
	// vague says that the text could be that of a failure of ours, too.
	vague bool
}

var peers = []definition{
	{
		name: "pion",
		need: install.Need{Go: "peers/pion", Binary: ".bin/peer-pion"},
		argv: []string{".bin/peer-pion"},
		fast: true, internet: true,
		quirks: []quirk{noSimulcast("our program with it sends one encoding")},
	},
	{
		name: "wrtc",
		need: install.Need{Node: "peers/node"},
		argv: []string{"node", "peers/node/wrtc.js"},
		fast: true, internet: true,
		quirks: []quirk{
			noH264("the build of libwebrtc is without H.264"),
			{pattern: "restart/peer offers", outcome: table.Defect, reason: "libwebrtc stays on the pair of before: our checks, which begin before " +
				"it has our answer, make it drop the new pair for as long as the old one works"},
			{pattern: "peer-relay-tls/*", outcome: table.Skipped, reason: "it believes the authorities that are built into it alone, " +
				"and not the one of the run"},
		},
	},
	{
		name: "datachannel",
		need: install.Need{Node: "peers/node"},
		argv: []string{"node", "peers/node/datachannel.js"},
		fast: true,
		quirks: slices.Concat(noMedia("its W3C API has no tracks"), []quirk{
			{pattern: "restart/*", outcome: table.Skipped, reason: "libdatachannel has no ICE restart"},
			{
				pattern: "*/peer offers", outcome: table.Defect, reason: "setRemoteDescription refuses an answer now and then",
				text: "Got a remote candidate without ICE transport",
			},
			{
				pattern: "shutdown/*", outcome: table.Defect, reason: "it has acknowledged everything, and now and then does not " +
					"hand out the last of it if the end follows at once",
				text: "the peer has ", vague: true,
			},
		}),
	},
	{
		name: "werift",
		need: install.Need{Node: "peers/node"},
		argv: []string{"node", "peers/node/werift.js"},
		fast: true,
		quirks: slices.Concat(noMedia("its media stands on RTP packets that the program makes, and is not tried"), []quirk{
			{pattern: "dtls-client/we offer", outcome: table.Defect, reason: "it answers active to an offer that is active"},
			{pattern: "echo/*", outcome: table.Defect, reason: "its empty message is a DATA chunk without data, which SCTP forbids"},
			{pattern: "reliability/*", outcome: table.Defect, reason: "it announces an unordered channel with a limit as an ordered one"},
			{pattern: "close-by-peer/*", outcome: table.Defect, reason: "its close sends neither an ABORT nor an alert"},
			{pattern: "cancel-noticed/*", outcome: table.Defect, reason: "if we go before DTLS is connected, it may " +
				"wait without an end"},
			{pattern: "restart/*", outcome: table.Defect, reason: "after a restart it sends neither checks nor data"},
		}),
	},
	{
		name: "aiortc",
		need: install.Need{Debian: []string{"python3-aiortc"}},
		// -P, since the file has the name of the module that it imports.
		argv: []string{"/usr/bin/python3", "-P", "peers/aiortc.py"},
		fast: true,
		quirks: []quirk{
			noSimulcast("aiortc has no simulcast"),
			{
				pattern: "media-data/peer offers", outcome: table.Defect, reason: "it numbers header extensions anew in each " +
					"section of a bundle, which Chromium refuses, too, and later versions do not do",
			},
			{pattern: "dtls-*/we offer", outcome: table.Skipped, reason: "it takes no offer but actpass, as JSEP has it"},
			{pattern: "cancel-noticed/*", outcome: table.Defect, reason: "if we go before DTLS is connected, it may wait without an end"},
			{pattern: "restart/*", outcome: table.Skipped, reason: "aiortc has no ICE restart"},
		},
	},
	{
		name:     "chromium",
		need:     install.Need{Debian: []string{"chromium"}},
		argv:     []string{"node", "peers/node/chromium.js"},
		internet: true,
		// A relay has to be told whose packets it may let through, and a name of mDNS
		// says nothing of that beyond its network. Connections over TCP pass the rules
		// for names, and it has its own authorities.
		internetArgs: []string{
			"--disable-features=WebRtcHideLocalIpsWithMdns", "--ignore-certificate-errors",
			"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE " + cases.ServerAddress,
		},
	},
	{
		name: "gstreamer",
		need: install.Need{Debian: []string{
			"gstreamer1.0-tools", "gstreamer1.0-plugins-base", "gstreamer1.0-plugins-good", "gstreamer1.0-plugins-bad",
			"gstreamer1.0-nice", "python3-gi", "gir1.2-gst-plugins-bad-1.0", "gir1.2-gst-plugins-base-1.0",
		}},
		argv: []string{"/usr/bin/python3", "peers/gstreamer.py"},
		quirks: []quirk{
			noSimulcast("webrtcbin 1.22 sends one encoding"),
			{pattern: "restart/*", outcome: table.Skipped, reason: "webrtcbin has no ICE restart"},
			{pattern: "close-by-us/*", outcome: table.Defect, reason: "it does not tell the end of a connection"},
			{pattern: "steps*/*", outcome: table.Defect, reason: "it does not tell the end of a connection"},
			{pattern: "echo/*", outcome: table.Defect, reason: "it closes a channel instead of sending an empty message"},
			{pattern: "negotiated/*", outcome: table.Defect, reason: "once it is connected, create-data-channel makes none that is negotiated"},
			{pattern: "cancel-noticed/*", outcome: table.Defect, reason: "it does not tell the end of a connection"},
			{pattern: "close-by-peer/*", outcome: table.Defect, reason: "stopping the pipeline sends neither an ABORT nor an alert"},
		},
	},
	{
		name:   "janus",
		need:   install.Need{Debian: []string{"janus"}},
		argv:   []string{"node", "peers/node/janus.js"},
		mirror: true, prefix: "Janus EchoTest here! You wrote: ",
		quirks: slices.Concat(noMedia("of the echo test only the channels are tried"), []quirk{
			{pattern: "echo/we offer", outcome: table.Defect, reason: "it drops messages of 64 KiB, which a description without a limit " +
				"allows, and empty ones"},
			{pattern: "*/peer offers", outcome: table.Skipped, reason: "the echo test answers offers and makes none"},
			{pattern: "negotiated/*", outcome: table.Skipped, reason: "the echo test makes no channels"},
			{pattern: "shutdown/*", outcome: table.Skipped, reason: "the echo test keeps nothing that could be compared"},
		}),
	},
	{
		name:     "firefox",
		need:     install.Need{Debian: []string{"firefox-esr"}},
		argv:     []string{"node", "--experimental-websocket", "peers/node/firefox.js"},
		internet: true,
		quirks: []quirk{
			noH264("its H.264 is a plugin, which it downloads"),
			{pattern: "peer-relay-tls/*", outcome: table.Skipped, reason: "it has its own authorities, and does not come to a server whose " +
				"certificate is made for the run"},
			{pattern: "bad-corrupt/*", outcome: table.Defect, reason: "a corrupt record, which DTLS would have it drop, makes its connection " +
				"fail now and then"},
			{pattern: "cancel-noticed/we offer", outcome: table.Defect, reason: "if we go before the nomination, the controlled side may wait " +
				"for one without an end"},
		},
	},
}

// certain tells whether a case can be counted on: it succeeds, or fails in a way
// that only this peer has.
func (d *definition) certain(name, direction string) bool {
	return !slices.ContainsFunc(d.quirks, func(q quirk) bool {
		matches, _ := path.Match(q.pattern, name+"/"+direction)

		return matches && q.outcome == table.Defect && (q.text == "" || q.vague)
	})
}

// quirk of a case, nil if it has to succeed. err is what has come of it, nil
// before it was tried.
func (d *definition) quirk(name, direction string, err error) *quirk {
	for i, q := range d.quirks {
		if q.text != "" && (err == nil || !strings.Contains(err.Error(), q.text)) {
			continue
		}
		if ok, _ := path.Match(q.pattern, name+"/"+direction); ok {
			return &d.quirks[i]
		}
	}

	return nil
}
