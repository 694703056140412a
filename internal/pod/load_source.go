package pod

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

// A NotOneImageError is returned by LoadSource if a name was given for a source
// that does not have exactly one image.
type NotOneImageError struct {
	Source string
	Images int
}

// Error returns the number of images.
func (e *NotOneImageError) Error() string {
	return fmt.Sprintf("%s holds %d images", e.Source, e.Images)
}

// LoadSource loads all images of a source for this machine: an OCI layout (a
// directory or an archive) or a docker archive, which may be compressed with gzip
// or zstd, "-" for an archive that is read from stdin, or a reference of an image
// in a registry. After an error none of the images of an archive is left. With
// LoadOptions.Name the source must have one image, which gets that name too.
func (e *Engine) LoadSource(ctx context.Context, source string, stdin io.Reader, o LoadOptions) ([]Image, error) {
	images, err := e.loadSource(ctx, source, stdin, o)
	if err != nil || o.Name == "" {
		return images, err
	}
	if len(images) != 1 {
		return nil, &NotOneImageError{source, len(images)}
	}
	tagged, err := e.daemon.Tag(ctx, images[0].ID.String(), o.Name)
	return []Image{tagged}, err
}

func (e *Engine) loadSource(ctx context.Context, source string, stdin io.Reader, o LoadOptions) ([]Image, error) {
	if source == "-" {
		return e.daemon.ImportReader(ctx, stdin, o)
	}
	_, err := os.Stat(source)
	if err == nil {
		return e.daemon.Import(ctx, source, o)
	}
	if looksLikeFile(source) {
		return nil, err
	}
	image, err := e.daemon.Pull(ctx, source)
	return []Image{image}, err
}

// looksLikeFile reports whether a source that does not exist is a file rather than
// the reference of an image.
func looksLikeFile(s string) bool {
	return strings.HasPrefix(s, ".") || strings.HasPrefix(s, "/") || strings.HasSuffix(s, ".tar") || strings.HasSuffix(s, "gz")
}
