package containerd

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// A blob is one file of an archive or layout. It is read at any place, by
// several readers at once.
type blob struct {
	io.ReaderAt
	size  int64
	close func() error
}

func (b blob) reader() *io.SectionReader { return io.NewSectionReader(b.ReaderAt, 0, b.size) }

// A source is the files of an image archive, by path.
type source interface {
	// open returns a regular file; the error is fs.ErrNotExist if there is none.
	open(name string) (blob, error)
	close() error
}

// maxFiles bounds the files of an archive: an image of 1,000 layers has 1,003.
const maxFiles = 100_000

// openSource opens a directory or an archive, compressed or not.
func openSource(ctx context.Context, name, scratch string) (source, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		root, err := os.OpenRoot(name)
		if err != nil {
			return nil, err
		}
		return dirSource{root}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	s, err := readSource(ctx, f, scratch)
	if t, ok := s.(*tarSource); err != nil || !ok || t.file != f {
		f.Close()
	}
	return s, err
}

// readSource reads an archive from r. One that is compressed, or comes
// through a pipe, is written to a file without a name in scratch first.
func readSource(ctx context.Context, r io.Reader, scratch string) (source, error) {
	if f, ok := r.(*os.File); ok && seekable(f) {
		return indexTar(ctx, f)
	}
	plain, err := plainReader(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	defer plain.Close()
	f, err := os.OpenFile(scratch, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, plain, make([]byte, 1<<20)); err != nil {
		f.Close()
		return nil, fmt.Errorf("read archive: %w", err)
	}
	s, err := indexTar(ctx, f)
	if err != nil {
		f.Close()
	}
	return s, err
}

// seekable tells whether an archive can be read where it lies.
func seekable(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	if at, err := f.Seek(0, io.SeekCurrent); err != nil || at != 0 {
		return false
	}
	head := make([]byte, 4)
	n, err := f.ReadAt(head, 0)
	return (err == nil || err == io.EOF) && !compressed(head[:n])
}

var (
	gzipMagic = "\x1f\x8b"
	zstdMagic = "\x28\xb5\x2f\xfd"
)

func compressed(head []byte) bool {
	return strings.HasPrefix(string(head), gzipMagic) || strings.HasPrefix(string(head), zstdMagic)
}

// plainReader decompresses what is compressed with gzip or zstd.
func plainReader(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(contextReader{ctx, r}, 1<<20)
	head, err := buffered.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case strings.HasPrefix(string(head), gzipMagic):
		return gzip.NewReader(buffered)
	case strings.HasPrefix(string(head), zstdMagic):
		d, err := zstd.NewReader(buffered, zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(buffered), nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// A tarSource is an archive in a file, never extracted: a name in it leads
// nowhere but to a place in that file.
type tarSource struct {
	file     *os.File
	sections map[string]section
	links    map[string]string
}

type section struct{ offset, size int64 }

func indexTar(ctx context.Context, f *os.File) (source, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	s := &tarSource{file: f, sections: map[string]section{}, links: map[string]string{}}
	r := tar.NewReader(f)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := r.Next()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read archive: %w", err)
		}
		if len(s.sections)+len(s.links) >= maxFiles {
			return nil, fmt.Errorf("read archive: more than %d files", maxFiles)
		}
		if err := s.add(h); err != nil {
			return nil, err
		}
	}
}

// add notes where an entry's content lies: the reader leaves the file there.
func (s *tarSource) add(h *tar.Header) error {
	name := path.Clean("/" + h.Name)
	switch h.Typeflag {
	case tar.TypeReg:
		if _, sparse := h.PAXRecords["GNU.sparse.map"]; sparse {
			return fmt.Errorf("read archive: %s is sparse", h.Name)
		}
		offset, err := s.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		s.sections[name] = section{offset, h.Size}
	case tar.TypeSymlink: // old docker archives link equal layers
		s.links[name] = path.Join(path.Dir(name), h.Linkname)
	case tar.TypeLink:
		s.links[name] = path.Clean("/" + h.Linkname)
	}
	return nil
}

func (s *tarSource) open(name string) (blob, error) {
	name = path.Clean("/" + name)
	if target, ok := s.links[name]; ok { // of a link to a link nothing is known to write
		name = target
	}
	at, ok := s.sections[name]
	if !ok {
		return blob{}, &fs.PathError{Op: "open", Path: strings.TrimPrefix(name, "/"), Err: fs.ErrNotExist}
	}
	return blob{io.NewSectionReader(s.file, at.offset, at.size), at.size, func() error { return nil }}, nil
}

func (s *tarSource) close() error { return s.file.Close() }

// A dirSource is an OCI layout as a directory. Links in it cannot lead out.
type dirSource struct{ root *os.Root }

func (s dirSource) open(name string) (blob, error) {
	f, err := s.root.OpenFile(path.Clean(name), os.O_RDONLY|unix.O_NONBLOCK, 0) // a fifo must not hold us
	if err != nil {
		return blob{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		f.Close()
		return blob{}, err
	}
	return blob{f, info.Size(), f.Close}, nil
}

func (s dirSource) close() error { return s.root.Close() }

// maxDocument bounds a manifest, index or configuration, in bytes.
const maxDocument = 8 << 20

// readDocument reads a small file of a source as a whole.
func readDocument(s source, name string) ([]byte, error) {
	b, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer b.close()
	if b.size > maxDocument {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, b.size, maxDocument)
	}
	raw := make([]byte, b.size)
	if _, err := io.ReadFull(b.reader(), raw); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, errors.Join(err))
	}
	return raw, nil
}
