package main

import (
	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
)

func newServersSnapshotCommand(a *app) *cobra.Command {
	var w serverFlags
	var out string
	cmd := &cobra.Command{
		Use:   "snapshot SERVER --out FILE",
		Short: "Keep what a server is like, to compare with it later",
		Long: `Snapshot writes what identifies all files of a server, with its packages,
services, users and settings, into a compressed file. It holds no content of
files, but digests of all of them: who has it can tell whether a guess is right.

It exits 4 if something could not be read; the file is written all the same, and
says so when it is compared with.`,
		Example: `  adamant servers snapshot -i hosts.ini web-1 --out monday.snapshot
  adamant servers compare -i hosts.ini web --baseline monday.snapshot`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usagef("say where to with --out FILE")
			}
			h, o, err := w.host(cmd.Context(), a, args[0], "a snapshot is of one")
			if err != nil {
				return err
			}
			s, err := servers.SaveSnapshot(cmd.Context(), h, o, out)
			if err != nil {
				return err
			}
			result := report.NewServerSnapshot(s, out)
			if err := a.print(result); err != nil {
				return err
			}
			for _, u := range s.Summary.Unknowns {
				a.progress("could not be read: %s  (%s)", u.Path, u.Reason)
			}
			return exitWith(result.Verdict())
		},
	}
	w.reachFlags(cmd)
	cmd.Flags().StringVar(&out, "out", "", "file to write")
	cmd.Flags().BoolVar(&w.reach.Full, "full", false, "read all files again, and trust nothing that was remembered")
	return cmd
}
