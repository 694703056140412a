package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/policy/admission"
)

// policyFlags are the flags of policy.
type policyFlags struct {
	rules, actions []string
	failOn         policy.Severity
	namespaces     string
	static, at     string

	profiles              []string
	acceptWeak, anyDigest bool
}

func newPolicyCommand(a *app) *cobra.Command {
	f := policyFlags{failOn: policy.High}
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

--profile writes a MutatingAdmissionPolicy (Kubernetes 1.36 or newer) for each container
of a profile instead, and the rules only if --rules names some: the API server then seals
each new pod that has this container as adamant seal would seal its manifest. It knows
the image by its digest; --any-digest also seals the reference that is in the profile,
such as nginx:1.27, whatever image that is now.

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
  adamant policy --profile web.profile --namespaces 'env=prod' | kubectl apply -f -
  adamant policy --static /etc/kubernetes/adamant
  adamant policy --static build/adamant --at /etc/kubernetes/adamant`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			opts, err := f.options()
			if err == nil && f.static == "" && f.at != "" {
				err = errors.New("--at is for --static")
			}
			if err != nil {
				return usageError{err}
			}
			if opts.Sealed, err = a.sealedContainers(f); err != nil {
				return err
			}
			if f.static != "" {
				return a.writeStatic(f.static, f.at, opts)
			}
			return a.writePolicies(opts)
		},
	}
	f.add(cmd)
	return cmd
}

func (f *policyFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.rules, "rules", nil, "write only these rules, separated by commas; adamant explain lists all")
	flags.StringSliceVar(&f.actions, "action", []string{"deny"}, "what an API server does: deny, warn or audit; audit may be added to one of the others")
	flags.TextVar(&f.failOn, "fail-on", policy.High, "least severity that denies; rules below only warn: low, medium, high or critical")
	flags.StringVar(&f.namespaces, "namespaces", "kubernetes.io/metadata.name!=kube-system", "labels of the namespaces that policies are in force in; empty for all")
	flags.StringArrayVar(&f.profiles, "profile", nil, "profile by which an API server seals new pods, from adamant learn; may be repeated")
	flags.BoolVar(&f.acceptWeak, "accept-weak", false, "seal even by a profile that failed its proof or has writes that no volume can allow")
	flags.BoolVar(&f.anyDigest, "any-digest", false, "seal an image also by its reference in the profile, whatever its digest is")
	flags.StringVar(&f.static, "static", "", "write the files of manifest-based admission control to this directory")
	flags.StringVar(&f.at, "at", "", "path of that directory on the machine of the API server (default the directory itself)")
	must(cmd.RegisterFlagCompletionFunc("fail-on", choices("low", "medium", "high", "critical")))
	must(cmd.RegisterFlagCompletionFunc("action", choices("deny", "warn", "audit")))
	must(cmd.RegisterFlagCompletionFunc("rules", completeRules))
}

func (f *policyFlags) options() (opts admission.Options, err error) {
	opts = admission.Options{FailOn: f.failOn, Static: f.static != ""}
	if len(f.rules) > 0 || len(f.profiles) == 0 {
		if opts.Rules, err = policy.Select(f.rules); err != nil {
			return opts, err
		}
		if len(admission.Written(opts.Rules)) == 0 {
			return opts, fmt.Errorf("%s has no policy: %s", opts.Rules[0].ID, opts.Rules[0].CEL.Impossible)
		}
	}
	if opts.Actions, err = admission.ParseActions(f.actions); err != nil {
		return opts, fmt.Errorf("--action: %w", err)
	}
	if opts.Namespaces, err = admission.ParseSelector(f.namespaces); err != nil {
		return opts, fmt.Errorf("--namespaces: %w", err)
	}
	return opts, nil
}

// sealedContainers returns the containers of the profiles.
func (a *app) sealedContainers(f policyFlags) ([]admission.Sealed, error) {
	profiles, err := learn.LoadProfiles(f.profiles)
	if err != nil {
		return nil, err
	}
	var all []admission.Sealed
	for _, p := range profiles {
		containers, err := learn.SealAlone(p, f.acceptWeak, func(text string) { a.note(text) })
		if err != nil {
			return nil, err
		}
		if len(containers) == 0 {
			return nil, fmt.Errorf("%s: the profile has no container", p.File)
		}
		for _, c := range containers {
			one := sealedContainer(c, f.anyDigest)
			if len(one.Digests)+len(one.References) == 0 {
				return nil, fmt.Errorf("%s: container %s: the profile has no digest of image %s, by which an API server would know it: learn it again, or seal whatever has this name with --any-digest",
					p.File, c.Container.Name, c.Container.Image)
			}
			all = append(all, one)
		}
	}
	a.warn(learn.ExposureWarnings(profiles)...)
	return all, nil
}

func sealedContainer(c learn.Alone, anyDigest bool) admission.Sealed {
	s := admission.Sealed{Container: c.Container.Name, Pod: c.Pod}
	if d := c.Container.Digest; d != "" {
		s.Digests = append(s.Digests, d)
	}
	if _, d, pinned := strings.Cut(c.Container.Image, "@"); pinned && d != "" && !slices.Contains(s.Digests, d) {
		s.Digests = append(s.Digests, d)
	}
	if anyDigest {
		s.References = append(s.References, c.Container.Image)
	}
	if c.Container.User != nil {
		s.UID = &c.Container.User.UID
	}
	if !c.OfImage {
		s.Command = &admission.Command{Command: c.Container.Command, Args: c.Container.Args}
	}
	return s
}

// writePolicies prints the policies.
func (a *app) writePolicies(opts admission.Options) error {
	mutating, err := admission.MutatingPolicies(opts)
	if err != nil {
		return err
	}
	if len(opts.Rules) > 0 {
		if err := admission.Write(a.out, admission.Limits(opts.Rules), admission.Policies(opts)); err != nil {
			return err
		}
		if len(mutating) > 0 {
			fmt.Fprintln(a.out, "---")
		}
	}
	if len(mutating) == 0 {
		return nil
	}
	return admission.Write(a.out, admission.MutatingLimits, mutating)
}

// writeStatic writes the files of an API server below dir.
func (a *app) writeStatic(dir, at string, opts admission.Options) error {
	if at == "" {
		var err error
		if at, err = filepath.Abs(dir); err != nil {
			return err
		}
	}
	if !filepath.IsAbs(at) {
		return usagef("--at: %q is not an absolute path", at)
	}
	files, err := admission.StaticFiles(at, opts)
	if err != nil {
		return err
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
	for _, name := range []string{"validating", "mutating"} {
		name += "/adamant.yaml"
		isWritten := slices.ContainsFunc(files, func(f admission.File) bool { return f.Name == name })
		old := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Lstat(old); err == nil && !isWritten {
			a.note(old + " is of an earlier run, and not in the new admission.yaml: remove it, and its entry where an API server has it")
		}
	}
	return nil
}
