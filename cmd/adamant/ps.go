package main

import (
	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

func newPsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "ps",
		Aliases: []string{"pods"},
		Short:   "List the pods on this machine",
		Example: `  adamant ps
  adamant ps -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withEngine(cmd.Context(), func(e *pod.Engine) error {
				pods, err := e.Pods(cmd.Context())
				if err != nil {
					return err
				}
				return a.print(report.NewPodList(pods))
			})
		},
	}
}
