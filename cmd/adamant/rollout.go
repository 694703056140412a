package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newRolloutCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "See and steer how a workload is replaced",
		Example: `  adamant rollout status web -w
  adamant rollout undo web`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newRolloutStatusCommand(a),
		a.alsoInCluster(a.workloadCommand("pause", "Stop a rollout where it is", "  adamant rollout pause web", a.command("pause", "paused")),
			a.steerThere(func(t target, ctx context.Context) error { return t.Pause(ctx, t.namespace, t.name) }, "paused")),
		a.alsoInCluster(a.workloadCommand("resume", "Let a paused rollout go on: a canary's step, a blue/green switch", "  adamant rollout resume web", a.command("resume", "resumed")),
			a.steerThere(func(t target, ctx context.Context) error { return t.Unpause(ctx, t.namespace, t.name) }, "resumed")),
		newRolloutUndoCommand(a),
		newRolloutHistoryCommand(a),
	)
	return cmd
}

func newRolloutStatusCommand(a *app) *cobra.Command {
	var watch bool
	cmd := a.workloadCommand("status", "Show how far a rollout is", `  adamant rollout status web
  adamant rollout status web -w     # draw it until it has ended`, func(ctx context.Context, c *api.Client, s local.Status) error {
		if watch {
			var err error
			if s, err = a.newWatcher(c).watch(ctx, s.Key); err != nil {
				return err
			}
		}
		doc := local.NewDocument(s)
		if a.document() {
			return a.printVerdict(doc)
		}
		if !watch {
			fmt.Fprintln(a.out, s.Line())
		}
		return exitWith(doc.Verdict())
	})
	cmd.Long = `Status says how far the latest rollout is. With --watch it draws the instances, old
and new, until the rollout has ended. It exits 3 if that was rolled back or failed.`
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it until it has ended")
	return a.alsoInCluster(cmd, func(ctx context.Context, t target) error {
		if watch {
			r, err := t.Resume(ctx, t.namespace, t.name, a.clusterOptions())
			if err != nil {
				return err
			}
			return a.printRollouts(r)
		}
		s, err := t.Status(ctx, t.namespace, t.name)
		if err != nil {
			return err
		}
		return a.printVerdict(report.NewClusterStatus(s))
	})
}

// command returns a function that runs a verb on a workload.
func (a *app) command(verb, done string) func(context.Context, *api.Client, local.Status) error {
	return func(ctx context.Context, c *api.Client, s local.Status) error {
		if _, err := c.Command(ctx, s.Key, verb, api.CommandRequest{}); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s/%s %s\n", s.Kind, s.Name, done)
		return nil
	}
}

func newRolloutUndoCommand(a *app) *cobra.Command {
	var to int
	cmd := a.workloadCommand("undo", "Go back to an earlier generation", `  adamant rollout undo web
  adamant rollout undo web --to 3`, func(ctx context.Context, c *api.Client, s local.Status) error {
		answer, err := c.Command(ctx, s.Key, "undo", api.CommandRequest{To: to})
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s/%s goes back to generation %d\n", s.Kind, s.Name, answer.To)
		return nil
	})
	cmd.Long = `Undo rolls an earlier generation out: the last that completed its rollout, or the
one that --to names. One that was aborted is never chosen by itself.`
	cmd.Flags().IntVar(&to, "to", 0, "generation to go back to (default: the last good one)")
	return a.alsoInCluster(cmd, func(ctx context.Context, t target) error {
		r, err := t.Undo(ctx, t.namespace, t.name, to, a.clusterOptions())
		if err != nil {
			return err
		}
		return a.printRollouts(r)
	})
}

func newRolloutHistoryCommand(a *app) *cobra.Command {
	cmd := a.refCommand("history", "List every rollout: what, who, when and how it ended", `  adamant rollout history web
  adamant rollout history web -o json > history.json`, func(ctx context.Context, c *api.Client, r api.Ref) error {
		h, err := c.FindHistory(ctx, r)
		if err != nil {
			return err
		}
		return a.print(local.NewHistoryDocument(h))
	})
	cmd.Long = `History lists the rollouts of a workload, the oldest first, and what happened to it,
also after it was deleted. With -o json it is complete, pod templates and pinned
images included; secrets are left out.`
	return a.alsoInCluster(cmd, a.historyThere)
}

func newScaleCommand(a *app) *cobra.Command {
	var replicas int
	cmd := a.workloadCommand("scale", "Change how many instances a workload has", "  adamant scale web --replicas 3", func(ctx context.Context, c *api.Client, s local.Status) error {
		if replicas < 0 {
			return usagef("say how many: --replicas N")
		}
		if _, err := c.Command(ctx, s.Key, "scale", api.CommandRequest{Replicas: replicas}); err != nil {
			return err
		}
		count := text.Count(replicas, "instance")
		if replicas == 0 {
			count = "0 instances" // scripts read the number
		}
		fmt.Fprintf(a.out, "%s/%s scaled to %s\n", s.Kind, s.Name, count)
		return nil
	})
	cmd.Long = "Scale holds until the next apply, whose manifest says how many it wants."
	cmd.Flags().IntVar(&replicas, "replicas", -1, "how many instances")
	must(cmd.RegisterFlagCompletionFunc("replicas", choices("1", "2", "3")))
	return cmd
}
