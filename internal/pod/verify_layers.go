package pod

import (
	"context"
	"errors"
	"strings"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// DriftOptions configures the comparison of containers. The zero value compares all
// containers with their unpacked images.
type DriftOptions struct {
	Namespace string // of the pods; empty for all
	Container string // name of the only container of a pod to compare
	// VerifyLayers compares the unpacked layers with the image's digests too. It reads
	// all of the image.
	VerifyLayers bool
	// Volumes lists the programs in volumes too, see inspect.Programs.
	Volumes  bool
	PodsOnly bool // names are those of pods, and not of other containers
}

var errNoBlobs = errors.New("the layers cannot be compared with the image: the runtime of this container does not give its blobs")

// A layerVerifier verifies the layers of containers, each set of layers once.
type layerVerifier struct {
	opts  inspect.LayersOptions
	known map[string]drift.Report // by directories and image
}

// VerifyLayers compares the unpacked layers of a container with the digests of its
// image. Layers that cannot be compared are unknown; an error means that there is no
// result at all.
func (p *Pod) VerifyLayers(ctx context.Context, c *Container, opts inspect.LayersOptions) (drift.Report, error) {
	v := layerVerifier{opts: opts}
	return v.verify(ctx, p, c)
}

func (v *layerVerifier) verify(ctx context.Context, p *Pod, c *Container) (drift.Report, error) {
	unknown := func(err error) (drift.Report, error) {
		return drift.Report{Unknowns: []tree.Unknown{{Path: "/", Err: err}}}, ctx.Err()
	}
	if p.e.daemon.Client() == nil {
		return unknown(errNoBlobs)
	}
	// The runtime's own record: a process can change what it sees as its root.
	m, err := p.layers(ctx, c)
	if err != nil {
		return unknown(err)
	}
	key := c.ImageID + "\x00" + strings.Join(m.Lower, "\x00")
	if r, ok := v.known[key]; ok {
		return r, nil
	}
	img, err := p.e.daemon.OpenImage(ctx, c.ImageID)
	if err != nil {
		return unknown(err)
	}
	r, err := inspect.Layers(ctx, image.Image{Image: img}, m.Lower, v.opts)
	if err != nil {
		return unknown(err)
	}
	if v.known == nil {
		v.known = map[string]drift.Report{}
	}
	v.known[key] = r
	return r, nil
}
