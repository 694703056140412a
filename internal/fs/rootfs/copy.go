package rootfs

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Copy copies a path from one root to another: into dst if that is a directory or
// ends with a slash, else as dst. It returns the entries that were not copied, or not
// completely: devices, sockets, files that could not be read or that are larger than the
// limits allow, and those that changed while they were read.
func Copy(ctx context.Context, from, to *Root, src, dst string, o ExtractOptions) ([]tree.Unknown, error) {
	src = path.Clean(src)
	dir, name := path.Split(path.Clean(dst))
	if strings.HasSuffix(dst, "/") || to.isDirectory(dst) {
		dir, name = dst, path.Base(src)
	}
	o.MaxBytes = cmp.Or(o.MaxBytes, defaultMaxBytes)
	r, w := io.Pipe()
	group, ctx := errgroup.WithContext(ctx)
	var unknown []tree.Unknown
	group.Go(func() (err error) {
		unknown, err = from.archive(ctx, w, src, name, archiver{plain: !o.Devices, pad: true, total: o.MaxBytes})
		w.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		err := to.Extract(ctx, r, path.Clean(dir), o)
		r.CloseWithError(err)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("copy %s: %w", src, err)
	}
	return unknown, nil
}

func (r *Root) isDirectory(name string) bool {
	canonical, exists, err := r.Resolve(path.Clean(name))
	if err != nil || !exists {
		return false
	}
	e, err := r.Lstat(canonical)
	return err == nil && e.Kind == tree.Directory
}
