package main

import (
	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

func newCpCommand(a *app) *cobra.Command {
	var in scope
	var container string
	cmd := &cobra.Command{
		Use:   "cp SRC DST",
		Short: "Copy files between this machine and a container",
		Long: `Cp copies a file or directory into or out of a running container; one of SRC and
DST is POD:PATH. What comes out of a container is never trusted: no link in it
leads anywhere, and it belongs to whoever called. A read-only root refuses a
copy as it refuses the container.`,
		Example: `  adamant cp index.html nginx-pod:/var/www/html/
  adamant cp nginx-pod:/etc/nginx ./nginx
  adamant cp -c proxy web:/var/log/proxy.log .`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, dst := pod.ParseCopyEnd(args[0]), pod.ParseCopyEnd(args[1])
			if (src.Pod == "") == (dst.Pod == "") {
				return usagef("one of SRC and DST must be POD:PATH")
			}
			src.Namespace = in.namespace() // of the only pod
			return a.withEngine(cmd.Context(), func(e *pod.Engine) error {
				unknown, err := e.Copy(cmd.Context(), container, src, dst)
				if err != nil {
					return err
				}
				for _, u := range unknown {
					a.progress("adamant: copy %s: %v", u.Path, u.Err)
				}
				if len(unknown) > 0 {
					return exitWith(report.Incomplete)
				}
				return nil
			})
		},
	}
	a.addScope(&in, cmd)
	cmd.Flags().StringVarP(&container, "container", "c", "", "container of the pod (default: its first)")
	return cmd
}
