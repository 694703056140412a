package main

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
)

// watchFlags are the flags of a watch.
type watchFlags struct {
	serverFlags
	baseline, records string
	metrics, reports  string
	every             time.Duration
	rounds            int
}

func newServersWatchCommand(a *app) *cobra.Command {
	var w watchFlags
	cmd := &cobra.Command{
		Use:   "watch PATTERN...",
		Short: "Compare servers again and again, and tell what changed since",
		Long: `Watch compares servers on a schedule and tells what is new and what is gone since
the last time; the first time it tells all. With -o json each round is one
document on a line of its own.

--metrics writes the state for Prometheus' textfile collector, --openreports as a
ClusterReport of openreports.io/v1alpha1, which kubectl apply takes. Both files
are always whole.

A round in which nothing could be compared, as while the baseline boots, is
incomplete, and the next one is made. It ends with Ctrl-C, or after --rounds,
with the exit code of the last comparison.`,
		Example: `  adamant servers watch -i hosts.ini web --every 15m
  adamant servers watch -i hosts.ini web --metrics /var/lib/node_exporter/adamant.prom
  adamant servers watch -i hosts.ini web --rounds 1 --openreports report.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if w.every < time.Second {
				return usagef("--every %v: want a second or more", w.every)
			}
			return w.watch(cmd.Context(), a, args)
		},
	}
	w.reachFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&w.baseline, "baseline", "", baselineUsage)
	flags.StringVar(&w.records, "records", "", "directory of the records of updates, also $ADAMANT_RECORDS (default ~/.local/state/adamant/servers)")
	flags.DurationVar(&w.every, "every", 10*time.Minute, "from the begin of a comparison to that of the next")
	flags.IntVar(&w.rounds, "rounds", 0, "end after so many comparisons (default: never)")
	flags.StringVar(&w.metrics, "metrics", "", "file for the metrics")
	flags.StringVar(&w.reports, "openreports", "", "file for the ClusterReport, as JSON")
	return cmd
}

func (w *watchFlags) watch(ctx context.Context, a *app, patterns []string) error {
	g, err := w.group(ctx, a, patterns)
	if err != nil {
		return err
	}
	ref, err := openReference(ctx, g, w.baseline)
	if err != nil {
		return err
	}
	defer ref.Close()
	last, err := g.Watch(ctx, servers.WatchOptions{Reference: ref, Every: w.every, Rounds: w.rounds}, func(r *servers.Round) error {
		if r.Err != nil {
			a.progress("round %d: %v", r.Number, r.Err)
		} else {
			a.attribute(&r.Comparison, w.records)
		}
		return w.printRound(a, r.Comparison, r.Last)
	})
	if last == nil {
		return err // nil if a signal ended the watch
	}
	return exitWith(report.VerdictOf(*last))
}

// printRound prints the changes since the last round and writes the files for metrics
// and reports.
func (w *watchFlags) printRound(a *app, c servers.Comparison, last *servers.Comparison) error {
	at := time.Now()
	if w.metrics != "" {
		err := durable.Write(w.metrics, 0o644, func(f io.Writer) error { return report.ServersMetrics(f, c, at) })
		if err != nil {
			return err
		}
	}
	if w.reports != "" {
		text, err := json.MarshalIndent(report.ServersOpenReport(c, at), "", "  ")
		if err == nil {
			err = durable.WriteFile(w.reports, append(text, '\n'), 0o644)
		}
		if err != nil {
			return err
		}
	}
	return w.printer(a).Print(report.NewServerWatch(report.NewsOf(c, last), at))
}

// printer returns the printer of --output. Each round is one line of JSON.
func (w *watchFlags) printer(a *app) report.Printer {
	if a.json() {
		return report.JSONLinePrinter{Out: a.out}
	}
	return a.printer()
}
