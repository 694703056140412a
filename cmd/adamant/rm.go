package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newRmCommand(a *app) *cobra.Command {
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
				pods, err := e.FindAll(ctx, args)
				if all {
					pods, err = e.Pods(ctx)
				}
				if err != nil {
					return err
				}
				var errs []error
				for _, p := range pods {
					if err := p.Remove(ctx, grace, nil); err != nil {
						errs = append(errs, err)
						continue
					}
					fmt.Fprintln(a.out, p.Name)
				}
				return errors.Join(errs...)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "remove every pod")
	cmd.Flags().Int64Var(&grace, "grace", -1, "seconds to end in, instead of the pod's own grace period")
	return cmd
}

func newResetCommand(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset --yes",
		Short: "Remove everything: pods, images, network, the private containerd",
		Example: `  adamant reset --yes
  adamant reset --yes --data-dir /tmp/try --state-dir /tmp/try-state`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return usagef("this removes all pods and images of %s: confirm it with --yes", or(a.root, pod.DefaultRoot))
			}
			return a.reset(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really do it")
	return cmd
}

// reset removes everything that Adamant made below the two directories.
func (a *app) reset(ctx context.Context) error {
	if a.endpoint != "" {
		return usagef("reset is for the private containerd; remove pods of %s with: adamant rm --all", a.endpoint)
	}
	if err := needRoot(); err != nil {
		return err
	}
	root := or(a.root, pod.DefaultRoot)
	if err := local.Destroy(root); err != nil {
		return err
	}
	a.progress("removing everything in %s", root)
	if err := pod.Destroy(ctx, pod.Options{Root: a.root, State: a.state}); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(root, "learn")); err != nil {
		return err
	}
	for _, dir := range []string{root, or(a.state, pod.DefaultState)} {
		// Files that Adamant did not make stay, and their directory with them.
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	return nil
}
