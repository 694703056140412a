package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/policy/admission"
)

func newPolicyCommand(a *app) *cobra.Command {
	var ids, actions []string
	failOn := policy.High
	var namespaces, static, at string
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Write the rules of check as admission policies of a cluster",
		Long: `Policy writes the rules of adamant check as ValidatingAdmissionPolicies, which an
API server (1.30 or newer) evaluates itself, without a webhook: one policy and one
binding for each rule. It prints them as YAML and reaches no cluster.

Rules of at least --fail-on have the action, deny by default. The others only warn.
Begin with --action warn,audit: a policy that denies also refuses the pods of workloads
that were there before, when they are created again.

Policies are in force in all namespaces but kube-system. Roles and bindings of the
whole cluster are always checked.

--static DIR writes the files of manifest-based admission control (Kubernetes 1.37):
such policies are in force before the first request, and nobody can change or
delete them through the API. An API server reads the files again when they change.

The verdicts are those of check on the same objects. Where they are not, the comment
at the top of the output and docs/reference/policy.md give the reason: CEL has no
clock, so that there are no exceptions, and pods in custom resources are checked when
the pods are created.`,
		Example: `  adamant policy --action warn,audit | kubectl apply -f -
  adamant policy --fail-on medium --namespaces 'env=prod' | kubectl apply -f -
  adamant policy --rules root-not-read-only,privileged,runtime-socket > policies.yaml
  adamant policy --static /etc/kubernetes/adamant
  adamant policy --static build/adamant --at /etc/kubernetes/adamant`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			opts, err := policyOptions(ids, actions, failOn, namespaces, static != "")
			if err != nil {
				return usageError{err}
			}
			switch {
			case static != "":
				return a.writeStatic(static, at, opts)
			case at != "":
				return usagef("--at is for --static")
			}
			return admission.Write(a.out, opts.Rules, admission.Policies(opts))
		},
	}
	cmd.Flags().StringSliceVar(&ids, "rules", nil, "write only these rules, separated by commas; adamant explain lists all")
	cmd.Flags().StringSliceVar(&actions, "action", []string{"deny"}, "what an API server does: deny, warn or audit; audit may be added to one of the others")
	cmd.Flags().TextVar(&failOn, "fail-on", policy.High, "least severity that denies; rules below only warn: low, medium, high or critical")
	cmd.Flags().StringVar(&namespaces, "namespaces", "kubernetes.io/metadata.name!=kube-system", "labels of the namespaces that policies are in force in; empty for all")
	cmd.Flags().StringVar(&static, "static", "", "write the files of manifest-based admission control to this directory")
	cmd.Flags().StringVar(&at, "at", "", "path of that directory on the machine of the API server (default the directory itself)")
	must(cmd.RegisterFlagCompletionFunc("fail-on", choices("low", "medium", "high", "critical")))
	must(cmd.RegisterFlagCompletionFunc("action", choices("deny", "warn", "audit")))
	must(cmd.RegisterFlagCompletionFunc("rules", completeRules))
	return cmd
}

func policyOptions(ids, actions []string, failOn policy.Severity, namespaces string, static bool) (admission.Options, error) {
	rules, err := policy.Select(ids)
	if err != nil {
		return admission.Options{}, err
	}
	if len(admission.Written(rules)) == 0 {
		return admission.Options{}, fmt.Errorf("%s has no policy: %s", rules[0].ID, rules[0].CEL.Impossible)
	}
	parsed, err := admission.ParseActions(actions)
	if err != nil {
		return admission.Options{}, fmt.Errorf("--action: %w", err)
	}
	selector, err := admission.ParseSelector(namespaces)
	if err != nil {
		return admission.Options{}, fmt.Errorf("--namespaces: %w", err)
	}
	return admission.Options{Rules: rules, Actions: parsed, FailOn: failOn, Namespaces: selector, Static: static}, nil
}

// writeStatic writes the files of an API server below dir.
func (a *app) writeStatic(dir, at string, opts admission.Options) error {
	if at == "" {
		var err error
		if at, err = filepath.Abs(dir); err != nil {
			return err
		}
	}
	files, err := admission.StaticFiles(at, opts)
	if err != nil {
		return usageError{fmt.Errorf("--at: %w", err)}
	}
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := durable.WriteFile(name, f.Data, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(a.out, name)
	}
	return nil
}
