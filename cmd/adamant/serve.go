package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/balancer"
)

// serveFlags are the flags of serve. Those that are fields of the configuration file take
// the place of the file's.
type serveFlags struct {
	file        string
	unit, check bool
	stop        bool
	eventsFile  string
	metrics     string
	readGroup   string
}

func newServeCommand(a *app) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Keep the declared workloads running, and replace what changes",
		Long: `Serve is the daemon: it keeps what adamant apply declared running, behind the
addresses of its Services, and replaces instances that changed or broke. It ends
at SIGTERM; the pods go on, and the next one finds them again.

It reads /etc/adamant/serve.yaml if that exists, or the file of --config, and
again at SIGHUP. Flags take the place of its fields. --check-config checks it.

--unit prints a systemd unit that starts it with the machine: write it to
/etc/systemd/system/adamant.service, then systemctl enable --now adamant.`,
		Example: `  adamant serve
  adamant serve --metrics 127.0.0.1:9464
  adamant serve --read-group adamant
  adamant serve --events-file -            # each event as a line of JSON
  adamant serve --stop
  adamant serve --config serve.yaml --check-config
  adamant serve --unit > /etc/systemd/system/adamant.service`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.unit:
				return a.printUnit(f)
			case f.stop:
				c := a.client()
				defer c.Close()
				left, err := c.Stop(cmd.Context())
				if err == nil {
					fmt.Fprintln(a.out, left)
				}
				return err
			case f.check:
				_, err := a.serveConfig(f)
				if err == nil {
					fmt.Fprintln(a.out, "the configuration is valid")
				}
				return err
			}
			return a.serve(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.file, "config", "", "configuration file (default /etc/adamant/serve.yaml if it exists)")
	flags.BoolVar(&f.check, "check-config", false, "check the configuration and exit")
	flags.BoolVar(&f.unit, "unit", false, "print a systemd unit and exit")
	flags.BoolVar(&f.stop, "stop", false, "stop the running daemon; the pods and the traffic go on")
	flags.StringVar(&f.metrics, "metrics", "", "also answer GET /metrics at an address, such as 127.0.0.1:9464")
	flags.StringVar(&f.readGroup, "read-group", "", "group whose members may read: get, status, drift, events")
	flags.StringVar(&f.eventsFile, "events-file", "", "append a line of JSON for each event to a file; - is standard output")
	return cmd
}

// socket returns the path of the daemon's socket by the global flags.
func (a *app) socket() string { return api.Socket(cmp.Or(a.state, pod.DefaultState)) }

// serveConfig returns the configuration file with the flags in place of its fields.
func (a *app) serveConfig(f serveFlags) (api.Config, error) {
	c, err := api.LoadConfig(f.file)
	if err != nil {
		return c, err
	}
	for _, o := range []struct {
		field *string
		flag  string
	}{{&c.DataDir, a.root}, {&c.StateDir, a.state}, {&c.RuntimeEndpoint, a.endpoint}, {&c.Metrics, f.metrics}, {&c.ReadGroup, f.readGroup}, {&c.Events.File, f.eventsFile}} {
		*o.field = cmp.Or(o.flag, *o.field)
	}
	return c, c.Check()
}

func (a *app) serve(ctx context.Context, f serveFlags) error {
	c, err := a.serveConfig(f)
	if err != nil {
		return err
	}
	flags := &app{root: a.root, state: a.state, endpoint: a.endpoint} // as given, for Reload
	a.root, a.state, a.endpoint = c.DataDir, c.StateDir, c.RuntimeEndpoint
	e, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return api.Serve(ctx, api.ServeOptions{
		Socket: a.socket(), Engine: e, Balancer: []string{self, "balancer"}, Stdout: a.out, Say: a.progress,
		Config: c, Reload: func() (api.Config, error) { return flags.serveConfig(f) },
	})
}

// newBalancerCommand is for serve only.
func newBalancerCommand() *cobra.Command {
	var dir, from string
	cmd := &cobra.Command{
		Use: "balancer", Short: "Balance the traffic of Services for a daemon", Hidden: true, Args: cobra.NoArgs,
		Example: "  adamant balancer --dir /run/adamant/traffic",
		RunE:    func(cmd *cobra.Command, _ []string) error { return balancer.Run(cmd.Context(), dir, from) },
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory of the socket")
	cmd.Flags().StringVar(&from, "from", "", "socket of a process to replace")
	return cmd
}

func (a *app) printUnit(f serveFlags) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if f.file != "" {
		if f.file, err = filepath.Abs(f.file); err != nil {
			return err
		}
	}
	var flags []string
	for _, f := range []struct{ name, value string }{
		{"data-dir", a.root}, {"state-dir", a.state}, {"runtime-endpoint", a.endpoint}, {"config", f.file}, {"metrics", f.metrics}, {"read-group", f.readGroup}, {"events-file", f.eventsFile},
	} {
		if f.value != "" {
			flags = append(flags, fmt.Sprintf("--%s=%s", f.name, f.value))
		}
	}
	return api.WriteSystemdUnit(a.out, self, flags)
}
