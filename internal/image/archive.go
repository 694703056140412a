package image

import (
	"archive/tar"
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

// indexTar finds the offsets of the files in an archive.
func indexTar(ctx context.Context, file *os.File) (*tarStore, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	s := &tarStore{file: file, close: file.Close, files: map[string]section{}, links: map[string]string{}}
	archive := tar.NewReader(file)
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
		s.links[name] = path.Join(path.Dir(name), h.Linkname)
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
	if target, ok := s.links[name]; ok { // docker writes no link to a link
		name = target
	}
	at, ok := s.files[name]
	if !ok {
		return Blob{}, fmt.Errorf("open %s in archive: %w", name, fs.ErrNotExist)
	}
	return Blob{ReaderAt: io.NewSectionReader(s.file, at.offset, at.size), Size: at.size}, nil
}

func (s *tarStore) Close() error { return s.close() }

// openArchive opens an archive by its name.
func openArchive(ctx context.Context, name string, opts OpenOptions) (*tarStore, error) {
	f, err := os.Open(name)
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
	plain, compressed, err := Decompress(r)
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
	content := io.LimitReader(rootfs.ContextReader(ctx, src), limit+1)
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
