package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// partSuffix is what a file's name ends in until the file is whole.
const partSuffix = ".part"

// maxName is the longest name in bytes; file systems take 255 of them, with
// the suffix.
const maxName = 200

// checkName refuses every name that is more than the name of a file, or could
// be taken for something else: it comes from the other side.
func checkName(name string) error {
	reason := ""
	switch {
	case name == "":
		reason = "it is empty"
	case len(name) > maxName:
		reason = fmt.Sprintf("it has %d bytes, more than %d", len(name), maxName)
	case !utf8.ValidString(name), strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		reason = "it does not consist of characters that can be shown"
	case strings.ContainsAny(name, `/\:*?"<>|`):
		reason = "it has a character with a meaning in paths"
	case name[0] == '.', name[0] == '~', name[0] == '-':
		reason = "programs take its first character for more than a name"
	case strings.HasSuffix(name, "."), strings.HasSuffix(name, " "):
		reason = "its last character is lost on some systems"
	case strings.HasSuffix(strings.ToLower(name), partSuffix):
		reason = "such names are for files that are not whole"
	case !filepath.IsLocal(name): // "NUL" and the like, where they are devices
		reason = "it is no name on this system"
	}
	if reason != "" {
		return fmt.Errorf("the name %.60q is refused: %s", name, reason)
	}

	return nil
}

// store is the folder that files are received into. Nothing outside of it is
// touched, whatever symbolic links it has.
type store struct{ root *os.Root }

func openStore(dir string) (*store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}

	return &store{root}, nil
}

func (s *store) Close() error { return s.root.Close() }

// incoming is a file that is being received.
type incoming struct {
	header

	store *store
	part  string   // NAME.part
	file  *os.File // of that name, nil if the file is there already
	sum   hash.Hash
	size  int64 // of what there is
}

// begin opens the file that the header announces, and reads what there is of
// it. No file that is whole is ever changed.
func (s *store) begin(ctx context.Context, h header) (in *incoming, err error) {
	if err = h.check(); err != nil {
		return nil, err
	}
	in = &incoming{header: h, store: s, part: h.Name + partSuffix, sum: sha256.New()}
	whole, err := s.regular(h.Name)
	if err != nil {
		return nil, err
	}
	if whole != nil {
		if whole.Size() == h.Size {
			err = in.load(ctx, h.Name, os.O_RDONLY)
			_ = in.file.Close()
			in.file = nil
		}
		if err == nil && in.digest() != (digest{h.Size, h.SHA256}) {
			err = fmt.Errorf("%q is there already, with other content", h.Name)
		}

		return in, err
	}
	part, err := s.regular(in.part)
	switch {
	case err != nil:
		return nil, err
	case part != nil && part.Size() > h.Size:
		return nil, fmt.Errorf("%q is there already, and longer than the file", in.part)
	}
	if err = in.load(ctx, in.part, os.O_RDWR|os.O_CREATE); err != nil {
		in.close()

		return nil, err
	}

	return in, nil
}

// regular returns nil if there is nothing of this name.
func (s *store) regular(name string) (fs.FileInfo, error) {
	info, err := s.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil //nolint:nilnil // nothing is there, and that is no error
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%q is there already, and no file", name)
	}

	return info, nil
}

// load opens a file and reads it to its end, where writing goes on.
func (in *incoming) load(ctx context.Context, name string, flag int) (err error) {
	if in.file, err = in.store.root.OpenFile(name, flag, 0o644); err != nil {
		return err
	}
	in.size, err = copyContext(ctx, in.sum, in.file)

	return err
}

// add appends content. It is in the hands of the system when it returns, so
// that it survives this process.
func (in *incoming) add(content []byte) error {
	if in.file == nil || in.size+int64(len(content)) > in.Size {
		return fmt.Errorf("more has come than the %d bytes announced", in.Size)
	}
	n, err := in.file.Write(content)
	in.sum.Write(content[:n])
	in.size += int64(n)

	return err
}

func (in *incoming) digest() digest {
	return digest{Size: in.size, SHA256: hex.EncodeToString(in.sum.Sum(nil))}
}

// finish gives the file its name if it is what was announced. What is not will
// never be, and is removed.
func (in *incoming) finish() error {
	defer in.close()
	got := in.digest()
	if got.Size < in.Size {
		return fmt.Errorf("the end has come after %d of %d bytes", got.Size, in.Size)
	}
	if in.file == nil {
		return nil
	}
	if got.SHA256 != in.SHA256 {
		in.close()

		return errors.Join(fmt.Errorf("other content has come than announced; %q is removed", in.part),
			in.store.root.Remove(in.part))
	}
	err := errors.Join(in.file.Sync(), in.file.Close())
	in.file = nil
	if err != nil {
		return err
	}
	if there, err := in.store.regular(in.Name); err != nil || there != nil {
		return errors.Join(err, fmt.Errorf("%q has appeared meanwhile; the new content stays in %q", in.Name, in.part))
	}

	return in.store.root.Rename(in.part, in.Name)
}

// close leaves what has come in NAME.part, if anything has.
func (in *incoming) close() {
	if in.file == nil {
		return
	}
	info, err := in.file.Stat()
	_ = in.file.Close() // all that counts has been written
	in.file = nil
	if err == nil && info.Size() == 0 {
		_ = in.store.root.Remove(in.part)
	}
}

// copyContext is io.Copy, as long as the context allows.
func copyContext(ctx context.Context, w io.Writer, r io.Reader) (total int64, err error) {
	buf := make([]byte, 8*chunk)
	for {
		if ctx.Err() != nil {
			return total, context.Cause(ctx)
		}
		n, err := r.Read(buf)
		total += int64(n)
		if _, failed := w.Write(buf[:n]); failed != nil {
			return total, failed
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
