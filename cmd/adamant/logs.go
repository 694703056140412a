package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
)

func newLogsCommand(a *app) *cobra.Command {
	var o pod.LogOptions
	var in scope
	var container string
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "logs POD",
		Short: "Print what a container of a pod wrote to its log",
		Long: `Logs prints what a container wrote, byte by byte. On a terminal only its colours
pass: other control characters are printed as \x1b, because they could move the
cursor, hide lines or fill the clipboard.`,
		Example: `  adamant logs nginx-pod
  adamant logs -f web --tail 20
  adamant logs web -c proxy --previous`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if since > 0 {
				o.Since = time.Now().Add(-since)
			}
			return a.withPod(ctx, in, args[0], func(p *pod.Pod) error {
				stdout, stderr := a.foreign(a.out), a.foreign(a.err)
				err := p.Logs(ctx, container, o, stdout, stderr)
				err = errors.Join(err, stdout.End(), stderr.End())
				if ctx.Err() != nil && o.Follow {
					return nil // Ctrl-C is how following ends
				}
				return err
			})
		},
	}
	a.addScope(&in, cmd)
	flags := cmd.Flags()
	flags.StringVarP(&container, "container", "c", "", "container of the pod (default: its first)")
	flags.BoolVarP(&o.Follow, "follow", "f", false, "wait for more until the container ends")
	flags.IntVar(&o.Tail, "tail", 0, "only the last lines, this many (default: all)")
	flags.DurationVar(&since, "since", 0, "only what is not older than this")
	flags.BoolVarP(&o.Previous, "previous", "p", false, "of the start before the latest")
	flags.BoolVar(&o.Timestamps, "timestamps", false, "begin each line with its time")
	return cmd
}
