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
	"path"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// ErrNotAsPlanned is returned if something changed after the survey.
var ErrNotAsPlanned = errors.New("is not as it was surveyed: survey the server again")

// WriteLayer writes a layer of a plan as a tar archive. What the plan lists is
// written exactly so, in its order, or the error says what changed since then;
// the archive has no end in that case. Directories have no time, for theirs
// changes with what is left out of them, and the times of files are whole
// seconds: an unchanged server gives equal bytes.
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

// expected is all that the archive of a layer has: its own files, the
// directories that are made, and those of the lower layer that lead there, since
// some runtimes make up what a layer does not say.
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
	for _, at := range sortedKeys(byPath) {
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
	delete(byPath, "/") // runtimes make their own
	entries := make([]tree.Entry, 0, len(byPath))
	for _, e := range byPath {
		entries = append(entries, e)
	}
	return tree.New(entries)
}

type layerWriter struct {
	root    *rootfs.Root
	tar     *tar.Writer
	written map[string]bool // files, for hard links to them
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
// bytes. It can be read again if it changes during that, but what is written to the
// stream cannot be taken back.
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

// copy copies exactly the content that was surveyed.
func (l *layerWriter) copy(ctx context.Context, w io.Writer, e tree.Entry) error {
	f, err := l.root.Open(e.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), contextReader{ctx, io.LimitReader(f, e.Size)})
	if err != nil {
		return err
	}
	var more [1]byte
	if extra, _ := f.Read(more[:]); n != e.Size || extra > 0 || "sha256:"+hex.EncodeToString(sum.Sum(nil)) != e.Digest {
		return ErrNotAsPlanned
	}
	return nil
}

// headerOf describes an entry without its time, and none as a link to another.
func headerOf(e tree.Entry) *tar.Header {
	e.Link, e.ModTime = "", time.Time{}
	h := image.Header(e)
	h.Size = e.Size
	return h
}
