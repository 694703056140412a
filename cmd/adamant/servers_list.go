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
other servers, and the groups of each.

A server that cannot be used (a template, a vault, a connection other than SSH),
and a part of an inventory that cannot be read, is listed as REFUSED with its
file, line and reason, and the exit code is 4. The others are usable.`,
		Example: `  adamant servers list -i hosts.ini
  adamant servers list -i inventory/ 'web:!web-3' -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := w.hosts(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			return a.printVerdict(report.NewServerList(s))
		},
	}
	w.flags(cmd)
	return cmd
}
