package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
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
func (a *app) socket() string { return api.Socket(or(a.state, pod.DefaultState)) }

func (a *app) serve(ctx context.Context) error {
	e, err := a.openWith(ctx, pod.Options{})
	if err != nil {
		return err
	}
	defer e.Close()
	c, err := local.Open(ctx, local.Options{Engine: e, Log: func(err error) { a.progress("%v", err) }})
	if err != nil {
		return err
	}
	s, err := api.Listen(a.socket(), c)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	a.progress("serving at %s", a.socket())
	notifySystemd("READY=1")
	select {
	case <-ctx.Done():
		a.progress("ending; the pods go on")
		err = nil
	case err = <-served:
	}
	notifySystemd("STOPPING=1")
	return errors.Join(err, s.Close(), c.Close())
}

// notifySystemd reports a state to the service manager if there is one
// (sd_notify(3)).
func notifySystemd(state string) {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return
	}
	defer c.Close()
	c.Write([]byte(state))
}

// unitTemplate is a systemd unit that starts the daemon with the machine.
// KillMode is process because the pods and their runtime are its children and
// must outlive it.
var unitTemplate = template.Must(template.New("unit").Parse(`[Unit]
Description=Adamant keeps the declared workloads running
Documentation=https://github.com/adamant-sh/adamant
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
ExecStart={{.Program}} serve{{range .Flags}} {{.}}{{end}}
Restart=always
RestartSec=1
KillMode=process
Delegate=yes
OOMScoreAdjust=-999
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`))

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
	return unitTemplate.Execute(a.out, map[string]any{"Program": self, "Flags": flags})
}
