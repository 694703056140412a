package main

import (
	"context"
	"errors"
	"maps"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	visit "github.com/adamant-sh/adamant/internal/servers/connect"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/waves"
)

func newServersCompareCommand(a *app) *cobra.Command {
	var w which
	var o report.ServersOptions
	var right, records string
	var full bool
	cmd := &cobra.Command{
		Use:   "compare [PATTERN...]",
		Short: "Find the odd one out of servers that should be the same",
		Long: `Compare reads all files of the servers with their packages, services, users,
scheduled jobs, settings of SSH, TLS and the kernel, and what runs, and shows what
is not the same on all, by cause: a package's other version and not its 400 files;
then what was edited by hand; then what follows from others.

Most servers decide what is right. Two against two, or one against one, is split:
it is not said who is right. What is bound to differ (host keys, machine-id,
logs, caches) is left out, and an alarm where servers share what identifies them.

It exits 0 if nothing differs, 3 if something does, and 4 if a server was not
reached or something could not be read.`,
		Example: `  adamant servers compare -i hosts.ini web
  adamant servers compare -i hosts.ini web --baseline web-1
  adamant servers compare -i hosts.ini web --baseline monday.snapshot
  adamant servers compare -i hosts.ini web --baseline ghcr.io/acme/web:1.2
  adamant servers compare -b root@10.0.0.1 ops@10.0.0.2 -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			hosts, err := w.hosts(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			vo, err := w.visits(a)
			if err != nil {
				return err
			}
			vo.Full = full
			base, err := openBaseline(cmd.Context(), right, hosts)
			if err != nil {
				return err
			}
			defer base.close()
			c, err := w.compare(cmd.Context(), a, hosts, vo, base, nil)
			if err != nil {
				return err
			}
			a.blame(&c, records)
			o.Color = a.colored(a.out)
			return a.printComparison(c, o)
		},
	}
	w.reachFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&right, "baseline", "", baselineUsage)
	flags.StringVar(&records, "records", "", "directory of the records of updates, also $ADAMANT_RECORDS (default ~/.local/state/adamant/servers)")
	flags.BoolVar(&full, "full", false, "read all files again, and trust nothing that was remembered")
	flags.BoolVar(&o.All, "all", false, "list all files of a cause")
	flags.BoolVar(&o.NoDiff, "no-diff", false, "leave the text diffs out")
	return cmd
}

// blame says what differences come of, by the records of updates from here. It
// writes nothing: who compares need not be one who may update.
func (a *app) blame(c *compare.Comparison, records string) {
	var list []waves.Record
	dir, err := recordsDir(records)
	if err == nil {
		list, err = waves.ReadHistory(dir)
	}
	if err != nil {
		a.progress("note: what differences come of is not known: %v", err)
		return
	}
	waves.AttributeCauses(c, list)
}

// compare visits all servers and compares those that were reached, each of which
// met is told of. With an error, what is returned says only who was not reached.
func (w *which) compare(ctx context.Context, a *app, hosts []inventory.Host, o visit.Options, right *yardstick, met func(*facts.Peer)) (compare.Comparison, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	visits := make([]*visit.Visit, len(hosts))
	errs := w.each(a, hosts, "reading servers", func(i int, h inventory.Host) (err error) {
		visits[i], err = visit.Open(ctx, h, o)
		return err
	})
	if ctx.Err() != nil {
		return compare.Comparison{}, ctx.Err()
	}
	unreached := map[string]string{}
	var peers []*facts.Peer
	base := right.peer
	if base != nil {
		peers = append(peers, base)
	}
	for i, v := range visits {
		if errs[i] != nil {
			unreached[hosts[i].Name] = errs[i].Error()
			continue
		}
		defer v.Close()
		peers = append(peers, v.Peer)
		if met != nil {
			met(v.Peer)
		}
		if v.Peer.Name == right.name {
			base = v.Peer
		}
	}
	if right.name != "" && base == nil {
		return compare.Comparison{Unreached: unreached}, noBaseline(right.name, unreached[right.name])
	}
	c, err := compare.Compare(ctx, peers, base)
	var lost *facts.PeerError
	if errors.As(err, &lost) {
		unreached[lost.Name] = lost.Err.Error()
		err = noBaseline(lost.Name, lost.Err.Error())
	}
	maps.Copy(c.Unreached, unreached)
	return c, err
}

func noBaseline(name, why string) error {
	return errors.New(name + ", the baseline, was not reached: " + why)
}

func (a *app) printComparison(c compare.Comparison, o report.ServersOptions) error {
	var err error
	if a.json() {
		err = a.printJSON(report.ServerComparison{Header: document.NewHeader(document.ServerComparison), Comparison: c})
	} else {
		err = report.Servers(a.out, c, o)
	}
	if err != nil {
		return err
	}
	return exitWith(report.VerdictOf(c))
}
