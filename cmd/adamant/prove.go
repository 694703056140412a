package main

import (
	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/learn"
)

func newProveCommand(a *app) *cobra.Command {
	var load loadFlags
	var files manifestFlag
	cmd := &cobra.Command{
		Use:   "prove FILE...",
		Short: "Run a sealed workload under load and show that nothing it needs fails",
		Long: `Prove runs each workload of a sealed manifest twice: with its root writable, as
the reference, and as it is. In both, its containers are killed and restarted in
the middle of the load and once more after it. It passes only if the sealed one is
healthy, the load is answered as before, it comes back after each kill as the
reference does, and no call fails that succeeded when the root was writable.

It exits 3 if a proof does not pass, and 4 if one passes but something was not
seen: nothing exercised the workload, it was still waiting for something, or it
made io_uring requests.`,
		Example: `  adamant prove sealed.yaml
  adamant prove sealed.yaml --exercise-http :8080/ --for 1m
  adamant prove redis.yaml --exercise 'redis-cli save' -o json
  adamant prove shop.yaml --exercise-http deploy/web=/ --replay deploy/api=api.har
  adamant prove -f deploy/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			f, err := files.loadOne(ctx, a, args)
			if err != nil {
				return err
			}
			workloads, err := a.workloads(f, load)
			if err != nil {
				return err
			}
			var proofs []learn.Proof
			err = a.traced(ctx, load, func(o learn.Options) (err error) {
				proofs, err = learn.ProveAll(ctx, o, workloads)
				return err
			})
			if len(proofs) == 0 {
				return err
			}
			list := learn.NewProofList(proofs)
			list.PassedOver = learn.PassedOver(f, workloads)
			return partly(err, a.printVerdict(list))
		},
	}
	files.add(cmd, "prove")
	files.addConfigMaps(cmd)
	load.add(cmd.Flags())
	return cmd
}
