package main

import (
	"cmp"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/balancer"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newPsCommand(a *app) *cobra.Command {
	var in scope
	cmd := &cobra.Command{
		Use:     "ps",
		Aliases: []string{"pods"},
		Short:   "List the pods on this machine, and what balances their traffic",
		Example: `  adamant ps
  adamant ps -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withEngine(cmd.Context(), func(e *pod.Engine) error {
				pods, err := e.PodsIn(cmd.Context(), in.namespace())
				if err != nil {
					return err
				}
				balancers, err := balancer.List(cmd.Context(), local.BalancerDir(cmp.Or(a.state, pod.DefaultState)))
				if err != nil {
					return err
				}
				list := report.NewPodList(pods)
				list.AddBalancers(balancers)
				return a.print(list)
			})
		},
	}
	a.addScope(&in, cmd)
	return withFormats(cmd, report.FormatWide, report.FormatName)
}
