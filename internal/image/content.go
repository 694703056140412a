package image

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/tree"
)

// maxFile is the size in bytes up to which ReadFiles returns a file: it is for
// configuration, not for data.
const maxFile = 16 << 20

// ReadFile returns the content of one file of an image as a container sees it:
// see ReadFiles. The error wraps fs.ErrNotExist if there is none.
func ReadFile(ctx context.Context, img v1.Image, path string) ([]byte, error) {
	files, err := ReadFiles(ctx, img, path)
	if err != nil {
		return nil, err
	}
	content, ok := files[path]
	if !ok {
		return nil, fmt.Errorf("read %s in image: %w", path, fs.ErrNotExist)
	}
	return content, nil
}

// ReadFiles returns the content of several files of an image as a container on
// overlayfs sees them, following symbolic links inside the image. The keys of
// the result are the paths as they were given; what does not exist is left
// out. Something that is not a regular file, or one of more than 16 MiB, is an
// error. It reads the layers twice at most, however many the paths are.
func ReadFiles(ctx context.Context, img v1.Image, paths ...string) (map[string][]byte, error) {
	f, err := flatten(ctx, img, FlattenOptions{NoContent: true})
	if err != nil {
		return nil, fmt.Errorf("flatten image: %w", err)
	}
	wanted := map[int]map[int][]string{} // paths by layer and ordinal
	for _, name := range paths {
		at, ok, err := f.origin(name)
		if err != nil {
			return nil, fmt.Errorf("read %s in image: %w", name, err)
		}
		if !ok {
			continue
		}
		if wanted[at.layer] == nil {
			wanted[at.layer] = map[int][]string{}
		}
		wanted[at.layer][at.ordinal] = append(wanted[at.layer][at.ordinal], name)
	}
	return readWanted(ctx, img, wanted)
}

// origin finds where the content of a file is.
func (f *flat) origin(name string) (origin, bool, error) {
	canonical, exists, err := f.tree.Resolve(name)
	if err != nil || !exists {
		return origin{}, false, err
	}
	e, _ := f.tree.Lookup(canonical)
	switch {
	case e.Kind != tree.Regular:
		return origin{}, false, fmt.Errorf("%s: a %s: %w", canonical, e.Kind, tree.ErrNotRegular)
	case e.Size > maxFile:
		return origin{}, false, fmt.Errorf("%s: %d bytes: %w of %d", canonical, e.Size, tree.ErrTooLarge, maxFile)
	}
	return f.inodes[f.tree.Index(canonical)].origin, true, nil
}

// readWanted reads the wanted entries of each layer.
func readWanted(ctx context.Context, img v1.Image, wanted map[int]map[int][]string) (map[string][]byte, error) {
	sources, err := sourcesOf(img, Limits{}.withDefaults())
	if err != nil {
		return nil, err
	}
	parts := make([]map[string][]byte, len(sources))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for layer, ordinals := range wanted {
		group.Go(func() error {
			var err error
			if parts[layer], err = sources[layer].contents(ctx, ordinals); err != nil {
				return layerError(sources[layer].layer, layer, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, part := range parts {
		for name, content := range part {
			files[name] = content
		}
	}
	return files, nil
}

// contents returns the content of the entries with the given ordinals, under
// all the names each of them is wanted by.
func (s source) contents(ctx context.Context, wanted map[int][]string) (map[string][]byte, error) {
	files := map[string][]byte{}
	ordinal := 0
	err := s.each(ctx, func(_ *tar.Header, content io.Reader) error {
		names := wanted[ordinal]
		ordinal++
		if names == nil {
			return nil
		}
		data, err := io.ReadAll(io.LimitReader(content, maxFile))
		for _, name := range names {
			files[name] = data
		}
		return err
	})
	return files, err
}
