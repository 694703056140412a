package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/capture"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxPlan bounds the plan of a capture, in bytes.
const maxPlan = 1 << 30

func newPartCommand(a streams) *cobra.Command {
	var root, cache string
	var o capture.SurveyOptions
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
			r, err := rootfs.Open(root)
			if err != nil {
				return fmt.Errorf("open the root: %w", err)
			}
			defer r.Close()
			o.Live = root == "/"
			name := ""
			if len(args) > 1 {
				name = args[1]
			}
			if args[0] == "connections" {
				return a.printConnections(ports)
			}
			return a.writePart(cmd, r, o, args[0], name)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&root, "root", "/", "a directory that is the server's root")
	flags.StringVar(&cache, "cache", "", "ignored")
	flags.UintSliceVar(&ports, "port", nil, "a port of which connections are counted; may be repeated")
	flags.StringArrayVar(&o.Data, "data", nil, "a directory that is data, beside those that are known")
	flags.StringArrayVar(&o.Exclude, "exclude", nil, "a path that is left out")
	return cmd
}

// printConnections prints how many connections others have to ports.
func (a streams) printConnections(ports []uint) error {
	var list []uint16
	for _, p := range ports {
		if p > 65535 {
			return fmt.Errorf("--port %d is none", p)
		}
		list = append(list, uint16(p))
	}
	n, err := facts.Connections(list)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, n)
	return nil
}

func (a streams) writePart(cmd *cobra.Command, r *rootfs.Root, o capture.SurveyOptions, part, name string) error {
	ctx := cmd.Context()
	if part == "plan" {
		p, err := capture.Survey(ctx, r, o)
		if err != nil {
			return err
		}
		return json.NewEncoder(a.out).Encode(p)
	}
	var p capture.Plan
	if err := json.NewDecoder(io.LimitReader(a.in, maxPlan)).Decode(&p); err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	switch part {
	case "layer":
		return capture.WriteLayer(ctx, r, p, name, a.out)
	case "data":
		unknown, err := capture.WriteData(ctx, r, p, name, a.out)
		for _, u := range unknown {
			err = errors.Join(err, fmt.Errorf("%s: %w", u.Path, u.Err))
		}
		return err
	case "secrets":
		return capture.WriteSecrets(ctx, r, p, a.out)
	}
	return fmt.Errorf("%q is no part", part)
}
