package main

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
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
	cmd.AddCommand(newRolloutStatusCommand(a), newRolloutPauseCommand(a), newRolloutResumeCommand(a), newRolloutUndoCommand(a), newRolloutHistoryCommand(a))
	return cmd
}

func newRolloutStatusCommand(a *app) *cobra.Command {
	var watch bool
	cmd := a.on("status", "Show how far a rollout is", `  adamant rollout status web
  adamant rollout status web -w     # draw it until it has ended`, func(ctx context.Context, c *api.Client, s local.Status) error {
		if watch {
			var err error
			if s, err = a.newWatcher(c).watch(ctx, s.Key); err != nil {
				return err
			}
		}
		switch {
		case a.json():
			if err := a.printJSON(local.NewDocument(s)); err != nil {
				return err
			}
		case !watch:
			fmt.Fprintln(a.out, progressOf(s))
		}
		if s.Phase == rollout.RolledBack || s.Phase == rollout.Failed || s.Phase == rollout.RollingBack {
			return exitWith(report.Findings)
		}
		return nil
	})
	cmd.Long = `Status says how far the latest rollout is. With --watch it draws the instances, old
and new, until the rollout has ended. It exits 3 if that was rolled back or failed.`
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it until it has ended")
	return cmd
}

func newRolloutPauseCommand(a *app) *cobra.Command {
	return a.on("pause", "Stop a rollout where it is", "  adamant rollout pause web", func(ctx context.Context, c *api.Client, s local.Status) error {
		if _, err := c.Command(ctx, s.Key, "pause", api.CommandRequest{}); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s/%s paused\n", s.Kind, s.Name)
		return nil
	})
}

func newRolloutResumeCommand(a *app) *cobra.Command {
	return a.on("resume", "Let a paused rollout go on: a canary's step, a blue/green switch", "  adamant rollout resume web", func(ctx context.Context, c *api.Client, s local.Status) error {
		if _, err := c.Command(ctx, s.Key, "resume", api.CommandRequest{}); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s/%s resumed\n", s.Kind, s.Name)
		return nil
	})
}

func newRolloutUndoCommand(a *app) *cobra.Command {
	var to int
	cmd := a.on("undo", "Go back to an earlier generation", `  adamant rollout undo web
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
	return cmd
}

func newRolloutHistoryCommand(a *app) *cobra.Command {
	cmd := a.on("history", "List every rollout: what, who, when and how it ended", `  adamant rollout history web
  adamant rollout history web -o json > history.json`, func(ctx context.Context, c *api.Client, s local.Status) error {
		h, err := c.History(ctx, s.Key)
		if err != nil {
			return err
		}
		if a.json() {
			return a.printJSON(local.HistoryDocument{Header: document.NewHeader(document.History), History: h})
		}
		return a.printHistory(h)
	})
	cmd.Long = `History lists the rollouts of a workload, the oldest first, and what happened to it.
With -o json it is complete, pod templates and pinned images included; secrets are
left out.`
	return cmd
}

func (a *app) printHistory(h local.History) error {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ROLLOUT\tGENERATION\tIMAGES\tBY\tCAUSE\tBEGAN\tTOOK\tOUTCOME\tREASON")
	images := map[int]string{}
	for _, g := range h.Generations {
		for i, p := range g.Images {
			if i > 0 {
				images[g.Number] += ","
			}
			images[g.Number] += p.Image
		}
	}
	for _, r := range h.Rollouts {
		took := "-"
		if !r.Ended.IsZero() {
			took = r.Ended.Sub(r.Began).Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Number, r.Generation, orDash(text.EscapeLines(images[r.Generation])), text.EscapeLines(r.By.String()), r.Cause,
			r.Began.Local().Format(time.DateTime), took, r.Outcome, text.EscapeLines(cut(firstLineOf(r.Reason), 80)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	for _, e := range h.Events {
		fmt.Fprintf(a.out, "%s  %-13s %s\n", e.Time.Local().Format(time.DateTime), e.Reason, text.EscapeLines(firstLineOf(e.Message)))
	}
	return nil
}

func newScaleCommand(a *app) *cobra.Command {
	var replicas int
	cmd := a.on("scale", "Change how many instances a workload has", "  adamant scale web --replicas 3", func(ctx context.Context, c *api.Client, s local.Status) error {
		if replicas < 0 {
			return usagef("say how many: --replicas N")
		}
		if _, err := c.Command(ctx, s.Key, "scale", api.CommandRequest{Replicas: replicas}); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s/%s scaled to %s\n", s.Kind, s.Name, text.Count(replicas, "instance"))
		return nil
	})
	cmd.Long = "Scale holds until the next apply, whose manifest says how many it wants."
	cmd.Flags().IntVar(&replicas, "replicas", -1, "how many instances")
	must(cmd.RegisterFlagCompletionFunc("replicas", choices(strconv.Itoa(1), strconv.Itoa(2), strconv.Itoa(3))))
	return cmd
}
