package install

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Source is a program in a Go module that "go install" cannot build, since files
// which its own generators make are missing in the module.
type Source struct {
	Module, Version string
	// Files are these, with what stands in their place.
	Files map[string]string
}

// build makes the binary, unless it is there. Its name has the version.
func (s *Source) build(ctx context.Context, binary string) error {
	if _, err := os.Stat(binary); err == nil {
		return nil
	}
	dir, err := os.MkdirTemp("", "interop-source-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // what stays is in the way of nobody
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", s.Module+"@"+s.Version)
	cmd.Dir = dir // of no module, whose versions would count
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("download %s %s: %w: %s", s.Module, s.Version, err, bytes.TrimSpace(out))
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return err
	}
	// A copy, as the cache of modules is not to be changed.
	copied := filepath.Join(dir, "source")
	if err := os.CopyFS(copied, os.DirFS(module.Dir)); err != nil {
		return err
	}
	for name, text := range s.Files {
		if err := os.WriteFile(filepath.Join(copied, name), []byte(text), 0o644); err != nil {
			return err
		}
	}

	return run(ctx, copied, "env", "CGO_ENABLED=0", "go", "build", "-o", binary, ".")
}
