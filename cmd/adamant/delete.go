package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newDeleteCommand(a *app) *cobra.Command {
	var in scope
	var files []string
	var wait, claims bool
	cmd := &cobra.Command{
		Use:   "delete [WORKLOAD...] [-f FILE]",
		Short: "Remove declared workloads with all their instances",
		Long: `Delete drains and removes the instances of workloads. Their history stays, with
who deleted them: adamant rollout history shows it.
With -f it removes every object of a manifest: workloads, Services, Ingress objects,
ConfigMaps and Secrets. It waits until they are gone.
PersistentVolumeClaims stay with their files, and are listed. --claims removes those
of the manifest and those that were created for the pods of its StatefulSets.`,
		Example: `  adamant delete web
  adamant delete svc/web ing/web cm/web
  adamant delete -f web.yaml
  adamant delete -f db.yaml --claims`,
		ValidArgsFunction: a.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if (len(args) == 0) == (len(files) == 0) {
				return usagef("name workloads, or the manifest that declared them: -f FILE")
			}
			if claims && !wait {
				return usagef("--claims removes files once nothing uses them, which needs --wait")
			}
			c := a.client()
			defer c.Close()
			keys, loaded, err := a.deletable(ctx, c, in, args, files)
			if err != nil {
				return err
			}
			if err := c.DeleteAll(ctx, keys, wait, func(k local.Key) { fmt.Fprintf(a.out, "%s/%s deleted\n", k.Kind, k.Name) }); err != nil {
				return err
			}
			left, err := c.ClaimsOf(ctx, a.root, loaded, keys)
			if err != nil {
				return err
			}
			return a.deleteClaims(ctx, c, left, claims)
		},
	}
	a.addScope(&in, cmd)
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "manifest whose objects to remove: a file, a directory, or - for standard input; may be repeated")
	cmd.Flags().BoolVar(&claims, "claims", false, "remove PersistentVolumeClaims with their files, too")
	cmd.Flags().BoolVar(&wait, "wait", true, "return once they are gone")
	return cmd
}

// deletable returns all objects to delete before any is deleted, because a
// wrong argument must not leave half of them.
func (a *app) deletable(ctx context.Context, c *api.Client, in scope, args, files []string) ([]local.Key, []manifest.File, error) {
	var keys []local.Key
	for _, arg := range args {
		ref, err := in.ref(arg)
		if err != nil {
			return nil, nil, err
		}
		k, err := c.Key(ctx, ref)
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, k)
	}
	loaded, err := source.LoadAll(ctx, files, a.in)
	for i := range loaded {
		if loaded[i], err = loaded[i].InNamespace(in.namespace()); err != nil {
			return nil, nil, err
		}
		keys = append(keys, local.Keys(loaded[i])...)
		a.note(manifest.PassedOverNotes(local.PassedOver(loaded[i]))...)
	}
	return keys, loaded, err
}

// deleteClaims removes claims, or prints that they are kept.
func (a *app) deleteClaims(ctx context.Context, c *api.Client, list []local.ClaimStatus, remove bool) error {
	for _, claim := range list {
		if !remove {
			a.progress("claim %s stays, with its files: adamant claims rm %s removes it", claim.ID(), claim.ID())
			continue
		}
		if err := c.RemoveClaim(ctx, a.root, claim.Namespace, claim.Name); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "PersistentVolumeClaim/%s deleted\n", claim.Name)
	}
	return nil
}
