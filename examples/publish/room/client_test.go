package room

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFindLink(t *testing.T) {
	for _, tc := range []struct {
		headers []string
		target  string
	}{
		{nil, ""},
		{[]string{`</a>; rel="x"`}, "/a"},
		{[]string{`</a>; rel=x`}, "/a"},
		{[]string{`</a>; rel="y x z"`}, "/a"},
		{[]string{`</a>; rel="y"`, `</b>; title="a, b"; rel="x"`}, "/b"},
		{[]string{`</a>; rel="y", <stun:stun.example.org>; rel="ice-server", </b>;rel=x`}, "/b"},
		{[]string{`</a>; rel="xx"`, `</a>; title="x"`, `</a>`, `nonsense`, `<`, `<>;`}, ""},
	} {
		target, ok := findLink(tc.headers, "x")
		assert.Equal(t, tc.target, target, "%v", tc.headers)
		assert.Equal(t, tc.target != "", ok)
	}
}
