package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this program and of what it runs on",
		Example: `  adamant version
  adamant version -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, _ := debug.ReadBuildInfo()
			containerd, runc := pod.FindTools(cmd.Context())
			return a.print(report.NewVersion(info, pod.KernelRelease(), containerd, runc))
		},
	}
}
