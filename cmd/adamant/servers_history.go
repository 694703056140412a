package main

import (
	"cmp"
	"os"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
)

func newServersHistoryCommand(a *app) *cobra.Command {
	var records string
	cmd := &cobra.Command{
		Use:   "history [RUN]",
		Short: "Show what was changed on servers, why and by whom",
		Long: `History lists the runs of update from this machine, or tells all of one by its
number or id. Each record has the digest of the one before it: history exits 3 if
one was edited or taken out.`,
		Example: `  adamant servers history
  adamant servers history 7
  adamant servers history -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			history, err := openHistory(records)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				r, _, err := history.Find(args[0])
				if err != nil {
					return hint{err, "adamant servers history lists the runs"}
				}
				return a.print(report.ServerRun{ServerUpdate: report.NewServerUpdate(r)})
			}
			list, broken, err := history.Records()
			if err != nil {
				return err
			}
			return a.printVerdict(report.NewServerHistory(list, broken))
		},
	}
	cmd.Flags().StringVar(&records, "records", "", "directory of the records, also $ADAMANT_RECORDS (default ~/.local/state/adamant/servers)")
	return cmd
}

// openHistory opens the records of this user's updates.
func openHistory(dir string) (*servers.History, error) {
	dir, err := recordsDir(dir)
	if err != nil {
		return nil, err
	}
	return servers.OpenHistory(dir)
}

// recordsDir returns the directory of the records: that of the flag, of the
// environment or the default.
func recordsDir(flag string) (string, error) {
	if dir := cmp.Or(flag, os.Getenv("ADAMANT_RECORDS")); dir != "" {
		return dir, nil
	}
	dir, err := servers.DefaultRecordsDir()
	if err != nil {
		err = hint{err, "name a directory with --records"}
	}
	return dir, err
}
