package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/capture"
	"github.com/adamant-sh/adamant/internal/servers/connect"
)

// The types of captures.
type (
	CapturePlan = capture.Plan
	Service     = capture.Service
	Data        = capture.Data
	SecretFile  = capture.Secret
	Loss        = capture.Loss
)

// ErrNotEmpty is returned when a capture would be written into a directory that
// holds something.
var ErrNotEmpty = errors.New("is not empty")

// CaptureOptions configures a capture.
type CaptureOptions struct {
	Dir     string   // to write to: empty or missing
	Image   string   // name of the image; by default that of the server and the time
	Data    []string // directories that are data, beside those that are known
	Exclude []string // paths that are left out
	NoData  bool     // leave the content of data directories out

	// Reading is called before the server is read, Planned after that, and Copying
	// before each data directory. They may be nil.
	Reading func()
	Planned func(CapturePlan)
	Copying func(Data)
}

// A Captured is a server that was captured.
type Captured struct {
	Server     string
	Dir        string // absolute, because the manifest mounts the data in it
	Image      string
	Digest     string
	Plan       CapturePlan
	Incomplete []string // data that could not be read
}

// Capture reads a server, changes nothing on it, and writes an image, a manifest,
// secrets, data and the plan into a directory.
func Capture(ctx context.Context, h Host, servers Options, o CaptureOptions) (Captured, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return Captured{}, err
	}
	if err := makeEmpty(dir); err != nil {
		return Captured{}, err
	}
	l, err := connect.Connect(ctx, h, servers.Options)
	if err != nil {
		return Captured{}, err
	}
	defer l.Close()
	c := capturing{options: o, link: l, Captured: Captured{Server: h.Name, Dir: dir, Image: o.Image}}
	if c.Image == "" {
		c.Image = "adamant.local/" + capture.Label(h.Name) + ":" + time.Now().UTC().Format("20060102-1504")
	}
	for _, step := range []func(context.Context) error{c.plan, c.build, c.copyData, c.manifest} {
		if err := step(ctx); err != nil {
			return c.Captured, err
		}
	}
	return c.Captured, nil
}

// makeEmpty creates a directory, or checks that it is empty.
func makeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(dir, 0o755)
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s %w", dir, ErrNotEmpty)
	}
	return nil
}

// capturing is a capture in progress.
type capturing struct {
	Captured
	options CaptureOptions
	link    *connect.Link
	text    []byte // the plan, as the server wrote it
}

func (c *capturing) path(name string) string { return filepath.Join(c.Dir, name) }

func (c *capturing) plan(ctx context.Context) (err error) {
	if c.options.Reading != nil {
		c.options.Reading()
	}
	var args []string
	for _, d := range c.options.Data {
		args = append(args, "--data", d)
	}
	for _, e := range c.options.Exclude {
		args = append(args, "--exclude", e)
	}
	if c.text, c.Plan, err = planCapture(ctx, c.link, c.Server, args); err != nil {
		return err
	}
	return durable.WriteFile(c.path("plan.json"), c.text, 0o644)
}

func (c *capturing) build(ctx context.Context) (err error) {
	if c.options.Planned != nil {
		c.options.Planned(c.Plan)
	}
	c.Digest, err = capture.Build(ctx, c.Plan, capture.BuildOptions{Image: c.Image, Out: c.path("image.tar")},
		func(layer string) (io.ReadCloser, error) { return c.part(ctx, "layer", layer), nil })
	return err
}

// part streams a part of the plan from the server.
func (c *capturing) part(ctx context.Context, args ...string) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		err := c.link.Run(ctx, append([]string{"part"}, args...), bytes.NewReader(c.text), w)
		w.CloseWithError(err)
	}()
	return r
}

// dataDir returns the directory of the data, empty if there is none.
func (c *capturing) dataDir() string {
	if c.options.NoData || len(c.Plan.Data) == 0 {
		return ""
	}
	return c.path("data")
}

func (c *capturing) copyData(ctx context.Context) error {
	if c.dataDir() == "" {
		return nil
	}
	if err := os.Mkdir(c.dataDir(), 0o700); err != nil {
		return err
	}
	root, err := rootfs.Open(c.dataDir())
	if err != nil {
		return err
	}
	defer root.Close()
	for _, d := range c.Plan.Data {
		if c.options.Copying != nil {
			c.options.Copying(d)
		}
		r := c.part(ctx, "data", d.Path)
		err := capture.ReadData(ctx, c.Plan, d.Path, root, r, d.Bounds())
		if err == nil {
			err = readTail(r)
		}
		r.Close()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			// The other directories can still be captured; Incomplete lists this one.
			c.Incomplete = append(c.Incomplete, fmt.Sprintf("data %s: %v", d.Path, err))
		}
	}
	return nil
}

// maxTail bounds the bytes after the end of an archive. There are some, because tar
// pads its blocks.
const maxTail = 1 << 20

// readTail reads a stream to its end, because the error of the program that wrote the
// archive is only returned there. The length is bounded, because the server may be
// hostile.
func readTail(r io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, maxTail+1))
	if err == nil && n > maxTail {
		err = errors.New("its archive does not end")
	}
	return err
}

func (c *capturing) manifest(ctx context.Context) error {
	text, err := capture.Manifest(c.Plan, capture.ManifestOptions{Image: c.Image, DataDir: c.dataDir()})
	if err != nil {
		return err
	}
	if err := durable.WriteFile(c.path("manifest.yaml"), text, 0o644); err != nil {
		return err
	}
	r := c.part(ctx, "secrets")
	defer r.Close()
	secrets, err := capture.SecretManifest(c.Plan, r)
	if err != nil || len(secrets) == 0 {
		return err
	}
	return durable.WriteFile(c.path("secrets.yaml"), secrets, 0o600)
}
