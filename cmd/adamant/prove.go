package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/manifest"
)

func newProveCommand(a *app) *cobra.Command {
	var load loadFlags
	cmd := &cobra.Command{
		Use:   "prove FILE",
		Short: "Run a sealed workload under load and show that nothing it needs fails",
		Long: `Prove runs each workload of a sealed manifest twice: with its root writable, as
the reference, and as it is. It passes only if the sealed one is healthy, the
load is answered as before, and no call fails that succeeded when the root was
writable. It exits 3 if a proof does not pass, and 4 if one passes but something in
it could not be seen, such as io_uring requests.`,
		Example: `  adamant prove sealed.yaml
  adamant prove sealed.yaml --exercise-http :8080/ --for 1m
  adamant prove redis.yaml --exercise 'redis-cli save' -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeManifests,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			f, err := manifest.Load(ctx, args[0])
			if err != nil {
				return err
			}
			subjects, err := a.subjects(f)
			if err != nil {
				return err
			}
			e, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer e.Close()
			o := load.options(a)
			o.Engine = e
			var proofs []learn.Proof
			for _, s := range subjects {
				proof, err := learn.Prove(ctx, o, s)
				if err != nil {
					return err
				}
				proofs = append(proofs, proof)
			}
			return a.printProofs(proofs)
		},
	}
	load.add(cmd.Flags())
	return cmd
}

// proofListJSON is the document of `prove -o json`.
type proofListJSON struct {
	APIVersion string        `json:"apiVersion"` // "adamant.sh/v1"
	Kind       string        `json:"kind"`       // "ProofList"
	Items      []learn.Proof `json:"items"`
}

func (a *app) printProofs(proofs []learn.Proof) error {
	passed, weak := true, false
	for _, p := range proofs {
		passed = passed && p.Passed
		weak = weak || len(p.Weak) > 0
	}
	if a.json() {
		if err := a.printJSON(proofListJSON{apiVersion, "ProofList", proofs}); err != nil {
			return err
		}
	} else {
		for _, p := range proofs {
			a.printProof(p)
		}
	}
	switch {
	case !passed:
		return status(exitFindings)
	case weak:
		return status(exitIncomplete)
	}
	return nil
}

// printProof prints a verdict with its evidence.
func (a *app) printProof(p learn.Proof) {
	fmt.Fprintf(a.out, "%s  %s\n", a.verdict(p.Passed), p.Workload)
	for _, reason := range p.Reasons {
		fmt.Fprintf(a.out, "  %s\n", printable(reason))
	}
	for _, c := range p.Load {
		same := "as when writable"
		if !c.Alike {
			same = "but " + c.Writable + " when writable"
		}
		fmt.Fprintf(a.out, "  load  %-32s %-12s %s\n", printable(c.Load), printable(c.Sealed), printable(same))
	}
	if p.Passed {
		fmt.Fprintln(a.out, "  calls that succeeded when the root was writable and fail now: none")
	}
	for _, f := range p.Failures {
		if f.Mild {
			fmt.Fprintf(a.out, "  mild  container %s: %s %s: %s\n", f.Container, f.Op, printable(f.Path), f.Errno)
		}
	}
	for _, w := range p.Weak {
		fmt.Fprintf(a.out, "  weak  %s\n", w)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Logs)) {
		if log := strings.TrimSpace(p.Logs[name]); log != "" {
			fmt.Fprintf(a.out, "  last lines of container %s:\n    %s\n", name, strings.ReplaceAll(printable(log), "\n", "\n    "))
		}
	}
}

// printProofShort says on stderr how a profile's proof went.
func (a *app) printProofShort(p learn.Proof) {
	if p.Passed {
		a.progress("%s: proven: healthy and without a failed call when sealed", p.Workload)
		return
	}
	a.progress("%s: NOT proven: %s", p.Workload, strings.Join(p.Reasons, "; "))
}

func (a *app) verdict(passed bool) string {
	word, code := "PASS", "32"
	if !passed {
		word, code = "FAIL", "31"
	}
	if a.colored(a.out) {
		return "\x1b[1;" + code + "m" + word + "\x1b[0m"
	}
	return word
}
