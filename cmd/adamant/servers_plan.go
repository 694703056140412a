package main

import (
	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
)

func newServersPlanCommand(a *app) *cobra.Command {
	var w comparisonFlags
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
			return w.compare(cmd.Context(), a, args, func(g *servers.Group, ref *servers.Reference) error {
				p, err := g.Plan(cmd.Context(), ref, func(server string) { a.progress("reading how %s would be captured", server) })
				if err != nil {
					return err
				}
				return a.printVerdict(report.NewServerPlan(p))
			})
		},
	}
	w.compareFlags(cmd)
	return cmd
}
