package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
)

// watchFlags are the flags of a watch.
type watchFlags struct {
	comparisonFlags
	records  string
	files    report.ServersFiles
	schedule servers.WatchOptions
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
		RunE: func(cmd *cobra.Command, args []string) error { return w.do(cmd.Context(), a, args) },
	}
	w.compareFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&w.records, "records", "", "directory of the records of updates, also $ADAMANT_RECORDS (default ~/.local/state/adamant/servers)")
	flags.DurationVar(&w.schedule.Every, "every", 10*time.Minute, "from the begin of a comparison to that of the next")
	flags.IntVar(&w.schedule.Rounds, "rounds", 0, "end after so many comparisons (default: never)")
	flags.StringVar(&w.files.Metrics, "metrics", "", "file for the metrics")
	flags.StringVar(&w.files.OpenReports, "openreports", "", "file for the ClusterReport, as JSON")
	return cmd
}

func (w *watchFlags) do(ctx context.Context, a *app, patterns []string) error {
	if w.schedule.Every < time.Second {
		return usagef("--every %v: want a second or more", w.schedule.Every)
	}
	return w.compare(ctx, a, patterns, func(g *servers.Group, ref *servers.Reference) error {
		w.schedule.Reference = ref
		last, err := g.Watch(ctx, w.schedule, func(r *servers.Round) error { return w.printRound(a, r) })
		if last == nil {
			return err // nil if a signal ended the watch
		}
		return exitWith(report.VerdictOf(*last))
	})
}

// printRound prints the changes since the last round and writes the files for metrics
// and reports.
func (w *watchFlags) printRound(a *app, r *servers.Round) error {
	if r.Err != nil {
		a.progress("round %d: %v", r.Number, r.Err)
	} else {
		a.attribute(&r.Comparison, w.records)
	}
	at := time.Now()
	if err := w.files.Write(r.Comparison, at); err != nil {
		return err
	}
	printer := a.printer()
	if a.output == string(report.FormatJSON) {
		printer = report.JSONLinePrinter{Out: a.out}
	}
	return printer.Print(report.NewServerWatch(report.NewsOf(r.Comparison, r.Last), at))
}
