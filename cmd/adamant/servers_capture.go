package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

// captureFlags are the flags of a capture.
type captureFlags struct {
	serverFlags
	what servers.CaptureOptions
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
		RunE: func(cmd *cobra.Command, args []string) error { return c.do(cmd.Context(), a, args[0]) },
	}
	c.reachFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&c.what.Dir, "out", "", "directory to write to; it must be empty, or not there")
	flags.StringVar(&c.what.Image, "image", "", "name of the image (default adamant.local/SERVER:DATE)")
	flags.StringArrayVar(&c.what.Data, "data", nil, "a directory that is data, beside those that are known; may be repeated")
	flags.StringArrayVar(&c.what.Exclude, "exclude", nil, "a path that is left out; may be repeated")
	flags.BoolVar(&c.what.NoData, "no-data", false, "leave the content of data directories where it is: the workload starts without")
	return cmd
}

func (c *captureFlags) do(ctx context.Context, a *app, server string) error {
	if c.what.Dir == "" {
		return usagef("say where to with --out DIR")
	}
	h, o, err := c.host(ctx, a, server, "one is captured at a time")
	if err != nil {
		return err
	}
	c.what.Reading = func() { a.progress("reading %s", h.Name) }
	c.what.Planned = func(p servers.CapturePlan) { a.progress("%s", report.CaptureProgress(p)) }
	c.what.Copying = func(d servers.Data) { a.progress("data %s: %d files, %s", d.Path, d.Entries, text.Bytes(d.Bytes)) }
	s, err := servers.Capture(ctx, h, o, c.what)
	if errors.Is(err, servers.ErrNotEmpty) {
		return hint{err, "name another directory with --out"}
	}
	if err != nil {
		return err
	}
	result := report.NewServerCapture(s)
	if err := a.print(result); err != nil {
		return err
	}
	if !a.document() {
		a.progress("next: adamant load %[1]s/image.tar; adamant seal %[1]s --learn -w; adamant prove %[1]s", c.what.Dir)
	}
	return exitWith(result.Verdict())
}
