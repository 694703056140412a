package rootfs

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// AppendPaths writes single entries of the root to an archive, with names below prefix.
// It writes directories without their entries, follows no symbolic links, and does not
// read mounts in the root. Regular files count against limit, in bytes. The unknowns are
// files that exceed the rest of the limit, with ErrTooLarge, and entries that could not
// be read or changed while they were read.
func (r *Root) AppendPaths(ctx context.Context, w *tar.Writer, prefix string, paths []string, limit int64) ([]tree.Unknown, error) {
	_, top, err := r.lstat("/", refuseLinks)
	if err != nil {
		return nil, err
	}
	a := archiver{root: r, tar: w, from: "/", name: path.Clean(prefix), written: map[string]string{}, pad: true}
	for _, p := range paths {
		e, st, err := r.lstat(p, refuseLinks)
		switch {
		case err == nil && st.Mnt_id != top.Mnt_id:
			err = tree.ErrMounted
		case err == nil && e.Kind == tree.Regular && e.Size > limit:
			err = fmt.Errorf("%d bytes: %w of %d that are left", e.Size, tree.ErrTooLarge, limit)
		}
		if err != nil {
			a.unknown = append(a.unknown, tree.Unknown{Path: p, Err: err})
			continue
		}
		if e.Kind == tree.Regular {
			a.max = limit
			limit -= e.Size
		}
		if err := a.add(ctx, e); errors.Is(err, tar.ErrFieldTooLong) {
			// The format has at most 1 MiB for names and extended attributes. Nothing of
			// the entry was written.
			a.unknown = append(a.unknown, tree.Unknown{Path: p, Err: err})
		} else if err != nil {
			return a.unknown, fmt.Errorf("%s: %w", p, err)
		}
	}
	return a.unknown, nil
}

// fill writes n zero bytes in place of the end of a file, which shrank while it was
// read or could not be read because of an error. The header with its size has already
// been written.
func (a *archiver) fill(e tree.Entry, n int64, why error) error {
	a.omit(e, fmt.Errorf("%w: its last %d bytes are made up", cmp.Or(why, tree.ErrChanged), n))
	_, err := io.CopyN(a.tar, zeros{}, n)
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
