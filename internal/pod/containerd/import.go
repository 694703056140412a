package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/containerd/log"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"

	"github.com/adamant-sh/adamant/internal/image"
)

// ImportOptions configures Import. The zero value works.
type ImportOptions struct {
	// Name is the reference of an image without a name in the archive. If the
	// archive has only a tag, the repository of Name is put before it.
	Name string
	// Check is called for each image before it gets its name, while layers are
	// unpacked; an error refuses the image. If nil, the image is flattened,
	// which refuses entries outside of the root and images beyond image.Limits.
	Check func(ctx context.Context, img v1.Image) error
	// Progress is called with the number of bytes of an archive's layers that
	// are done. Calls do not overlap.
	Progress func(done, total int64)
}

// Import imports all images for this machine from an OCI layout (a directory or
// an archive) or a docker archive, which may be compressed with gzip or zstd.
// It verifies digests and sizes and unpacks the layers. When it returns, either
// all images have names and CRI sees them, or none was imported.
func (d *Daemon) Import(ctx context.Context, path string, o ImportOptions) ([]Image, error) {
	return d.importFrom(ctx, path, o, func(opts image.OpenOptions) (*image.Set, error) { return image.OpenArchive(ctx, path, opts) })
}

// ImportReader is Import for an archive that is a stream.
func (d *Daemon) ImportReader(ctx context.Context, r io.Reader, o ImportOptions) ([]Image, error) {
	return d.importFrom(ctx, "archive", o, func(opts image.OpenOptions) (*image.Set, error) { return image.ReadArchive(ctx, r, opts) })
}

func (d *Daemon) importFrom(ctx context.Context, subject string, o ImportOptions, open func(image.OpenOptions) (*image.Set, error)) ([]Image, error) {
	if d.client == nil {
		return nil, fmt.Errorf("load %s: %w", subject, errNotContainerd)
	}
	set, err := open(image.OpenOptions{Scratch: d.scratch()})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", subject, err)
	}
	defer set.Close()
	if err := o.nameAll(set.Images); err != nil {
		return nil, fmt.Errorf("load %s: %w", subject, err)
	}
	found, err := d.importAll(ctx, set.Images, o)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", subject, err)
	}
	return found, nil
}

// errNotContainerd is returned if the runtime is not containerd. CRI can pull
// images, but has no calls to load them or to read their content.
var errNotContainerd = errors.New("the runtime is not containerd, which is the only one that images can be loaded into")

// scratch returns a directory for temporary files as large as an image.
func (d *Daemon) scratch() string {
	if d.private {
		return d.layout.root
	}
	return os.TempDir()
}

// nameAll gives names to images that have none.
func (o ImportOptions) nameAll(all []image.Image) error {
	repository := ""
	if o.Name != "" {
		ref, err := normalize(o.Name)
		if err != nil {
			return err
		}
		repository = repositoryOf(ref)
		if len(all) == 1 && len(all[0].Names) == 0 && len(all[0].Tags) == 0 {
			all[0].Names = []string{ref}
		}
	}
	for i := range all {
		for _, tag := range all[i].Tags {
			if repository == "" {
				continue // the image stays without a name; it has its digest
			}
			ref, err := normalize(repository + ":" + tag)
			if err != nil {
				return err
			}
			all[i].Names = append(all[i].Names, ref)
		}
	}
	return nil
}

// importAll stores all images and then names them. It holds a lease: until the
// images have names, only the lease keeps their content from the garbage
// collector, so that deleting the lease after an error removes the content.
func (d *Daemon) importAll(ctx context.Context, all []image.Image, o ImportOptions) (found []Image, err error) {
	ctx, end, err := d.withLease(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end(err != nil)) }()
	ctx = quiet(ctx)
	progress := newProgress(all, o.Progress)
	for _, p := range all {
		if err := d.store(ctx, p, o, progress); err != nil {
			return nil, err
		}
	}
	// Images get names only after all are stored, so that an archive is loaded
	// as a whole or not at all.
	for _, p := range all {
		img, err := d.publish(ctx, p.Names, ociDescriptor(p.Stored.Target), digest.Digest(p.Stored.Manifest.Config.Digest.String()), nil)
		if err != nil {
			return nil, err
		}
		found = append(found, img)
	}
	return found, nil
}

// quiet discards the log of containerd's client, which logs errors to standard
// error although it also returns them.
func quiet(ctx context.Context) context.Context {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return log.WithLogger(ctx, logrus.NewEntry(l))
}

// flatten returns the default of ImportOptions.Check.
func flatten(snapshotter string) func(context.Context, v1.Image) error {
	return func(ctx context.Context, img v1.Image) error {
		_, _, err := image.Flatten(ctx, img, image.FlattenOptions{NoContent: true, Copied: snapshotter != "overlayfs"})
		return err
	}
}

// progress counts the bytes of all layers of an archive.
type progress struct {
	tell func(done, total int64)

	mu          sync.Mutex
	done, total int64
}

func newProgress(all []image.Image, tell func(done, total int64)) *progress {
	p := &progress{tell: tell}
	for _, i := range all {
		for _, l := range i.Stored.Manifest.Layers {
			p.total += l.Size
		}
	}
	return p
}

func (p *progress) add(n int64) {
	if p.tell == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	p.tell(p.done, p.total)
}

// repositoryOf returns a normalized reference without its tag and digest.
func repositoryOf(ref string) string {
	if at := strings.IndexByte(ref, '@'); at >= 0 {
		ref = ref[:at]
	}
	if colon := strings.LastIndexByte(ref, ':'); colon > strings.LastIndexByte(ref, '/') {
		ref = ref[:colon]
	}
	return ref
}
