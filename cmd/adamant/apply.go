package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newApplyCommand(a *app) *cobra.Command {
	var in scope
	var files manifestFlag
	var kubeContext string
	var wait, retry, force bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "apply FILE...",
		Short: "Declare workloads, and replace what is different",
		Long: `Apply tells the daemon (adamant serve) what is to run. What is new is started;
what is different is replaced by a new generation, as the workload's strategy
says; if that fails, what ran before runs again. Images are pinned: the same tag
with other content is another generation.

A version that was rolled back is not tried again, which exits 3: --retry tries it.

With --wait it shows the rollouts and returns once they have ended, with exit
code 3 if one was rolled back or failed, or another took its place. That of a Job
ends when the Job is complete or has failed.

With --context the manifest goes to a Kubernetes cluster instead, in which every
Deployment is rolled out, watched and rolled back in the same way; it always waits
then, and exits 4 if pods could not be compared with their images. If it is killed,
the Deployment's own controller goes on. Fields that others manage are refused,
unless --force-conflicts is set.`,
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
				opts := a.clusterOptions()
				opts.Timeout, opts.Force = timeout, force
				return a.applyToCluster(cmd.Context(), f, in, kubeContext, opts)
			}
			out, err := a.apply(cmd.Context(), f, in, false, retry)
			if err != nil {
				return err
			}
			if !wait {
				return a.printOutcome(out, false)
			}
			// With --wait, the document is that of the rollouts.
			if !a.document() {
				if err := a.printOutcome(out, false); err != nil && !errors.Is(err, status(report.Incomplete)) {
					return err
				}
			}
			return a.waitAll(cmd.Context(), out, timeout)
		},
	}
	files.add(cmd, "apply")
	files.addConfigMaps(cmd)
	a.addNamespace(&in, cmd, namespaceOfObjects)
	withFormats(cmd, report.FormatName)
	cmd.Flags().StringVar(&kubeContext, "context", "", "context of the kubeconfig: apply to that cluster")
	cmd.Flags().BoolVar(&wait, "wait", false, "show the rollouts and wait until they have ended")
	cmd.Flags().BoolVar(&retry, "retry", false, "try a version again that was rolled back or failed")
	cmd.Flags().BoolVar(&force, "force-conflicts", false, "with --context: take over fields that others manage")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up waiting after this long (default: never)")
	return cmd
}

func newDiffCommand(a *app) *cobra.Command {
	var in scope
	var files manifestFlag
	var kubeContext string
	var force bool
	cmd := &cobra.Command{
		Use:   "diff FILE...",
		Short: "Show what an apply would replace, before it does",
		Long: `Diff compares a manifest with what is declared, images by what their names mean
now. It changes nothing, and exits 3 if something would change.

With --context it asks the cluster what adamant apply --context would change there,
field by field, by a dry run of its API server.`,
		Example: `  adamant diff web.yaml
  adamant diff web.yaml --context production
  adamant diff -f web.yaml -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := files.loadOne(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("context") {
				return a.diffInCluster(cmd.Context(), f, in, kubeContext, force)
			}
			out, err := a.apply(cmd.Context(), f, in, true, false)
			if err != nil {
				return err
			}
			return a.printOutcome(out, true)
		},
	}
	cmd.Flags().StringVar(&kubeContext, "context", "", "context of the kubeconfig: compare with that cluster")
	cmd.Flags().BoolVar(&force, "force-conflicts", false, "with --context: as if fields that others manage were taken over")
	files.add(cmd, "compare")
	files.addConfigMaps(cmd)
	a.addNamespace(&in, cmd, namespaceOfObjects)
	withFormats(cmd, report.FormatName)
	return cmd
}

func (a *app) apply(ctx context.Context, f manifest.File, in scope, dry, retry bool) (local.Outcome, error) {
	c := a.client()
	defer c.Close()
	r := api.NewApplyRequest(f, dry)
	r.Retry, r.Namespace = retry, in.namespace()
	return c.Apply(ctx, r)
}

func (a *app) printOutcome(out local.Outcome, dry bool) error {
	err := a.printVerdict(local.NewOutcomeDocument(out, dry))
	if !a.document() {
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
	list.PassedOver = out.PassedOver
	if a.document() {
		if err := a.print(list); err != nil {
			return err
		}
	}
	return exitWith(max(list.RolloutVerdict(), out.Completeness()))
}

func newGetCommand(a *app) *cobra.Command {
	var in scope
	cmd := &cobra.Command{
		Use:     "get",
		Aliases: []string{"workloads"},
		Short:   "List the declared workloads",
		Example: `  adamant get
  adamant get --context production
  adamant get -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := a.client()
			defer c.Close()
			list, err := c.ListIn(cmd.Context(), in.namespace())
			if err != nil {
				return err
			}
			return a.printVerdict(local.NewWorkloadList(list))
		},
	}
	a.addScope(&in, cmd)
	return a.alsoInCluster(withFormats(cmd, report.FormatWide, report.FormatName), a.statusThere)
}
