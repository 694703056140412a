package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/adamant-sh/adamant/internal/image"
)

// ErrNoImage is returned when the store has no image with a name.
var ErrNoImage = errors.New("no such image")

// An Image is an image of the store for this machine's platform.
type Image struct {
	ID       digest.Digest // of its configuration; the ID of an image in CRI
	Digest   digest.Digest // of its manifest for this platform
	Target   digest.Digest // of its names: Digest, or that of an index with the manifest
	Names    []string      // normalized references with a tag, sorted; may be empty
	ChainID  digest.Digest // key of the snapshot of its layers; "" if it has none
	Size     int64         // bytes of manifest, configuration and compressed layers
	Created  time.Time     // according to its configuration; zero if unknown
	Platform string        // "linux/amd64"
	Pinned   bool          // see Daemon.Pin
	Loaded   time.Time     // when it got the latest of its names; zero if it has none
	Config   ocispec.ImageConfig
}

// normalize returns the full form of a reference: "nginx" is
// "docker.io/library/nginx:latest".
func normalize(name string) (string, error) {
	ref, err := image.ParseReference(name)
	return ref.Name(), err
}

// Image finds an image by name, by ID, or by "name@digest". The error wraps
// ErrNoImage if there is none.
func (d *Daemon) Image(ctx context.Context, ref string) (Image, error) {
	target, err := d.resolve(ctx, ref)
	if err != nil {
		return Image{}, err
	}
	img, err := d.describe(ctx, target)
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", ref, err)
	}
	all, err := d.client.ImageService().List(ctx, fmt.Sprintf("target.digest==%s", target.Digest))
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", ref, err)
	}
	for _, i := range all {
		img.add(i)
	}
	return img, nil
}

// Images lists all images except those that this package builds.
func (d *Daemon) Images(ctx context.Context) ([]Image, error) {
	if d.client == nil {
		return nil, fmt.Errorf("list images: %w", errNotContainerd)
	}
	if err := d.removeAbandoned(ctx); err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	all, err := d.client.ImageService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	byTarget := map[digest.Digest]*Image{}
	hidden := map[digest.Digest]bool{}
	for _, i := range all {
		hidden[i.Target.Digest] = hidden[i.Target.Digest] || i.Name == PauseImage || i.Name == CopyUpImage
		if img := byTarget[i.Target.Digest]; img != nil {
			img.add(i)
			continue
		}
		img, err := d.describe(ctx, i.Target)
		if errdefs.IsNotFound(err) {
			continue // for another platform, or its content was removed
		}
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", i.Name, err)
		}
		img.add(i)
		byTarget[i.Target.Digest] = &img
	}
	var found []Image
	for target, img := range byTarget {
		if !hidden[target] {
			found = append(found, *img)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].key() < found[j].key() })
	return found, nil
}

func (i *Image) key() string { return strings.Join(i.Names, " ") + " " + i.ID.String() }

// add adds a name of the store, and its pin, to the image.
func (i *Image) add(named images.Image) {
	i.addName(named.Name)
	i.Pinned = i.Pinned || named.Labels[pinLabel] != ""
	if named.CreatedAt.After(i.Loaded) {
		i.Loaded = named.CreatedAt
	}
}

// addName adds a name if it is a reference with a tag. Names in the store are
// also IDs and references with digests.
func (i *Image) addName(name string) {
	ref, err := reference.ParseDockerRef(name)
	if err != nil || ref.String() != name {
		return
	}
	if _, ok := ref.(reference.Tagged); ok {
		i.Names = append(i.Names, name)
		sort.Strings(i.Names)
	}
}

// OpenImage returns an image of the store. Its layers are read from the store
// and verified as they are read. The image is valid until ctx ends or d is
// closed.
func (d *Daemon) OpenImage(ctx context.Context, ref string) (v1.Image, error) {
	target, err := d.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	store := d.client.ContentStore()
	manifestDesc, manifest, err := d.readManifest(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", ref, err)
	}
	rawManifest, err := content.ReadBlob(ctx, store, manifestDesc)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", ref, err)
	}
	rawConfig, err := content.ReadBlob(ctx, store, manifest.Config)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", ref, err)
	}
	img, err := image.FromDocuments(types.MediaType(manifestDesc.MediaType), rawManifest, rawConfig, func(layer v1.Descriptor) (io.ReadCloser, error) {
		ra, err := store.ReaderAt(ctx, ociDescriptor(layer))
		if err != nil {
			return nil, fmt.Errorf("read layer %s: %w", layer.Digest, err)
		}
		return struct {
			io.Reader
			io.Closer
		}{content.NewReader(ra), ra}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", ref, err)
	}
	return img, nil
}

// resolve returns the descriptor of a reference.
func (d *Daemon) resolve(ctx context.Context, ref string) (ocispec.Descriptor, error) {
	if d.client == nil {
		return ocispec.Descriptor{}, fmt.Errorf("image %s: %w", ref, errNotContainerd)
	}
	name := ref
	if digest.Digest(ref).Validate() != nil { // an ID is a name of the store as it is
		var err error
		if name, err = normalize(ref); err != nil {
			return ocispec.Descriptor{}, err
		}
	}
	img, err := d.client.ImageService().Get(ctx, name)
	if errdefs.IsNotFound(err) {
		return ocispec.Descriptor{}, fmt.Errorf("image %s: %w", ref, ErrNoImage)
	}
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("image %s: %w", ref, err)
	}
	return img.Target, nil
}

// describe reads the manifest and configuration of an image.
func (d *Daemon) describe(ctx context.Context, target ocispec.Descriptor) (Image, error) {
	manifestDesc, manifest, err := d.readManifest(ctx, target)
	if err != nil {
		return Image{}, err
	}
	config, err := d.readConfig(ctx, manifest.Config)
	if err != nil {
		return Image{}, err
	}
	img := Image{
		ID: manifest.Config.Digest, Digest: manifestDesc.Digest, Target: target.Digest,
		ChainID: identity.ChainID(config.RootFS.DiffIDs), Platform: platforms.Format(config.Platform), Config: config.Config,
		Size: manifestDesc.Size + manifest.Config.Size,
	}
	for _, l := range manifest.Layers {
		img.Size += l.Size
	}
	if config.Created != nil {
		img.Created = *config.Created
	}
	return img, nil
}
