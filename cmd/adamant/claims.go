package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newClaimsCommand(a *app) *cobra.Command {
	var in scope
	cmd := &cobra.Command{
		Use:     "claims",
		Aliases: []string{"claim", "pvc"},
		Short:   "List the PersistentVolumeClaims on this machine, or remove some",
		Long: `Claims lists the directories that stand for PersistentVolumeClaims. apply and run
create them; no rollout, undo or deletion of a workload removes them.`,
		Example: `  adamant claims
  adamant claims -o json
  adamant claims rm data`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			c := a.client()
			defer c.Close()
			list, err := c.Claims(cmd.Context(), a.root)
			if err != nil {
				return err
			}
			return a.print(local.NewClaimList(list, in.namespace()))
		},
	}
	a.addScope(&in, cmd)
	withFormats(cmd, report.FormatName)
	cmd.AddCommand(a.newClaimsRmCommand())
	return cmd
}

func (a *app) newClaimsRmCommand() *cobra.Command {
	var in scope
	cmd := &cobra.Command{
		Use:   "rm CLAIM...",
		Short: "Remove claims with all their files",
		Long: `Rm removes claims, by NAME or NAMESPACE/NAME, with all their files. A claim that a
pod or a declared workload uses is not removed.`,
		Example: `  adamant claims rm data
  adamant claims rm shop/data-db-0`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			c := a.client()
			defer c.Close()
			for _, arg := range args {
				namespace, name, err := api.ParseClaim(arg, in.namespace())
				if err != nil {
					return usageError{err}
				}
				if err := c.RemoveClaim(cmd.Context(), a.root, namespace, name); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "%s/%s\n", namespace, name)
			}
			return nil
		},
	}
	return a.addNamespace(&in, cmd, "namespace of names that have none")
}
