package main

import (
	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/api"
)

func newEventsCommand(a *app) *cobra.Command {
	var in scope
	var watch bool
	cmd := &cobra.Command{
		Use:   "events [WORKLOAD]",
		Short: "List what happened to the workloads, and follow it",
		Long: `Events lists what happened to all workloads or to one, the oldest first, also after
it was deleted. The daemon keeps the latest 10,000. With --watch it goes on until
Ctrl-C, also over a restart of the daemon. With -o json each event is an item of
one document or, with --watch, a document on a line of its own.`,
		Example: `  adamant events
  adamant events web -w
  adamant events -w -o json >> events.jsonl`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			ref := api.Ref{Namespace: in.namespace()}
			if len(args) > 0 {
				var err error
				if ref, err = in.ref(args[0]); err != nil {
					return err
				}
			}
			c := a.client()
			defer c.Close()
			printer := a.printer()
			if watch && report.Format(a.output) == report.FormatJSON {
				printer = report.JSONLinePrinter{Out: a.out}
			}
			return c.PrintEvents(cmd.Context(), ref, watch, printer)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on with what happens")
	return a.addScope(&in, cmd)
}
