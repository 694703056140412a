package image

import (
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Paced returns an image that calls pace with the size of each part of a blob that was read.
// It may wait, to leave the disk and the processors to others. If it is nil, the image is
// returned as it is.
func Paced(img v1.Image, pace func(size int64)) v1.Image {
	if pace == nil {
		return img
	}
	return pacedImage{img, pace}
}

type pacedImage struct {
	v1.Image
	pace func(int64)
}

func (i pacedImage) Layers() ([]v1.Layer, error) {
	layers, err := i.Image.Layers()
	list := make([]v1.Layer, len(layers))
	for n, l := range layers {
		list[n] = pacedLayer{l, i.pace}
	}
	return list, err
}

type pacedLayer struct {
	v1.Layer
	pace func(int64)
}

func (l pacedLayer) Compressed() (io.ReadCloser, error) {
	r, err := l.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	return pacedReader{r, l.pace}, nil
}

type pacedReader struct {
	io.ReadCloser
	pace func(int64)
}

// Read waits after it has read, because only then the number of bytes is known.
func (r pacedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.pace(int64(n))
	return n, err
}
