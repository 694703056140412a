package image

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// maxFile is the size in bytes up to which ReadFiles returns a file: it is for
// configuration, not for data.
const maxFile = 16 << 20

// ReadFiles returns the content of several files of an image as a container on
// overlayfs sees them, following symbolic links inside the image. The keys of
// the result are the paths as they were given; files that do not exist are omitted. It
// is an error if a path is not a regular file or has more than 16 MiB. The layers are
// read at most twice, regardless of the number of paths.
func ReadFiles(ctx context.Context, img v1.Image, paths ...string) (map[string][]byte, error) {
	f, _, err := OpenRootfs(ctx, img, FlattenOptions{NoContent: true})
	if err != nil {
		return nil, err
	}
	return f.Read(ctx, paths...)
}

// A Rootfs is the root file system of a new container of an image, with the locations
// of the content of its files.
type Rootfs struct {
	img  v1.Image
	flat *flat
}

// OpenRootfs flattens an image as Flatten does, and keeps the locations of the content
// of files.
func OpenRootfs(ctx context.Context, img v1.Image, opts FlattenOptions) (*Rootfs, []Finding, error) {
	f, err := flatten(ctx, img, opts)
	if err != nil {
		return nil, nil, fmt.Errorf("flatten image: %w", err)
	}
	return &Rootfs{img, f}, f.findings, nil
}

// Tree is the root file system that a container of the image starts with.
func (f *Rootfs) Tree() tree.Tree { return f.flat.tree }

// Read returns the content of files, as ReadFiles does.
func (f *Rootfs) Read(ctx context.Context, paths ...string) (map[string][]byte, error) {
	for _, name := range paths {
		e, _, err := f.lookup(name)
		if err == nil && e.Size > maxFile {
			err = fmt.Errorf("%s: %d bytes: %w of %d", e.Path, e.Size, tree.ErrTooLarge, maxFile)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s in image: %w", name, err)
		}
	}
	var mu sync.Mutex
	contents := map[string][]byte{}
	err := f.Each(ctx, paths, func(names []string, content io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(content, maxFile))
		mu.Lock()
		defer mu.Unlock()
		for _, name := range names {
			contents[name] = data
		}
		return err
	})
	return contents, err
}

// Each calls visit with the content of each file and all of its paths in paths,
// following symbolic links inside the image. Files that do not exist are omitted; a path
// that is not a regular file is an error. Only the layers that have one of the files are
// read, in parallel: visit is called concurrently.
func (f *Rootfs) Each(ctx context.Context, paths []string, visit func(paths []string, content io.Reader) error) error {
	wanted := map[int]map[int][]string{} // paths by layer and ordinal
	for _, name := range paths {
		e, ok, err := f.lookup(name)
		if err != nil {
			return fmt.Errorf("read %s in image: %w", name, err)
		}
		if !ok {
			continue
		}
		at := f.flat.inodes[f.flat.tree.Index(e.Path)].origin
		if wanted[at.layer] == nil {
			wanted[at.layer] = map[int][]string{}
		}
		wanted[at.layer][at.ordinal] = append(wanted[at.layer][at.ordinal], name)
	}
	sources, err := sourcesOf(f.img, Limits{}.withDefaults())
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for layer, ordinals := range wanted {
		group.Go(func() error {
			if err := sources[layer].visit(ctx, ordinals, visit); err != nil {
				return layerError(sources[layer].layer, layer, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// lookup finds the regular file that a path leads to.
func (f *Rootfs) lookup(name string) (tree.Entry, bool, error) {
	canonical, exists, err := f.flat.tree.Resolve(name)
	if err != nil || !exists {
		return tree.Entry{}, false, err
	}
	e, _ := f.flat.tree.Lookup(canonical)
	if e.Kind != tree.Regular {
		return e, false, fmt.Errorf("%s: a %s: %w", canonical, e.Kind, rootfs.ErrNotRegular)
	}
	return e, true, nil
}

// visit visits the content of the entries with the given ordinals, with all the
// names each of them is wanted by.
func (s source) visit(ctx context.Context, wanted map[int][]string, visit func([]string, io.Reader) error) error {
	ordinal := 0
	return s.each(ctx, func(_ *tar.Header, content io.Reader) error {
		names := wanted[ordinal]
		ordinal++
		if names == nil {
			return nil
		}
		return visit(names, content)
	})
}
