package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
)

func newServersSnapshotCommand(a *app) *cobra.Command {
	var w serverFlags
	var out string
	var full bool
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
			h, err := w.host(cmd.Context(), a, args[0], "a snapshot is of one")
			if err != nil {
				return err
			}
			o, err := w.options(a)
			if err != nil {
				return err
			}
			o.Full = full
			s, err := servers.TakeSnapshot(cmd.Context(), h, o)
			if err != nil {
				return err
			}
			if err := durable.Write(out, 0o600, func(w io.Writer) error { return s.Write(w) }); err != nil {
				return fmt.Errorf("write snapshot: %w", err)
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
	cmd.Flags().BoolVar(&full, "full", false, "read all files again, and trust nothing that was remembered")
	return cmd
}
