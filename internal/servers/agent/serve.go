package agent

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

func newServeCommand(a streams) *cobra.Command {
	var root, cache string
	var full bool
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Answer what another adamant asks of this server; what visits run on it",
		Long: `Agent reads this server and answers on its standard streams until they end. It
changes nothing but what it remembers of the files that it read, in ~/.cache/adamant.`,
		Example: `  adamant servers agent --root /mnt/disk`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := rootfs.Open(root)
			if err != nil {
				return fmt.Errorf("open the root: %w", err)
			}
			defer r.Close()
			o := facts.ServeOptions{Live: root == "/", Scan: facts.ScanOptions{Cache: cache, Full: full}}
			return facts.Serve(cmd.Context(), r, o, a.in, a.out)
		},
	}
	cmd.Flags().StringVar(&root, "root", "/", "a directory that is the server's root")
	cmd.Flags().StringVar(&cache, "cache", "", "a file that keeps what was read until the next time")
	cmd.Flags().BoolVar(&full, "full", false, "read all files again")
	return cmd
}
