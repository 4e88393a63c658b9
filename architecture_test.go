package webrtc_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fileOrder is the root package from the bottom upwards, as patterns of file
// names. A file may name what its own line and those before it declare.
var fileOrder = []string{
	"doc.go",
	"errors.go",
	"nil.go random.go",
	"logging.go",
	"enum.go sdptype.go",
	"state*.go",
	"parameters*.go icecandidate.go iceserver.go stats*.go", // plain values, made of one another
	"certificate.go",
	"icemux*.go",
	"mediaengine*.go",
	"interceptors*.go",
	"settings*.go",
	"api.go",
	"life.go",
	"remotelimits.go",
	"icegatherer*.go",
	"icetransport*.go",
	"dtlstransport*.go rtptransport.go rtpreports.go",
	"track_local.go track_static_*.go rtpsender*.go", // a track knows its senders by their interface alone
	"rtpreceiver*.go track_remote.go",
	"sctptransport*.go",
	"datachannel*.go",
	"netconn.go messageconn.go listener.go", // the one on the other
	"peerconnection*.go",
}

// rank of a file in the order, -1 if it is not there.
func rank(file string) int {
	return slices.IndexFunc(fileOrder, func(line string) bool {
		return slices.ContainsFunc(strings.Fields(line), func(pattern string) bool {
			ok, _ := path.Match(pattern, file)

			return ok
		})
	})
}

// source is one package as far as its syntax tells: its own names and those of
// a few standard packages are resolved, all other imports are taken as empty.
type source struct {
	fset  *token.FileSet
	files map[string]*ast.File
	info  *types.Info
	scope *types.Scope
}

// load reads the files of a directory that are no tests, for every system.
func load(t *testing.T, dir string, lookup types.Importer) *source {
	t.Helper()
	s := &source{fset: token.NewFileSet(), files: map[string]*ast.File{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(s.fset, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		s.files[filepath.Base(name)] = file
		files = append(files, file)
	}
	s.info = &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: lookup, Error: func(error) {}, FakeImportC: true}
	pkg, _ := config.Check(dir, s.fset, files, s.info) // errors are those of the empty imports
	require.NotNil(t, pkg)
	s.scope = pkg.Scope()

	return s
}

// imports resolves the packages that the rules are about, from source.
type imports struct {
	standard types.Importer
	known    map[string]*types.Package
}

func newImports() *imports {
	return &imports{
		standard: importer.ForCompiler(token.NewFileSet(), "source", nil),
		known:    map[string]*types.Package{},
	}
}

var majorVersion = regexp.MustCompile(`/v[0-9]+$`)

func (i *imports) Import(name string) (*types.Package, error) {
	switch name {
	case "context", "sync", "time":
		return i.standard.Import(name)
	}
	if i.known[name] == nil {
		pkg := types.NewPackage(name, path.Base(majorVersion.ReplaceAllString(name, "")))
		pkg.MarkComplete()
		i.known[name] = pkg
	}

	return i.known[name], nil
}

// A lower layer that names a higher one could call into it; facts travel
// upwards by return values, contexts and events only.
func TestFilesNameNothingAboveThem(t *testing.T) {
	s := load(t, ".", newImports())
	for name, file := range s.files {
		own := rank(name)
		if own < 0 {
			t.Errorf("%s is not in the order of files; add it where it belongs", name)

			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			ident, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			object := s.info.Uses[ident]
			if object == nil || object.Parent() != s.scope {
				return true
			}
			declared := filepath.Base(s.fset.Position(object.Pos()).Filename)
			if rank(declared) > own {
				t.Errorf("%s names %s, which %s declares above it", s.fset.Position(ident.Pos()), ident.Name, declared)
			}

			return true
		})
	}
}

// starters run something beside their caller.
var starters = []string{"time.AfterFunc", "context.AfterFunc", "(*sync.WaitGroup).Go"}

// What runs beside its caller has to be counted, so that it can be waited for:
// it starts in internal/lifecycle.
func TestGoroutinesStartInLifecycleOnly(t *testing.T) {
	lookup := newImports()
	found := map[string]bool{} // by directory
	err := filepath.WalkDir(".", func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if top, _, _ := strings.Cut(filepath.ToSlash(dir), "/"); top != "." && top != "internal" && top != "pkg" {
			return filepath.SkipDir
		}
		if entry.Name() == "testdata" || filepath.ToSlash(dir) == "internal/testnet" {
			return filepath.SkipDir
		}
		s := load(t, dir, lookup)
		for _, file := range s.files {
			ast.Inspect(file, func(n ast.Node) bool {
				what := ""
				switch n := n.(type) {
				case *ast.GoStmt:
					what = "a go statement"
				case *ast.Ident:
					if f, ok := s.info.Uses[n].(*types.Func); ok && slices.Contains(starters, f.FullName()) {
						what = f.FullName()
					}
				}
				if what == "" {
					return true
				}
				found[filepath.ToSlash(dir)] = true
				if filepath.ToSlash(dir) != "internal/lifecycle" {
					t.Errorf("%s: %s starts something beside its caller", s.fset.Position(n.Pos()), what)
				}

				return true
			})
		}

		return nil
	})
	require.NoError(t, err)
	assert.True(t, found["internal/lifecycle"], "the test sees what it looks for")
}
