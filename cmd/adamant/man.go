package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCommand returns the command by which packages get their man pages.
func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the man pages of all commands",
		Long: `Man writes one man page for each command to a directory, which it creates if it
is missing. $SOURCE_DATE_EPOCH, in seconds, sets their date.`,
		Example: `  adamant man /usr/local/share/man/man1`,
		Args:    cobra.ExactArgs(1),
		Hidden:  true, // for those who make packages
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true // it would have the day of the build
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "adamant", Manual: "Adamant"}, args[0]); err != nil {
				return fmt.Errorf("write man pages: %w", err)
			}
			return nil
		},
	}
}
