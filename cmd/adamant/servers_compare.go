package main

import (
	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
)

func newServersCompareCommand(a *app) *cobra.Command {
	var w comparisonFlags
	var o report.ServersOptions
	var records string
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
			return w.compare(cmd.Context(), a, args, func(g *servers.Group, ref *servers.Reference) error {
				c, err := g.Compare(cmd.Context(), ref)
				if err != nil {
					return err
				}
				a.attribute(&c, records)
				return a.printVerdict(report.NewServerComparison(c, o))
			})
		},
	}
	w.compareFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&records, "records", "", "directory of the records of updates, also $ADAMANT_RECORDS (default ~/.local/state/adamant/servers)")
	flags.BoolVar(&w.reach.Full, "full", false, "read all files again, and trust nothing that was remembered")
	flags.BoolVar(&o.All, "all", false, "list all files of a cause")
	flags.BoolVar(&o.NoDiff, "no-diff", false, "leave the text diffs out")
	return cmd
}

// attribute adds the updates of this user to the causes that they explain.
func (a *app) attribute(c *servers.Comparison, records string) {
	dir, err := recordsDir(records)
	if err == nil {
		err = servers.Attribute(c, dir)
	}
	if err != nil {
		a.progress("note: what differences come of is not known: %v", err)
	}
}
