package rootfs

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// ErrSocket is returned for a socket, which an archive cannot hold.
var ErrSocket = errors.New("a socket cannot be archived")

// Archive writes a tar archive, in PAX format, of a path and everything below
// it. Symbolic links are followed within the root, but not in the last
// component. In the archive the path is called name, or by its last component
// if that is empty; "." makes an archive of the content of a directory.
//
// Files that could not be archived are omitted, and files that changed while they
// were read are in the archive as they were read; both are among the unknowns.
// After an error the archive is incomplete.
func (r *Root) Archive(ctx context.Context, w io.Writer, from, name string) ([]tree.Unknown, error) {
	unknown, err := r.archive(ctx, w, from, name, archiver{})
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", from, err)
	}
	return unknown, nil
}

// maxArchived bounds the paths and extended attributes in an archive, in bytes.
const maxArchived = 256 << 20

// archive is Archive with the options of a.
func (r *Root) archive(ctx context.Context, w io.Writer, from, name string, a archiver) ([]tree.Unknown, error) {
	from = path.Clean("/" + from)
	dir, _, err := r.Resolve(path.Dir(from))
	if err != nil {
		return nil, err
	}
	if from != "/" {
		from = path.Join(dir, path.Base(from))
	}
	name = cmp.Or(name, strings.TrimPrefix(path.Base(from), "/"), ".")
	t, unknown, err := r.Walk(ctx, WalkOptions{Path: from, MaxBytes: maxArchived})
	if err != nil {
		return nil, err
	}
	a.root, a.tar, a.from, a.name, a.written, a.unknown = r, tar.NewWriter(w), from, name, map[string]string{}, unknown
	for e := range t.All() {
		if err := a.add(ctx, e); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return a.unknown, a.tar.Close()
}

type archiver struct {
	root    *Root
	tar     *tar.Writer
	from    string
	name    string
	written map[string]string // names in the archive of files with several, by Entry.Link
	unknown []tree.Unknown
	pad     bool  // a file whose end cannot be read is filled with zeros, not an error
	max     int64 // of a file, in bytes; no limit if zero
	total   int64 // of all files, in bytes; no limit if zero
	bytes   int64 // of the files so far
	plain   bool  // devices are unknowns, with ErrDevice
}

// ErrDevice is returned for a device, which is not copied.
var ErrDevice = errors.New("a device is not copied")

func (a *archiver) add(ctx context.Context, e tree.Entry) error {
	for name := range e.Xattrs {
		if strings.Contains(name, "=") { // PAX cannot name it
			a.omit(e, fmt.Errorf("extended attribute %q: %w", name, errors.ErrUnsupported))
			delete(e.Xattrs, name)
		}
	}
	h := Header(e, path.Join(a.name, "./"+strings.TrimPrefix(e.Path, a.from)))
	switch e.Kind {
	case tree.Socket:
		a.omit(e, ErrSocket)
		return nil
	case tree.CharDevice, tree.BlockDevice:
		if a.plain {
			a.omit(e, ErrDevice)
			return nil
		}
	case tree.Regular:
		if first, ok := a.written[e.Link]; ok && e.Link != "" {
			h.Typeflag, h.Linkname = tar.TypeLink, first
			break
		}
		return a.addFile(ctx, e, h)
	}
	return a.tar.WriteHeader(h)
}

// addFile writes a file as large as it is when it is opened.
func (a *archiver) addFile(ctx context.Context, e tree.Entry, h *tar.Header) error {
	f, before, err := a.root.openFile(e.Path, refuseLinks)
	if err != nil {
		a.omit(e, err)
		return nil
	}
	defer f.Close()
	h.Size = int64(before.Size)
	if left := a.total - a.bytes; a.total > 0 && h.Size > left {
		a.omit(e, fmt.Errorf("%d bytes: %w of %d that are left", h.Size, tree.ErrTooLarge, left))
		return nil
	}
	a.bytes += h.Size
	if a.max > 0 { // the file may have grown since lstat
		h.Size = min(h.Size, a.max)
	}
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	content := &endReader{src: f}
	n, err := io.Copy(a.tar, io.LimitReader(ContextReader(ctx, content), h.Size))
	switch {
	case n < h.Size && a.pad && ctx.Err() == nil && (err == nil || content.err != nil):
		return a.fill(e, h.Size-n, content.err)
	case err != nil:
		return err
	case n < h.Size:
		return fmt.Errorf("shrank from %d to %d bytes: %w", h.Size, n, tree.ErrChanged)
	}
	if e.Link != "" {
		a.written[e.Link] = h.Name
	}
	return a.noteChange(f, e, &before)
}

// omit records that an entry, or a part of it, is not in the archive.
func (a *archiver) omit(e tree.Entry, why error) {
	a.unknown = append(a.unknown, tree.Unknown{Path: e.Path, Err: why})
}

// An endReader keeps the error that ended the reading, other than io.EOF.
type endReader struct {
	src io.Reader
	err error
}

func (r *endReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// errHasMore is returned for a file that has more content than its size, such as those
// of /proc.
var errHasMore = errors.New("has more content than its size")

func (a *archiver) noteChange(f *os.File, e tree.Entry, before *status) error {
	after, err := statFD(int(f.Fd()))
	if err != nil {
		return err
	}
	switch n, _ := f.ReadAt(make([]byte, 1), int64(before.Size)); {
	case !before.unchanged(&after):
		a.omit(e, tree.ErrChanged)
	case n > 0:
		a.omit(e, errHasMore)
	}
	return nil
}

var typeflags = map[tree.Kind]byte{
	tree.Regular: tar.TypeReg, tree.Directory: tar.TypeDir, tree.Symlink: tar.TypeSymlink,
	tree.CharDevice: tar.TypeChar, tree.BlockDevice: tar.TypeBlock, tree.FIFO: tar.TypeFifo,
}

// Header describes an entry under a name, in PAX format. The caller sets the size.
// Link is ignored.
func Header(e tree.Entry, name string) *tar.Header {
	h := &tar.Header{
		Format: tar.FormatPAX, Typeflag: typeflags[e.Kind], Name: name, Mode: int64(e.Mode), Uid: int(e.UID), Gid: int(e.GID),
		ModTime: e.ModTime, Linkname: e.Target, Devmajor: int64(e.Major), Devminor: int64(e.Minor),
	}
	if h.ModTime.IsZero() {
		h.ModTime = time.Unix(0, 0)
	}
	for name, value := range e.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[XattrRecord+name] = value
	}
	if e.Kind == tree.Directory {
		h.Name += "/"
	}
	return h
}
