// Package agentcmd has the command lines of the agent. cmd/adamant-agent and
// cmd/adamant share them, because adamant is sent to a server itself where no agent
// was built in for its architecture. The work is in internal/servers/agent.
package agentcmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/servers/agent"
)

// Commands returns the commands below "servers" that are run on a server.
func Commands(in io.Reader, out io.Writer) []*cobra.Command {
	return []*cobra.Command{newServeCommand(in, out), newChangeCommand(in, out), newPartCommand(in, out), newBootCommand(out)}
}

func newServeCommand(in io.Reader, out io.Writer) *cobra.Command {
	var o agent.ServeOptions
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Answer what another adamant asks of this server; what visits run on it",
		Long: `Agent reads this server and answers on its standard streams until they end. It
changes nothing but what it remembers of the files that it read, in ~/.cache/adamant.`,
		Example: `  adamant servers agent --root /mnt/disk`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return agent.Serve(cmd.Context(), o, in, out)
		},
	}
	cmd.Flags().StringVar(&o.Root, "root", "/", "a directory that is the server's root")
	cmd.Flags().StringVar(&o.Cache, "cache", "", "a file that keeps what was read until the next time")
	cmd.Flags().BoolVar(&o.Full, "full", false, "read all files again")
	return cmd
}

func newChangeCommand(in io.Reader, out io.Writer) *cobra.Command {
	var cache string
	cmd := &cobra.Command{
		Use:   "change begin|carry|follow|confirm|state|revert|list [ID] [WHY]",
		Short: "Carry out a change of this server; what updates run on it",
		Long: `Change carries out what an update on another machine asks for, so that it can be
taken back: begin reads a job as JSON and starts a process of its own, follow
tells how far it is, and confirm lets it stay. What it knows is below
` + agent.ChangeDir + `.`,
		Example: `  adamant servers change list
  adamant servers change revert 20261125-101500-ab12cd-web-1 'it was wrong'`,
		Args: cobra.RangeArgs(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := agent.ChangeRequest{Action: args[0], Why: "on demand", Cache: cache}
			if len(args) > 1 {
				r.ID = args[1]
			}
			if len(args) > 2 {
				r.Why = args[2]
			}
			return agent.Change(cmd.Context(), r, in, out)
		},
	}
	cmd.Flags().StringVar(&cache, "cache", "", "a file that keeps what was read until the next time")
	return cmd
}

func newPartCommand(in io.Reader, out io.Writer) *cobra.Command {
	var r agent.PartRequest
	var ports []uint
	cmd := &cobra.Command{
		Use:   "part plan|layer|data|secrets|connections [NAME]",
		Short: "Write one part of this server; what a capture runs on it",
		Long: `Part writes on standard output how this server would be captured (plan), or one
part of a plan, which it reads as JSON: a layer of the image, a data directory, or
the secrets. It can also count connections to ports. It changes nothing.`,
		Example: `  adamant servers part plan
  adamant servers part layer packages --root /mnt/disk`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Part = args[0]
			if len(args) > 1 {
				r.Name = args[1]
			}
			for _, p := range ports {
				if p > 65535 {
					return fmt.Errorf("--port %d is none", p)
				}
				r.Ports = append(r.Ports, uint16(p))
			}
			return agent.Part(cmd.Context(), r, in, out)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Root, "root", "/", "a directory that is the server's root")
	flags.String("cache", "", "ignored") // connect appends it to every command line
	flags.UintSliceVar(&ports, "port", nil, "a port of which connections are counted; may be repeated")
	flags.StringArrayVar(&r.Data, "data", nil, "a directory that is data, beside those that are known")
	flags.StringArrayVar(&r.Exclude, "exclude", nil, "a path that is left out")
	return cmd
}

func newBootCommand(out io.Writer) *cobra.Command {
	var reboot string
	cmd := &cobra.Command{
		Use:   "boot",
		Short: "Describe the boot of this server, or reboot it; what updates run on it",
		Long: `Boot writes the id of this server's boot, why the server needs a reboot, and which
units should run after one. With --reboot ID it reboots the server, unless that was
done since the boot with the id.`,
		Example: `  adamant servers boot`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return agent.Boot(cmd.Context(), reboot, out)
		},
	}
	cmd.Flags().StringVar(&reboot, "reboot", "", "the id of the boot that ends")
	cmd.Flags().String("cache", "", "ignored") // connect appends it to every command line
	return cmd
}
