package main

import (
	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
)

func newServersListCommand(a *app) *cobra.Command {
	var w serverFlags
	cmd := &cobra.Command{
		Use:   "list [PATTERN...]",
		Short: "List the servers that patterns stand for, and how they are reached",
		Long: `List shows the servers, and connects to none: address, user, the way through
other servers, and the groups of each.`,
		Example: `  adamant servers list -i hosts.ini
  adamant servers list -i inventory/ 'web:!web-3' -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			hosts, err := w.hosts(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			return a.print(report.NewServerList(hosts))
		},
	}
	w.flags(cmd)
	return cmd
}
