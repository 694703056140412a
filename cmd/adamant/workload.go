package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// client returns a client of the daemon by the global flags.
func (a *app) client() *api.Client { return api.Dial(a.socket()) }

// completeWorkloads completes names of declared workloads.
func (a *app) completeWorkloads(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && cmd.Name() != "delete" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c := a.client()
	defer c.Close()
	namespace, _ := cmd.Flags().GetString("namespace")
	list, err := c.ListIn(cmd.Context(), namespace)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range list {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// workloadCommand returns a command with one workload as its argument.
func (a *app) workloadCommand(use, short, example string, do func(ctx context.Context, c *api.Client, s local.Status) error) *cobra.Command {
	return a.refCommand(use, short, example, func(ctx context.Context, c *api.Client, r api.Ref) error {
		s, err := c.Find(ctx, r)
		if err != nil {
			return err
		}
		return do(ctx, c, s)
	})
}

// refCommand returns a command whose argument names a workload, which may not exist.
func (a *app) refCommand(use, short, example string, do func(ctx context.Context, c *api.Client, r api.Ref) error) *cobra.Command {
	var in scope
	cmd := &cobra.Command{
		Use: use + " WORKLOAD", Short: short, Example: example,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := in.ref(args[0])
			if err != nil {
				return err
			}
			c := a.client()
			defer c.Close()
			return do(cmd.Context(), c, ref)
		},
	}
	return a.addScope(&in, cmd)
}

func newStatusCommand(a *app) *cobra.Command {
	cmd := a.workloadCommand("status", "Show a workload with its instances, images and addresses", `  adamant status web
  adamant status shop/deploy/web -o json`, func(_ context.Context, _ *api.Client, s local.Status) error {
		if err := a.print(local.NewDocument(s)); err != nil || s.Compromised == 0 {
			return err
		}
		return exitWith(report.Findings)
	})
	cmd.Long = "Status exits 3 if instances are compromised: they drifted, and were not replaced."
	withFormats(cmd, report.FormatWide, report.FormatName)
	return a.alsoInCluster(cmd, a.statusThere)
}
