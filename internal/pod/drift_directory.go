package pod

import (
	"context"
	"fmt"
	"os"

	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/image"
)

// DriftOfDirectory compares a directory with an image, file by file. The image is
// a file, or it is in the store of the engine that open opens, which only root can
// read, or in its registry.
func DriftOfDirectory(ctx context.Context, dir, ref string, open func(context.Context) (*Engine, error)) ([]inspect.Result, error) {
	root, err := rootfs.Open(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	img, done, err := openImage(ctx, ref, open)
	if err != nil {
		return nil, err
	}
	defer done()
	r, err := inspect.Root(ctx, root, img, image.FlattenOptions{})
	return []inspect.Result{{Name: dir, Report: r}}, err
}

// openImage opens an image from a file, the store or its registry.
func openImage(ctx context.Context, ref string, open func(context.Context) (*Engine, error)) (image.Image, func(), error) {
	if _, err := os.Stat(ref); err != nil && os.Geteuid() == 0 {
		e, err := open(ctx)
		if err != nil {
			return image.Image{}, nil, err
		}
		img, err := e.daemon.OpenImage(ctx, ref)
		if err == nil {
			return image.Image{Image: img}, func() { e.Close() }, nil
		}
		e.Close()
	}
	set, err := image.Open(ctx, ref, image.OpenOptions{})
	if err != nil {
		return image.Image{}, nil, err
	}
	img, err := set.Find("")
	if err != nil {
		set.Close()
		return image.Image{}, nil, fmt.Errorf("%s holds %w", ref, err)
	}
	return img, func() { set.Close() }, nil
}
