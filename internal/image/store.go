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

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// A store holds the files of an image layout by their relative names.
type store interface {
	// open returns a file's content and its size. The error wraps
	// fs.ErrNotExist if there is none.
	open(name string) (io.ReadCloser, int64, error)
	Close() error
}

// dirStore is a layout in a directory, which no link leads out of.
type dirStore struct{ *rootfs.Root }

func (s dirStore) open(name string) (io.ReadCloser, int64, error) {
	f, err := s.Open("/" + name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// tarStore is a layout in an uncompressed archive, read in place.
type tarStore struct {
	file  *os.File
	files map[string]section
	links map[string]string // old docker archives share layers so
}

type section struct{ offset, size int64 }

// maxStored is how many files an archive of images may have.
const maxStored = 100_000

// openTar indexes an archive. It takes ownership of the file.
func openTar(ctx context.Context, file *os.File) (*tarStore, error) {
	s := &tarStore{file: file, files: map[string]section{}, links: map[string]string{}}
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
	if len(s.files)+len(s.links) >= maxStored {
		return &LimitError{Limit: "files in an archive", Value: maxStored}
	}
	switch h.Typeflag {
	case tar.TypeReg:
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") {
				return fmt.Errorf("a sparse file: %w", ErrHostile)
			}
		}
		// The reader stands right before the content, for it reads no further.
		offset, err := s.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if _, twice := s.files[name]; twice {
			return fmt.Errorf("appears twice: %w", ErrHostile)
		}
		s.files[name] = section{offset, h.Size}
	case tar.TypeSymlink:
		s.links[name] = path.Join(path.Dir(name), h.Linkname)
	case tar.TypeLink:
		s.links[name] = path.Join("/", h.Linkname)
	}
	return nil
}

func (s *tarStore) open(name string) (io.ReadCloser, int64, error) {
	name = path.Join("/", name)
	if target, ok := s.links[name]; ok { // one link is all that docker writes
		name = target
	}
	at, ok := s.files[name]
	if !ok {
		return nil, 0, fmt.Errorf("open %s in archive: %w", name, fs.ErrNotExist)
	}
	return io.NopCloser(io.NewSectionReader(s.file, at.offset, at.size)), at.size, nil
}

func (s *tarStore) Close() error { return s.file.Close() }

// openFile opens an archive of images, which is decompressed to a file without
// a name if need be.
func openFile(ctx context.Context, name string, limits Limits) (_ *tarStore, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s: %w", name, rootfs.ErrNotRegular))
	}
	plain, compressed, err := decompress(f)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	if compressed {
		spooled, err := spool(ctx, plain, limits.Bytes)
		if err != nil {
			return nil, fmt.Errorf("decompress: %w", err)
		}
		f.Close()
		f = spooled
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return openTar(ctx, f)
}

// spool writes content to a temporary file that goes away with its descriptor.
func spool(ctx context.Context, src io.Reader, limit int64) (*os.File, error) {
	f, err := os.CreateTemp("", "adamant-image-*")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	var n int64
	if err == nil {
		n, err = io.Copy(f, io.LimitReader(ctxReader{ctx, src}, limit+1))
	}
	if err == nil && n > limit {
		err = &LimitError{Limit: "bytes", Value: limit}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ctxReader ends with its context.
type ctxReader struct {
	ctx context.Context
	io.Reader
}

func (r ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
