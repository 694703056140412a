package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/balancer"
)

func newServeCommand(a *app) *cobra.Command {
	var unit bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Keep the declared workloads running, and replace what changes",
		Long: `Serve is the daemon: it keeps what adamant apply declared running, behind the
addresses of its Services, and replaces instances that changed or broke. It ends
at SIGTERM; the pods go on, and the next one finds them again.

--unit prints a systemd unit that starts it with the machine: write it to
/etc/systemd/system/adamant.service, then systemctl enable --now adamant.`,
		Example: `  adamant serve
  adamant serve --unit > /etc/systemd/system/adamant.service`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if unit {
				return a.printUnit()
			}
			return a.serve(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&unit, "unit", false, "print a systemd unit and exit")
	return cmd
}

// socket returns the path of the daemon's socket by the global flags.
func (a *app) socket() string { return api.Socket(cmp.Or(a.state, pod.DefaultState)) }

func (a *app) serve(ctx context.Context) error {
	e, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return api.Serve(ctx, a.socket(), e, []string{self, "balancer"}, a.progress)
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

func (a *app) printUnit() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var flags []string
	for _, f := range []struct{ name, value string }{{"data-dir", a.root}, {"state-dir", a.state}, {"runtime-endpoint", a.endpoint}} {
		if f.value != "" {
			flags = append(flags, fmt.Sprintf("--%s=%s", f.name, f.value))
		}
	}
	return api.WriteSystemdUnit(a.out, self, flags)
}
