package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/servers/capture"
	visit "github.com/adamant-sh/adamant/internal/servers/connect"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/waves"
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
			hosts, err := w.hosts(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			o, err := w.visits(a)
			if err != nil {
				return err
			}
			right, err := openBaseline(cmd.Context(), baseline, hosts)
			if err != nil {
				return err
			}
			defer right.close()
			c, err := w.compare(cmd.Context(), a, hosts, o, right, nil)
			if err != nil {
				return err
			}
			d := planDocument{APIVersion: apiVersion, Kind: "ServerPlan", Unreached: c.Unreached}
			d.Repair, d.Split = waves.Repairs(c)
			if err := d.replace(cmd.Context(), a, hosts, o, c); err != nil {
				return err
			}
			return a.printPlan(d, c)
		},
	}
	w.reachFlags(cmd)
	cmd.Flags().StringVar(&baseline, "baseline", "", baselineUsage)
	return cmd
}

// The document of `servers plan -o json`.
type planDocument struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Repair     []waves.Repair    `json:"repair"`
	Split      int               `json:"split"` // differences of which nobody is right
	Replace    *replacement      `json:"replace,omitempty"`
	Unreached  map[string]string `json:"unreached,omitempty"`
}

// A replacement is what would run instead of all the servers.
type replacement struct {
	Like     string            `json:"like"` // the server that would be captured
	Packages int64             `json:"packagesBytes"`
	Config   int64             `json:"configBytes"`
	Services []capture.Service `json:"services"`
	Data     []capture.Data    `json:"data"`
	Losses   []capture.Loss    `json:"losses"`
	complete bool              // all of it could be read
}

// replace surveys the first server that deviates in nothing.
func (d *planDocument) replace(ctx context.Context, a *app, hosts []inventory.Host, o visit.Options, c facts.Comparison) error {
	i := slices.IndexFunc(hosts, func(h inventory.Host) bool {
		return c.Unreached[h.Name] == "" && !slices.ContainsFunc(d.Repair, func(r waves.Repair) bool { return r.Server == h.Name })
	})
	if i < 0 {
		return nil
	}
	l, err := visit.Connect(ctx, hosts[i], o)
	if err != nil {
		return err
	}
	defer l.Close()
	a.progress("reading how %s would be captured", hosts[i].Name)
	text, err := l.Ask(ctx, []string{"part", "plan"})
	if err != nil {
		return fmt.Errorf("survey %s: %w", hosts[i].Name, err)
	}
	p, err := capture.ParsePlan(text)
	if err != nil {
		return fmt.Errorf("survey %s: %w", hosts[i].Name, err)
	}
	d.Replace = &replacement{hosts[i].Name, p.Packages.Bytes, p.Config.Bytes, p.Services, p.Data, p.Losses, p.Complete()}
	return nil
}

func (a *app) printPlan(d planDocument, c facts.Comparison) error {
	if a.json() {
		if d.Repair == nil {
			d.Repair = []waves.Repair{}
		}
		if err := a.printJSON(d); err != nil {
			return err
		}
	} else {
		a.printPlanText(d)
	}
	if r := d.Replace; r != nil && !r.complete {
		return status(exitIncomplete)
	}
	return exitOfComparison(c)
}

func (a *app) printPlanText(d planDocument) {
	line := func(format string, args ...any) { fmt.Fprintln(a.out, printable(fmt.Sprintf(format, args...))) }
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

func (a *app) printReplacement(r *replacement, line func(string, ...any)) {
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
