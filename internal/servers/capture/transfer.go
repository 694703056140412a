package capture

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// WriteData writes the content of a data directory of a plan as a tar archive. It
// returns the entries that could not be archived or changed while they were read,
// so the services that write there should be stopped first. After an error the
// archive is not complete.
func WriteData(ctx context.Context, root *rootfs.Root, p Plan, dir string, w io.Writer) ([]tree.Unknown, error) {
	if !slices.ContainsFunc(p.Data, func(d Data) bool { return d.Path == dir }) {
		return nil, fmt.Errorf("write data %s: not a data directory of the plan", dir)
	}
	return root.Archive(ctx, w, dir, ".")
}

// DataOptions bounds the input of ReadData, see Data.Bounds. Zero stands for the
// default of rootfs.ExtractOptions.
type DataOptions struct {
	MaxEntries int
	MaxBytes   int64
}

// Bounds returns the size to which a directory may have grown since the plan was
// made: a quarter more, and some more for directories that were nearly empty.
func (d Data) Bounds() DataOptions {
	const mostEntries, mostBytes = 5_000_000, 1 << 40
	entries, size := min(max(d.Entries, 0), mostEntries), min(max(d.Bytes, 0), mostBytes)
	return DataOptions{min(entries+entries/4+10_000, mostEntries), min(size+size/4+1<<30, mostBytes)}
}

// ReadData unpacks the output of WriteData for a data directory into a directory of
// root that has its VolumeName, owner and mode. It refuses devices and names that
// lead out of the directory.
func ReadData(ctx context.Context, p Plan, dir string, root *rootfs.Root, r io.Reader, o DataOptions) error {
	top, ok := p.Packages.Files.Lookup(dir)
	if !ok {
		top, ok = p.Config.Files.Lookup(dir)
	}
	if !ok || top.Kind != tree.Directory {
		return fmt.Errorf("read data %s: no such directory in the plan", dir)
	}
	top.Path, top.Xattrs = "/"+VolumeName(dir), nil
	// Nobody else may enter before every file has its owner and mode.
	private := tree.Entry{Path: top.Path, Kind: tree.Directory, Mode: 0o700}
	if err := root.Put(ctx, private, nil); err != nil {
		return fmt.Errorf("read data %s: %w", dir, err)
	}
	if err := root.Extract(ctx, r, top.Path, rootfs.ExtractOptions{MaxEntries: o.MaxEntries, MaxBytes: o.MaxBytes}); err != nil {
		return fmt.Errorf("read data %s: %w", dir, err)
	}
	if err := root.Put(ctx, top, nil); err != nil {
		return fmt.Errorf("read data %s: %w", dir, err)
	}
	return nil
}
