package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/workload/api"
)

func newServersReplaceCommand(a *app) *cobra.Command {
	var w serverFlags
	var from string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "replace SERVER --from DIR",
		Short: "Run what was captured of a server in its place",
		Long: `Replace loads the image that capture wrote into DIR, applies its manifest with the
daemon on this machine (adamant serve), waits for the rollouts, and asks each
Service whether it answers. Edit the manifest before, seal it, prove it: what is
there is applied.

It changes nothing on the server. At the end it says who is still connected to
it: traffic moves when names or balancers point to the new address. A server that
nobody is connected to is reported as ready to be removed; if somebody is, it
exits 3.`,
		Example: `  adamant servers capture -i hosts.ini web-1 --out captured
  adamant seal captured --learn -w
  adamant servers replace -i hosts.ini web-1 --from captured`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if from == "" {
				return usagef("say what was captured with --from DIR")
			}
			h, o, err := w.host(cmd.Context(), a, args[0], "one is replaced at a time")
			if err != nil {
				return err
			}
			r, err := servers.Replace(cmd.Context(), servers.Replacement{Host: h, Dir: from, Timeout: timeout, By: &deployer{a}, Options: o})
			if errors.Is(err, servers.ErrNoPlan) {
				return hint{err, "adamant servers capture SERVER --out DIR writes it"}
			}
			if err != nil {
				return err
			}
			return a.printVerdict(report.NewServerReplacement(h.Name, r))
		},
	}
	w.reachFlags(cmd)
	cmd.Flags().StringVar(&from, "from", "", "directory that capture wrote")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long the rollouts and the Services may take")
	return cmd
}

// A deployer implements servers.Deployer with the daemon on this machine.
type deployer struct{ app *app }

func (d *deployer) Load(ctx context.Context, archive string) error {
	return d.app.withEngine(ctx, func(e *pod.Engine) error {
		_, err := d.app.loadOne(ctx, e, archive, "")
		return err
	})
}

func (d *deployer) Deploy(ctx context.Context, file string, content []byte, timeout time.Duration) ([]servers.Endpoint, error) {
	c := d.app.client()
	defer c.Close()
	// The user asked for it once more if it failed before.
	out, err := c.Apply(ctx, api.ApplyRequest{ManifestFile: api.ManifestFile{File: file, Content: content}, Retry: true})
	if err != nil {
		return nil, err
	}
	ended, err := c.WaitRollouts(ctx, out, timeout, d.app.newWatcher(c).show)
	if err != nil {
		return nil, err
	}
	var endpoints []servers.Endpoint
	for _, s := range ended {
		if err := s.RolloutErr(); err != nil {
			return nil, err
		}
		for _, svc := range s.Services {
			endpoints = append(endpoints, servers.Endpoint{Name: svc.Name, Address: svc.Address, Err: svc.Err})
		}
	}
	return endpoints, nil
}
