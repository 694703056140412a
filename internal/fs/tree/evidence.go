package tree

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"path"
)

// Escape writes a path or name as the encoding of a tree does: every byte that
// is not a printing ASCII character, and the backslash, is \xHH.
func Escape(name string) string { return string(appendEscaped(nil, name)) }

// AppendPaths writes single entries of the root to an archive, each without
// what is below it and named by its path below prefix. No symbolic link is
// followed and nothing that is mounted in the root is read. Regular files count
// against limit, in bytes; one that exceeds what is left is an Unknown with
// ErrTooLarge, and so is whatever could not be read or changed meanwhile.
func (r *Root) AppendPaths(ctx context.Context, w *tar.Writer, prefix string, paths []string, limit int64) ([]Unknown, error) {
	_, top, err := r.lstat("/", refuseLinks)
	if err != nil {
		return nil, err
	}
	a := archiver{root: r, tar: w, from: "/", name: path.Clean(prefix), written: map[string]string{}, pad: true}
	for _, p := range paths {
		e, st, err := r.lstat(p, refuseLinks)
		switch {
		case err == nil && st.Mnt_id != top.Mnt_id:
			err = ErrMounted
		case err == nil && e.Kind == Regular && e.Size > limit:
			err = fmt.Errorf("%d bytes: %w of %d that are left", e.Size, ErrTooLarge, limit)
		}
		if err != nil {
			a.unknown = append(a.unknown, Unknown{Path: p, Err: err})
			continue
		}
		if e.Kind == Regular {
			a.max = limit
			limit -= e.Size
		}
		if err := a.add(ctx, e); err != nil {
			return a.unknown, fmt.Errorf("%s: %w", p, err)
		}
	}
	return a.unknown, nil
}

// fill makes up for the n bytes by which a file shrank while it was read, for
// which the archive has its place already.
func (a *archiver) fill(e Entry, n int64) error {
	a.unknown = append(a.unknown, Unknown{Path: e.Path, Err: fmt.Errorf("%w: its last %d bytes are made up", ErrChanged, n)})
	_, err := io.CopyN(a.tar, zeros{}, n)
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
