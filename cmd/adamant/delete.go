package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newDeleteCommand(a *app) *cobra.Command {
	var in scope
	var files []string
	var wait bool
	cmd := &cobra.Command{
		Use:   "delete [WORKLOAD...] [-f FILE]",
		Short: "Remove declared workloads with all their instances",
		Long: `Delete drains and removes the instances of workloads. Their history stays, with
who deleted them: adamant rollout history shows it.
With -f it removes every object of a manifest: workloads, Services, ConfigMaps and
Secrets. It waits until they are gone.`,
		Example: `  adamant delete web
  adamant delete svc/web cm/web
  adamant delete -f web.yaml`,
		ValidArgsFunction: a.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if (len(args) == 0) == (len(files) == 0) {
				return usagef("name workloads, or the manifest that declared them: -f FILE")
			}
			c := a.client()
			defer c.Close()
			keys, err := a.deletable(ctx, c, in, args, files)
			if err != nil {
				return err
			}
			return c.DeleteAll(ctx, keys, wait, func(k local.Key) { fmt.Fprintf(a.out, "%s/%s deleted\n", k.Kind, k.Name) })
		},
	}
	a.addScope(&in, cmd)
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "manifest whose objects to remove: a file, a directory, or - for standard input; may be repeated")
	cmd.Flags().BoolVar(&wait, "wait", true, "return once they are gone")
	return cmd
}

// deletable returns all objects to delete before any is deleted, because a
// wrong argument must not leave half of them.
func (a *app) deletable(ctx context.Context, c *api.Client, in scope, args, files []string) ([]local.Key, error) {
	var keys []local.Key
	for _, arg := range args {
		ref, err := in.ref(arg)
		if err != nil {
			return nil, err
		}
		k, err := c.Key(ctx, ref)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	loaded, err := manifest.LoadAll(ctx, files, a.in)
	for _, f := range loaded {
		if f, err = f.InNamespace(in.namespace()); err != nil {
			return nil, err
		}
		keys = append(keys, local.Keys(f)...)
	}
	return keys, err
}
