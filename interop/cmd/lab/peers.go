package main

import (
	"path"

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
	// quirks are what it does not do or does wrong, with its version in mind.
	quirks []quirk
}

// quirk is a case that does not succeed with a peer, by fault of the peer.
type quirk struct {
	// pattern is that of path.Match over case/direction.
	pattern string
	outcome table.Outcome
	reason  string
}

var peers = []definition{
	{
		name: "pion",
		need: install.Need{Go: "peers/pion", Binary: ".bin/peer-pion"},
		argv: []string{".bin/peer-pion"},
		fast: true,
	},
	{
		name: "wrtc",
		need: install.Need{Node: "peers/node"},
		argv: []string{"node", "peers/node/wrtc.js"},
		fast: true,
	},
	{
		name: "datachannel",
		need: install.Need{Node: "peers/node"},
		argv: []string{"node", "peers/node/datachannel.js"},
		fast: true,
	},
	{
		name: "werift",
		need: install.Need{Node: "peers/node"},
		argv: []string{"node", "peers/node/werift.js"},
		fast: true,
	},
	{
		name: "aiortc",
		need: install.Need{Debian: []string{"python3-aiortc"}},
		// -P, since the file has the name of the module that it imports.
		argv: []string{"/usr/bin/python3", "-P", "peers/aiortc.py"},
		fast: true,
	},
}

// quirk of a case, nil if it has to succeed.
func (d *definition) quirk(name, direction string) *quirk {
	for i, q := range d.quirks {
		if ok, _ := path.Match(q.pattern, name+"/"+direction); ok {
			return &d.quirks[i]
		}
	}

	return nil
}
