package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

func newServersPlanCommand(a *app) *cobra.Command {
	var w which
	var baseline string
	cmd := &cobra.Command{
		Use:   "plan PATTERN...",
		Short: "Put both remedies side by side: repair in place, or replace",
		Long: `Plan compares servers and changes nothing. For each one that deviates it shows
what repairing it in place would change; and what replacing all of them by
instances of one image would take: the image of a server that does not deviate,
its services and data, and what could not be captured.

It exits 0 if nothing deviates, 3 if something does, and 4 if not all is known.`,
		Example: `  adamant servers plan -i hosts.ini web
  adamant servers plan -i hosts.ini web --baseline web-1 -o json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := w.group(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			ref, err := openReference(cmd.Context(), g, baseline)
			if err != nil {
				return err
			}
			defer ref.Close()
			c, err := g.Compare(cmd.Context(), ref)
			if err != nil {
				return err
			}
			d := report.ServerPlan{Header: document.NewHeader(document.ServerPlan), Unreached: c.Unreached}
			d.Repair, d.Split = servers.Repairs(c)
			complete, err := a.planReplacement(cmd.Context(), g, &d, c)
			if err != nil {
				return err
			}
			return a.printPlan(d, c, complete)
		},
	}
	w.reachFlags(cmd)
	cmd.Flags().StringVar(&baseline, "baseline", "", baselineUsage)
	return cmd
}

// planReplacement adds to a plan how the first server that deviates in nothing would
// be captured. It reports whether all of that server could be read.
func (a *app) planReplacement(ctx context.Context, g *servers.Group, d *report.ServerPlan, c servers.Comparison) (bool, error) {
	h, found := g.Model(c, d.Repair)
	if !found {
		return true, nil
	}
	a.progress("reading how %s would be captured", h.Name)
	p, err := servers.PlanCapture(ctx, h, g.Options)
	if err != nil {
		return false, err
	}
	d.Replace = &report.Replacement{
		Like: h.Name, Packages: p.Packages.Bytes, Config: p.Config.Bytes,
		Services: p.Services, Data: p.Data, Losses: p.Losses,
	}
	return p.Complete(), nil
}

func (a *app) printPlan(d report.ServerPlan, c servers.Comparison, complete bool) error {
	if a.json() {
		if d.Repair == nil {
			d.Repair = []servers.Repair{}
		}
		if err := a.printJSON(d); err != nil {
			return err
		}
	} else {
		a.printPlanText(d)
	}
	if !complete {
		return exitWith(report.Incomplete)
	}
	return exitWith(report.VerdictOf(c))
}

func (a *app) printPlanText(d report.ServerPlan) {
	line := func(format string, args ...any) { fmt.Fprintln(a.out, text.EscapeLines(fmt.Sprintf(format, args...))) }
	line("repair in place")
	if len(d.Repair) == 0 {
		line("  nothing: no server deviates")
	}
	for _, r := range d.Repair {
		line("  %s", r.Server)
		if len(r.Packages) > 0 {
			var flags []string
			for _, p := range r.Packages {
				flags = append(flags, "--package "+p.String())
			}
			line("    adamant servers update %s %s", r.Server, strings.Join(flags, " "))
		}
		for _, part := range []struct {
			what  string
			items []string
		}{{"purge", r.Purge}, {"copy from another", r.Copy}, {"remove", r.Remove}, {"by hand", r.ByHand}} {
			for i, item := range part.items {
				if i == listed {
					line("    … and %d more to %s", len(part.items)-i, part.what)
					break
				}
				line("    %s: %s", part.what, item)
			}
		}
	}
	if d.Split > 0 {
		line("  %d differences are split: decide who is right, with --baseline", d.Split)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Unreached)) {
		line("  UNREACHED %s: %s", name, clip(d.Unreached[name], 300))
	}
	a.printReplacement(d.Replace, line)
}

func (a *app) printReplacement(r *report.Replacement, line func(string, ...any)) {
	line("replace")
	if r == nil {
		line("  no server is as most are: nothing is right to be captured")
		return
	}
	line("  all of them by instances of one image, captured from %s: packages %s, configuration %s", r.Like, size(r.Packages), size(r.Config))
	for _, s := range r.Services {
		line("    service %s: %s%s", s.Name, strings.Join(s.Command, " "), ports(s))
	}
	if len(r.Services) == 0 {
		line("    no service that would run in a container")
	}
	for _, d := range r.Data {
		line("    data %s: %d files, %s", d.Path, d.Entries, size(d.Bytes))
	}
	line("    not captured: %d things; adamant servers capture %s --out DIR lists them", len(r.Losses), r.Like)
}
