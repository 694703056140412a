package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers/capture"
	visit "github.com/adamant-sh/adamant/internal/servers/connect"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/text"
)

// captureFlags are how a server is captured.
type captureFlags struct {
	which
	out, image    string
	data, exclude []string
	noData        bool
}

func newServersCaptureCommand(a *app) *cobra.Command {
	var c captureFlags
	cmd := &cobra.Command{
		Use:   "capture SERVER --out DIR",
		Short: "Turn a server into an image and a manifest",
		Long: `Capture reads a server, changes nothing on it, and writes into a directory what
runs in its place:

  image.tar      its packages as one layer, the configuration that differs as another
  manifest.yaml  each service as a Deployment, with its ports as a Service
  secrets.yaml   keys and passwords, which are in no image; nobody else may read it
  data/          its data directories, which the manifest mounts
  plan.json      what became of every path

What cannot be captured is listed. Then load, seal and prove it: the printed
commands do that.

It exits 4 if something could not be read, which is not captured.`,
		Example: `  adamant servers capture -i hosts.ini web-1 --out captured
  adamant servers capture root@10.0.0.1 --out captured --data /srv/uploads --exclude /opt/old`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if c.out == "" {
				return usagef("say where to with --out DIR")
			}
			hosts, err := c.hosts(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			if len(hosts) != 1 {
				return usagef("%s are %d servers; one is captured at a time", args[0], len(hosts))
			}
			return c.do(cmd.Context(), a, hosts[0])
		},
	}
	c.reachFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&c.out, "out", "", "directory to write to; it must be empty, or not there")
	flags.StringVar(&c.image, "image", "", "name of the image (default adamant.local/SERVER:DATE)")
	flags.StringArrayVar(&c.data, "data", nil, "a directory that is data, beside those that are known; may be repeated")
	flags.StringArrayVar(&c.exclude, "exclude", nil, "a path that is left out; may be repeated")
	flags.BoolVar(&c.noData, "no-data", false, "leave the content of data directories where it is: the workload starts without")
	return cmd
}

func (c *captureFlags) do(ctx context.Context, a *app, h inventory.Host) error {
	if err := makeEmpty(c.out); err != nil {
		return err
	}
	o, err := c.visits(a)
	if err != nil {
		return err
	}
	l, err := visit.Connect(ctx, h, o)
	if err != nil {
		return err
	}
	defer l.Close()
	s := capturing{app: a, flags: c, link: l, name: h.Name}
	if s.dir, err = filepath.Abs(c.out); err != nil {
		return err
	}
	if s.image = c.image; s.image == "" {
		s.image = "adamant.local/" + label(h.Name) + ":" + time.Now().UTC().Format("20060102-1504")
	}
	for _, step := range []func(context.Context) error{s.survey, s.build, s.copyData, s.manifest} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return s.print()
}

// makeEmpty makes a directory, or finds that it is empty.
func makeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(dir, 0o755)
	case err != nil:
		return err
	case len(entries) > 0:
		return hint{fmt.Errorf("%s is not empty", dir), "name another directory with --out"}
	}
	return nil
}

// label makes of a server's name what can be part of an image's.
func label(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name), "-")
}

// capturing is a capture that goes on.
type capturing struct {
	app    *app
	flags  *captureFlags
	link   *visit.Link
	name   string // of the server
	dir    string
	image  string
	digest string
	text   []byte // the plan, as the server gave it
	plan   capture.Plan
	broken []string // data that could not be read
}

func (s *capturing) survey(ctx context.Context) error {
	s.app.progress("reading %s", s.name)
	args := []string{"part", "plan"}
	for _, d := range s.flags.data {
		args = append(args, "--data", d)
	}
	for _, e := range s.flags.exclude {
		args = append(args, "--exclude", e)
	}
	var err error
	if s.text, err = s.link.Ask(ctx, args); err != nil {
		return fmt.Errorf("survey %s: %w", s.name, err)
	}
	if s.plan, err = capture.ParsePlan(s.text); err != nil {
		return fmt.Errorf("survey %s: %w", s.name, err)
	}
	return durable.WriteFile(filepath.Join(s.dir, "plan.json"), s.text, 0o644)
}

func (s *capturing) build(ctx context.Context) error {
	s.app.progress("packages: %d files, %s; configuration: %d files, %s", s.plan.Packages.Files.Len(), size(s.plan.Packages.Bytes),
		s.plan.Config.Files.Len(), size(s.plan.Config.Bytes))
	var err error
	s.digest, err = capture.Build(ctx, s.plan, capture.BuildOptions{Image: s.image, Out: filepath.Join(s.dir, "image.tar")},
		func(layer string) (io.ReadCloser, error) { return s.part(ctx, "layer", layer), nil })
	return err
}

// part streams a part of the plan from the server.
func (s *capturing) part(ctx context.Context, args ...string) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		err := s.link.Run(ctx, append([]string{"part"}, args...), bytes.NewReader(s.text), w)
		w.CloseWithError(err)
	}()
	return r
}

func (s *capturing) dataDir() string {
	if s.flags.noData || len(s.plan.Data) == 0 {
		return ""
	}
	return filepath.Join(s.dir, "data")
}

func (s *capturing) copyData(ctx context.Context) error {
	if s.dataDir() == "" {
		return nil
	}
	if err := os.Mkdir(s.dataDir(), 0o700); err != nil {
		return err
	}
	root, err := rootfs.Open(s.dataDir())
	if err != nil {
		return err
	}
	defer root.Close()
	for _, d := range s.plan.Data {
		s.app.progress("data %s: %d files, %s", d.Path, d.Entries, size(d.Bytes))
		r := s.part(ctx, "data", d.Path)
		err := capture.ReadData(ctx, s.plan, d.Path, root, r, d.Bounds())
		if err == nil {
			err = readTail(r)
		}
		r.Close()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.broken = append(s.broken, fmt.Sprintf("data %s: %v", d.Path, err))
		}
	}
	return nil
}

// maxTail is what may follow the end of an archive, in bytes: tar pads its blocks.
const maxTail = 1 << 20

// readTail reads to the end of an archive's stream, where it is said whether it is
// whole.
func readTail(r io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, maxTail+1))
	if err == nil && n > maxTail {
		err = errors.New("its archive does not end")
	}
	return err
}

func (s *capturing) manifest(ctx context.Context) error {
	text, err := capture.Manifest(s.plan, capture.ManifestOptions{Image: s.image, DataDir: s.dataDir()})
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(s.dir, "manifest.yaml"), text, 0o644); err != nil {
		return err
	}
	r := s.part(ctx, "secrets")
	defer r.Close()
	secrets, err := capture.SecretManifest(s.plan, r)
	if err != nil || len(secrets) == 0 {
		return err
	}
	return durable.WriteFile(filepath.Join(s.dir, "secrets.yaml"), secrets, 0o600)
}

func (s *capturing) print() error {
	if s.app.json() {
		p := s.plan
		if err := s.app.printJSON(report.ServerCapture{
			Header: document.NewHeader(document.ServerCapture), Server: s.name, Dir: s.dir, Image: s.image, Digest: s.digest,
			Services: p.Services, Data: p.Data, Secrets: p.Secrets, Losses: p.Losses, Incomplete: s.broken,
		}); err != nil {
			return err
		}
	} else {
		s.printText()
	}
	if len(s.broken) > 0 || !s.plan.Complete() {
		return exitWith(report.Incomplete)
	}
	return nil
}

func (s *capturing) printText() {
	w, p := s.app.out, s.plan
	line := func(format string, args ...any) { fmt.Fprintln(w, text.EscapeLines(fmt.Sprintf(format, args...))) }
	line("%s, %s, is %s (%.19s…)", s.name, p.Release, s.image, s.digest)
	line("  layer packages: %d files, %s", p.Packages.Files.Len(), size(p.Packages.Bytes))
	line("  layer config: %d files, %s; %d of them are edited files of packages", p.Config.Files.Len(), size(p.Config.Bytes), len(p.Edited))
	for _, svc := range p.Services {
		line("  service %s: %s%s", svc.Name, strings.Join(svc.Command, " "), ports(svc))
	}
	for _, d := range p.Data {
		line("  data %s: %d files, %s (%s)", d.Path, d.Entries, size(d.Bytes), d.Why)
	}
	for _, sec := range p.Secrets {
		line("  secret %s (%s)", sec.Path, sec.Why)
	}
	if len(p.Losses) > 0 {
		line("not captured:")
	}
	for _, l := range p.Losses {
		text := l.What + ": " + l.Why
		if l.Hint != "" {
			text += " (" + l.Hint + ")"
		}
		if l.Unread {
			text = "INCOMPLETE " + text
		}
		line("  - %s", text)
	}
	for _, b := range s.broken {
		line("INCOMPLETE %s", b)
	}
	s.app.progress("next: adamant load %[1]s/image.tar; adamant seal %[1]s/manifest.yaml -w; adamant prove %[1]s/manifest.yaml", s.flags.out)
}

func ports(s capture.Service) string {
	var list []string
	for _, p := range s.Ports {
		list = append(list, fmt.Sprintf("%d/%s", p.Number, p.Protocol))
	}
	if len(list) == 0 {
		return ""
	}
	return ", listens on " + strings.Join(list, ", ")
}
