package image

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/text"
)

// A Blob is one file of a layout or an archive. It can be read at any place, by
// several readers at once. Its digest has not been checked.
type Blob struct {
	io.ReaderAt
	Size  int64
	close func() error
}

// Reader reads the blob from its beginning.
func (b Blob) Reader() *io.SectionReader { return io.NewSectionReader(b.ReaderAt, 0, b.Size) }

// Close releases the blob.
func (b Blob) Close() error {
	if b.close == nil {
		return nil
	}
	return b.close()
}

// ErrBrokenLink is returned for a link whose target is not a file of the same layout or
// archive.
var ErrBrokenLink = errors.New("broken link")

func brokenLink(name, target string) error {
	return fmt.Errorf("%w: %s leads to %s, which is no file of it", ErrBrokenLink, name, text.Excerpt(target, maxPath))
}

// A store holds the files of a layout or an archive by their relative names.
type store interface {
	// open returns a file. The error wraps fs.ErrNotExist if there is none.
	open(name string) (Blob, error)
	Close() error
}

// dirStore is a layout in a directory, which no link leads out of.
type dirStore struct{ *rootfs.Root }

func (s dirStore) open(name string) (Blob, error) {
	f, err := s.Open("/" + name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return Blob{}, cmp.Or(s.brokenLink("/"+name), err)
	}
	if err != nil {
		return Blob{}, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return Blob{}, err
	}
	return Blob{f, info.Size(), f.Close}, nil
}

// brokenLink returns the error if a path leads through a symbolic link to nothing.
func (s dirStore) brokenLink(name string) error {
	for at := name; at != "/"; at = path.Dir(at) {
		target, err := s.Readlink(at)
		if err != nil {
			continue
		}
		if _, exists, err := s.Resolve(at); err != nil || !exists {
			return brokenLink(at, target)
		}
	}
	return nil
}

// tarStore is an uncompressed archive. It is read in place and never extracted, so
// that a name in it refers only to an offset in that file.
type tarStore struct {
	file  *os.File
	close func() error
	files map[string]section
	links map[string]string // old docker archives share layers so
}

type section struct{ offset, size int64 }

// maxStored bounds the files of an archive: an image of 1,000 layers has 1,003.
const maxStored = 100_000

// A seekingReader lets a tar reader skip the content of files.
type seekingReader struct {
	io.Reader
	io.Seeker
}

// indexTar finds the offsets of the files in an archive.
func indexTar(ctx context.Context, file *os.File) (*tarStore, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	s := &tarStore{file: file, close: file.Close, files: map[string]section{}, links: map[string]string{}}
	archive := tar.NewReader(seekingReader{rootfs.ContextReader(ctx, file), file})
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := archive.Next()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read archive: %w", err)
		}
		if err := s.add(h); err != nil {
			return nil, fmt.Errorf("read archive: entry %q: %w", h.Name, err)
		}
	}
}

func (s *tarStore) add(h *tar.Header) error {
	name, err := cleanName(h.Name, 16)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeSymlink, tar.TypeLink:
	case tar.TypeGNUSparse:
		return fmt.Errorf("a sparse file: %w", ErrHostile)
	default:
		return nil
	}
	if len(s.files)+len(s.links) >= maxStored {
		return &LimitError{Limit: "files in an archive", Value: maxStored}
	}
	// Readers use different files if two have the same name: containerd, and tools
	// that extract the archive, use the last one, but a reader that streams the
	// archive has already used the first one.
	_, isFile := s.files[name]
	if _, isLink := s.links[name]; isFile || isLink {
		return fmt.Errorf("appears twice: %w", ErrHostile)
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		if s.links[name] = path.Clean(h.Linkname); !path.IsAbs(h.Linkname) {
			s.links[name] = path.Join(path.Dir(name), h.Linkname)
		}
		return nil
	case tar.TypeLink:
		s.links[name] = path.Join("/", h.Linkname)
		return nil
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return fmt.Errorf("a sparse file: %w", ErrHostile)
		}
	}
	// The tar reader reads no further than the header, so that the file's position
	// is where the content begins.
	offset, err := s.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	s.files[name] = section{offset, h.Size}
	return nil
}

func (s *tarStore) open(name string) (Blob, error) {
	name = path.Join("/", name)
	file := name
	if target, isLink := s.links[name]; isLink {
		file = target
	}
	at, ok := s.files[file]
	if !ok {
		return Blob{}, cmp.Or(s.brokenLink(name), fmt.Errorf("open %s in archive: %w", name, fs.ErrNotExist))
	}
	return Blob{ReaderAt: io.NewSectionReader(s.file, at.offset, at.size), Size: at.size}, nil
}

// brokenLink returns the error for a path that is a link, or below one. A link to a link
// is broken, too: docker writes none, and containerd does not follow it.
func (s *tarStore) brokenLink(name string) error {
	for at := name; at != "/"; at = path.Dir(at) {
		if target, isLink := s.links[at]; isLink {
			return brokenLink(at, target)
		}
	}
	return nil
}

func (s *tarStore) Close() error { return s.close() }

// openArchive opens an archive by its name.
func openArchive(ctx context.Context, name string, opts OpenOptions) (*tarStore, error) {
	// Opening a FIFO would otherwise wait for its writer.
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeNamedPipe == 0 {
		err = fmt.Errorf("%s: %w", name, rootfs.ErrNotRegular)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	s, err := readArchive(ctx, f, opts)
	if err != nil || s.file != f {
		f.Close()
	}
	return s, err
}

// readArchive reads an archive. Its blobs are read in any order, so one that is
// compressed or comes through a pipe is written to a temporary file first. An archive
// that is read in place owns the file of r.
func readArchive(ctx context.Context, r io.Reader, opts OpenOptions) (*tarStore, error) {
	f, isFile := r.(*os.File)
	inPlace := isFile && isAtStart(f)
	plain, compressed, err := Decompress(interruptible(ctx, r))
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	defer plain.Close()
	if inPlace && !compressed {
		return indexTar(ctx, f)
	}
	spooled, err := spool(ctx, plain, opts)
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	s, err := indexTar(ctx, spooled)
	if err != nil {
		spooled.Close()
	}
	return s, err
}

// interruptible returns a reader of r that fails soon after ctx ends, also while it
// waits for a pipe or a terminal.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	f, isFile := r.(*os.File)
	if !isFile {
		return rootfs.ContextReader(ctx, r)
	}
	if info, err := f.Stat(); err != nil || info.Mode().IsRegular() {
		return rootfs.ContextReader(ctx, r)
	}
	return polledReader{ctx, f}
}

// A polledReader reads a file that may block.
type polledReader struct {
	ctx context.Context
	*os.File
}

func (r polledReader) Read(p []byte) (int, error) {
	const interval = 100 // ms
	raw, err := r.SyscallConn()
	if err != nil {
		return 0, err
	}
	for {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		ready, pollErr := 0, error(nil)
		err := raw.Control(func(fd uintptr) {
			ready, pollErr = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, interval)
		})
		if err = cmp.Or(err, pollErr); err != nil && !errors.Is(err, unix.EINTR) {
			return 0, err
		}
		if ready > 0 {
			return r.File.Read(p)
		}
	}
}

// isAtStart reports whether a file is a regular one of which nothing was read.
func isAtStart(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	at, err := f.Seek(0, io.SeekCurrent)
	return err == nil && at == 0
}

// spool writes content to a temporary file without a name, so that no file is left if
// the process is killed.
func spool(ctx context.Context, src io.Reader, opts OpenOptions) (*os.File, error) {
	f, err := unnamedFile(opts.Scratch)
	if err != nil {
		return nil, err
	}
	limit := opts.Limits.Bytes
	content := io.LimitReader(src, limit+1)
	// The struct hides File.ReadFrom, which would ignore the large buffer.
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, content, make([]byte, 1<<20))
	if err == nil && n > limit {
		err = &LimitError{Limit: "bytes", Value: limit}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func unnamedFile(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil || !errors.Is(err, unix.EOPNOTSUPP) {
		return f, err
	}
	if f, err = os.CreateTemp(dir, "adamant-image-*"); err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
