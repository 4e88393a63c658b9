// Package install puts the peers onto the machine, each with the package manager
// that it comes from.
package install

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Need is what a peer needs. Versions of Node and Go modules stand in their lock
// files; those of Debian's packages are Debian's.
type Need struct {
	// Debian are packages.
	Debian []string
	// Node is a folder with a package-lock.json.
	Node string
	// Go is a folder with a module, and Binary is what is built from it.
	Go, Binary string
	// Source is what Binary is built from otherwise.
	Source *Source
}

// Do installs what is missing. dir is the folder of the laboratory, from which
// the paths count.
func Do(ctx context.Context, dir string, need Need) error {
	if err := debian(ctx, need.Debian); err != nil {
		return err
	}
	if need.Node != "" {
		if err := node(ctx, filepath.Join(dir, need.Node)); err != nil {
			return err
		}
	}
	if need.Source != nil {
		binary, err := filepath.Abs(filepath.Join(dir, need.Binary))
		if err != nil {
			return err
		}

		return need.Source.build(ctx, binary)
	}
	if need.Go != "" {
		// The go command knows by itself what has changed.
		binary, err := filepath.Abs(filepath.Join(dir, need.Binary))
		if err != nil {
			return err
		}

		return run(ctx, filepath.Join(dir, need.Go), "go", "build", "-o", binary, ".")
	}

	return nil
}

func debian(ctx context.Context, packages []string) error {
	var missing []string
	for _, name := range packages {
		out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${db:Status-Status}", name).Output()
		if err != nil || string(out) != "installed" {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := run(ctx, "", "apt-get", "update", "-qq"); err != nil {
		return err
	}

	return run(ctx, "", "apt-get", append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)...)
}

// node installs again when the lock is newer than what was installed.
func node(ctx context.Context, dir string) error {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	installed, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if err == nil && !installed.ModTime().Before(lock.ModTime()) {
		return nil
	}

	return run(ctx, dir, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
}

func run(ctx context.Context, dir, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		out = bytes.TrimSpace(out)

		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out[max(0, len(out)-500):])
	}

	return nil
}
