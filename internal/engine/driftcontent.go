package engine

import (
	"bytes"
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/adamant-sh/adamant/internal/image"
)

// openInImage opens one file of an image. It reads through the layers for it,
// which only the few files that changed are worth.
func openInImage(ctx context.Context, img v1.Image, path string) (io.ReadCloser, error) {
	data, err := image.ReadFile(ctx, img, path)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}
