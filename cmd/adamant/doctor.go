package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

func newDoctorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine can do, what is missing and how to get it",
		Long: `Doctor looks for the programs that pods need and tries what the kernel offers.
It exits 3 if something is missing that learning or running cannot do without, and
4 if it is run by a user other than root, who can try only a part of that.`,
		Example: `  adamant doctor
  adamant doctor -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := pod.FindPrograms(cmd.Context())
			var missing *pod.MissingProgramsError
			if err != nil && !errors.As(err, &missing) {
				return err
			}
			return a.printVerdict(report.NewMachine(found, missing, learn.KernelFeatures(cmd.Context()), os.Geteuid()))
		},
	}
}
