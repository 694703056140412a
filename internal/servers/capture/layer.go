package capture

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// ErrNotAsPlanned is returned when a file changed after the survey.
var ErrNotAsPlanned = errors.New("changed since the survey: survey the server again")

// WriteLayer writes a layer of a plan as a tar archive, with exactly the entries of
// the plan in the same order. If one of them changed since the survey, it returns
// an error and the archive is truncated.
//
// An unchanged server gives equal bytes: directories have no time, because theirs
// changes together with entries that are left out, and the times of files are in
// whole seconds.
func WriteLayer(ctx context.Context, root *rootfs.Root, p Plan, name string, w io.Writer) error {
	entries, err := p.expected(name)
	if err != nil {
		return err
	}
	l := layerWriter{root: root, tar: tar.NewWriter(w), written: map[string]bool{}}
	for e := range entries.All() {
		if err := l.add(ctx, e); err != nil {
			return fmt.Errorf("write layer %s: %s: %w", name, e.Path, err)
		}
	}
	if err := l.tar.Close(); err != nil {
		return fmt.Errorf("write layer %s: %w", name, err)
	}
	return nil
}

// expected returns all entries of the archive of a layer: its files, the
// directories to be made, and their parent directories from the other layer. Some
// runtimes would create a missing parent with a mode and owner of their own.
func (p *Plan) expected(name string) (tree.Tree, error) {
	l, err := p.layer(name)
	if err != nil {
		return tree.Tree{}, err
	}
	byPath := map[string]tree.Entry{}
	for e := range l.Files.All() {
		byPath[e.Path] = e
	}
	for e := range l.Made.All() {
		byPath[e.Path] = e
	}
	for _, at := range slices.Sorted(maps.Keys(byPath)) {
		for dir := path.Dir(at); dir != "/"; dir = path.Dir(dir) {
			if _, ok := byPath[dir]; ok {
				continue
			}
			if e, ok := p.Packages.Files.Lookup(dir); ok && name == ConfigLayer {
				byPath[dir] = e
			} else if e, ok := p.Config.Files.Lookup(dir); ok {
				byPath[dir] = e
			}
		}
	}
	delete(byPath, "/") // runtimes create the root directory themselves
	entries := make([]tree.Entry, 0, len(byPath))
	for _, e := range byPath {
		entries = append(entries, e)
	}
	return tree.New(entries)
}

type layerWriter struct {
	root    *rootfs.Root
	tar     *tar.Writer
	written map[string]bool // regular files that later hard links may name
}

func (l *layerWriter) add(ctx context.Context, e tree.Entry) error {
	h := headerOf(e)
	switch e.Kind {
	case tree.Directory:
		return l.tar.WriteHeader(h)
	case tree.Regular:
		if e.Link != "" && l.written[e.Link] {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, e.Link[1:], 0
			return l.tar.WriteHeader(h)
		}
		l.written[e.Path] = true
		return l.addFile(ctx, e, h)
	}
	now, err := l.root.Lstat(e.Path)
	if err != nil {
		return err
	}
	now.Xattrs = portable(now.Xattrs)
	if !now.Same(e) {
		return ErrNotAsPlanned
	}
	h.ModTime = now.ModTime.Truncate(time.Second)
	return l.tar.WriteHeader(h)
}

// maxBuffered is the largest file that is read into memory before it is written, in
// bytes. Such a file can be read again if it changes while it is read, whereas bytes that
// were written to the stream cannot be taken back.
const maxBuffered = 4 << 20

func (l *layerWriter) addFile(ctx context.Context, e tree.Entry, h *tar.Header) error {
	now, err := l.root.Lstat(e.Path)
	if err != nil {
		return err
	}
	now.Digest, now.Xattrs = e.Digest, portable(now.Xattrs) // the content is compared below
	if !now.Same(e) {
		return ErrNotAsPlanned
	}
	h.ModTime = now.ModTime.Truncate(time.Second)
	if e.Size > maxBuffered {
		if err := l.tar.WriteHeader(h); err != nil {
			return err
		}
		return l.copy(ctx, l.tar, e)
	}
	var content bytes.Buffer
	for range attempts {
		content.Reset()
		if err = l.copy(ctx, &content, e); !errors.Is(err, ErrNotAsPlanned) {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := l.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err = l.tar.Write(content.Bytes())
	return err
}

// copy copies a file, and fails if its content is not the surveyed one.
func (l *layerWriter) copy(ctx context.Context, w io.Writer, e tree.Entry) error {
	f, err := l.root.Open(e.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), rootfs.ContextReader(ctx, io.LimitReader(f, e.Size)))
	if err != nil {
		return err
	}
	// A file that has grown still begins with the surveyed content, so its end
	// must be checked, too.
	var more [1]byte
	if extra, _ := f.Read(more[:]); n != e.Size || extra > 0 || "sha256:"+hex.EncodeToString(sum.Sum(nil)) != e.Digest {
		return ErrNotAsPlanned
	}
	return nil
}

// headerOf returns the header of an entry, without its time and never as a hard
// link.
func headerOf(e tree.Entry) *tar.Header {
	e.Link, e.ModTime = "", time.Time{}
	h := image.Header(e)
	h.Size = e.Size
	return h
}
