package main

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newRmCommand(a *app) *cobra.Command {
	var in scope
	var all bool
	var grace int64
	cmd := &cobra.Command{
		Use:   "rm POD...",
		Short: "Stop pods and remove all that they had",
		Long: `Rm stops the containers of each pod as a kubelet does (preStop hook, the stop
signal, SIGKILL after the grace period) and removes the pod with its volumes.`,
		Example: `  adamant rm nginx-pod
  adamant rm deploy/web --grace 0
  adamant rm --all`,
		ValidArgsFunction: a.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usagef("name pods, or --all")
			}
			ctx := cmd.Context()
			return a.withEngine(ctx, func(e *pod.Engine) error {
				pods, err := e.FindAll(ctx, in.namespace(), args)
				if all {
					pods, err = e.PodsIn(ctx, in.namespace())
				}
				if err != nil {
					return err
				}
				return pod.RemoveAll(ctx, pods, grace, func(p *pod.Pod) { fmt.Fprintln(a.out, p.Name) })
			})
		},
	}
	a.addScope(&in, cmd)
	cmd.Flags().BoolVar(&all, "all", false, "remove every pod, of the namespace if there is one")
	cmd.Flags().Int64Var(&grace, "grace", -1, "seconds to end in, instead of the pod's own grace period")
	return cmd
}

func newResetCommand(a *app) *cobra.Command {
	var yes, claims bool
	cmd := &cobra.Command{
		Use:   "reset --yes",
		Short: "Remove everything: pods, images, network, the private containerd",
		Long: `Reset removes all that Adamant made below its data and state directories, except
the files of PersistentVolumeClaims, which it lists: --claims removes them, too.`,
		Example: `  adamant reset --yes
  adamant reset --yes --claims
  adamant reset --yes --data-dir /tmp/try --state-dir /tmp/try-state`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root := cmp.Or(a.root, pod.DefaultRoot)
			if !yes {
				return usagef("this removes all pods and images of %s: confirm it with --yes", root)
			}
			if a.endpoint != "" {
				return usagef("reset is for the private containerd; remove pods of %s with: adamant rm --all", a.endpoint)
			}
			if err := needRoot(); err != nil {
				return err
			}
			return local.Reset(cmd.Context(), root, cmp.Or(a.state, pod.DefaultState), local.ResetOptions{Claims: claims, Start: func(kept []pod.Claim) {
				a.progress("removing everything in %s", root)
				for _, c := range kept {
					a.progress("claim %s/%s stays, with its files in %s; reset --yes --claims removes it", c.Namespace, c.Name, filepath.Join(root, "claims"))
				}
			}})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really do it")
	cmd.Flags().BoolVar(&claims, "claims", false, "remove the files of PersistentVolumeClaims, too")
	return cmd
}
