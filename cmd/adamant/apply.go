package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/cluster"
	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

func newApplyCommand(a *app) *cobra.Command {
	var files manifestFlag
	var kubeContext string
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "apply FILE...",
		Short: "Declare workloads, and replace what is different",
		Long: `Apply tells the daemon (adamant serve) what is to run. What is new is started;
what is different is replaced by a new generation, as the workload's strategy
says; if that fails, what ran before runs again. Images are pinned: the same tag
with other content is another generation.

With --wait it shows the rollouts and returns once they have ended, with exit
code 3 if one was rolled back or failed.

With --context the manifest goes to a Kubernetes cluster instead, in which every
Deployment is rolled out, watched and rolled back in the same way; it always waits
then, and exits 4 if pods could not be compared with their images.`,
		Example: `  adamant apply web.yaml
  adamant apply -f web.yaml --context production
  adamant apply -f deploy/ --wait
  adamant diff web.yaml      # what would be replaced, before it is`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := files.loadOne(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("context") {
				return a.applyToCluster(cmd.Context(), f, kubeContext, timeout)
			}
			out, err := a.apply(cmd.Context(), f, false)
			if err != nil {
				return err
			}
			// With --wait, the document is that of the rollouts.
			if !wait || !a.json() {
				if err := a.printOutcome(out, false); err != nil || !wait {
					return err
				}
			}
			return a.waitAll(cmd.Context(), out, timeout)
		},
	}
	files.add(cmd, "apply")
	cmd.Flags().StringVar(&kubeContext, "context", "", "context of the kubeconfig: apply to that cluster")
	cmd.Flags().BoolVar(&wait, "wait", false, "show the rollouts and wait until they have ended")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up waiting after this long (default: never)")
	return cmd
}

func newDiffCommand(a *app) *cobra.Command {
	var files manifestFlag
	cmd := &cobra.Command{
		Use:   "diff FILE...",
		Short: "Show what an apply would replace, before it does",
		Long: `Diff compares a manifest with what is declared, images by what their names mean
now. It changes nothing, and exits 3 if something would change.`,
		Example: `  adamant diff web.yaml
  adamant diff -f web.yaml -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := files.loadOne(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			out, err := a.apply(cmd.Context(), f, true)
			if err != nil {
				return err
			}
			return a.printOutcome(out, true)
		},
	}
	files.add(cmd, "compare")
	return cmd
}

func (a *app) apply(ctx context.Context, f manifest.File, dry bool) (local.Outcome, error) {
	c := a.client()
	defer c.Close()
	return c.Apply(ctx, api.NewApplyRequest(f, dry))
}

func (a *app) printOutcome(out local.Outcome, dry bool) error {
	err := a.printVerdict(local.NewOutcomeDocument(out, dry))
	if !a.json() {
		a.note(out.Notes...)
	}
	return err
}

// waitAll shows the rollouts of an apply until all have ended.
func (a *app) waitAll(ctx context.Context, out local.Outcome, timeout time.Duration) error {
	c := a.client()
	defer c.Close()
	ended, err := c.WaitRollouts(ctx, out, timeout, a.newWatcher(c).show)
	if err != nil {
		return err
	}
	list := local.NewWorkloadList(ended)
	if a.json() {
		return a.printVerdict(list)
	}
	return exitWith(list.Verdict())
}

func newGetCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "get",
		Aliases: []string{"workloads"},
		Short:   "List the declared workloads",
		Example: `  adamant get
  adamant get -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := a.client()
			defer c.Close()
			list, err := c.List(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(local.NewWorkloadList(list))
		},
	}
}

// applyToCluster applies a manifest in a Kubernetes cluster and waits for the
// rollouts of its Deployments.
func (a *app) applyToCluster(ctx context.Context, f manifest.File, kubeContext string, timeout time.Duration) error {
	objects, err := f.Raw()
	if err != nil {
		return err
	}
	c, err := cluster.Open("", kubeContext)
	if err != nil {
		return err
	}
	results, err := c.Apply(ctx, objects, cluster.Options{
		Event:   func(workload string, e rollout.Event) { a.progress("%s  %-12s %s", workload, e.Reason, e.Message) },
		Report:  func(workload string, err error) { a.progress("%s  %v; trying again", workload, err) },
		Timeout: timeout,
	})
	if err != nil {
		return hint{err, "apply again to go on: a Deployment that is being rolled out stays paused until then"}
	}
	if !a.json() {
		defer a.note(cluster.UncheckedNotes(results)...)
	}
	return a.printVerdict(report.NewClusterApplyResult(results))
}
