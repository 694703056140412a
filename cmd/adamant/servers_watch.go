package main

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// watchFlags are how servers are watched.
type watchFlags struct {
	which
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
	hosts, err := w.hosts(ctx, a, patterns)
	if err != nil {
		return err
	}
	o, err := w.visits(a)
	if err != nil {
		return err
	}
	right, err := openBaseline(ctx, w.baseline, hosts)
	if err != nil {
		return err
	}
	defer right.close()
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	var last, good *compare.Comparison
	for round := 1; ; round++ {
		c, err := w.compare(ctx, a, hosts, o, right, nil)
		if ctx.Err() != nil {
			return nil // Ctrl-C is how it ends
		}
		if err != nil {
			a.progress("round %d: %v", round, err)
			c = failedRound(hosts, c.Unreached, good, err)
		} else {
			a.blame(&c, w.records)
			good = &c
		}
		if err := w.tell(a, c, last); err != nil {
			return err
		}
		if round == w.rounds {
			return exitWith(report.VerdictOf(c))
		}
		last = &c
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// failedRound is what is known after a round that compared nothing: what the last
// good one found, which is not gone, and that no server was looked at since.
func failedRound(hosts []inventory.Host, unreached map[string]string, good *compare.Comparison, err error) compare.Comparison {
	c := compare.Comparison{Unreached: unreached, Unknowns: map[string][]facts.Unknown{}}
	if good != nil {
		c.Causes, c.Alarms = good.Causes, good.Alarms
		maps.Copy(c.Unknowns, good.Unknowns)
	}
	for _, h := range hosts {
		if unreached[h.Name] == "" {
			c.Servers = append(c.Servers, h.Name)
			u := facts.Unknown{Path: "/", Reason: "it was not compared: " + err.Error()}
			c.Unknowns[h.Name] = append(slices.Clone(c.Unknowns[h.Name]), u)
		}
	}
	return c
}

// tell writes what changed, and the files.
func (w *watchFlags) tell(a *app, c compare.Comparison, last *compare.Comparison) error {
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
	news := report.NewsOf(c, last)
	if a.json() {
		return json.NewEncoder(a.out).Encode(report.ServerWatch{Header: document.NewHeader(document.ServerWatch), At: at, News: news})
	}
	return report.WriteNews(a.out, news, at, a.colored(a.out))
}
