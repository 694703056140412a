package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/cluster"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A target is a Deployment in a cluster, as a command line names it. Its name is empty
// if the command has no argument.
type target struct {
	*cluster.Cluster
	namespace, name string
}

// alsoInCluster gives a command the flag --context, with which it does something else.
func (a *app) alsoInCluster(cmd *cobra.Command, there func(ctx context.Context, t target) error) *cobra.Command {
	var kubeContext string
	cmd.Flags().StringVar(&kubeContext, "context", "", "context of the kubeconfig: a Deployment of that cluster")
	here := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("context") {
			return here(cmd, args)
		}
		var t target
		var err error
		if len(args) > 0 {
			if t.namespace, t.name, err = cluster.ParseName(args[0]); err != nil {
				return usageError{err}
			}
		}
		if t.Cluster, err = cluster.Open("", kubeContext); err != nil {
			return err
		}
		if t.namespace, err = namespaceThere(cmd, t.namespace); err != nil {
			return err
		}
		return there(cmd.Context(), t)
	}
	return cmd
}

// namespaceThere returns the namespace of a Deployment in a cluster by the flags of a
// command, empty for that of the context. own is that of the command's argument.
func namespaceThere(cmd *cobra.Command, own string) (string, error) {
	if all, err := cmd.Flags().GetBool("all-namespaces"); err == nil && all && cmd.Name() == "get" {
		return cluster.AllNamespaces, nil
	}
	namespace, err := cmd.Flags().GetString("namespace")
	if err != nil || namespace == "" || namespace == own {
		return own, nil
	}
	if own != "" {
		return "", usagef("the argument is of namespace %s, and --namespace is %s", own, namespace)
	}
	return namespace, nil
}

// statusThere prints a Deployment of a cluster or, without a name, all.
func (a *app) statusThere(ctx context.Context, t target) error {
	if t.name == "" {
		list, err := t.List(ctx, t.namespace)
		if err != nil {
			return err
		}
		return a.print(report.NewClusterStatus(list...))
	}
	s, err := t.Status(ctx, t.namespace, t.name)
	if err != nil {
		return err
	}
	return a.print(report.NewClusterStatus(s))
}

// steerThere returns a function that changes a rollout in a cluster.
func (a *app) steerThere(do func(t target, ctx context.Context) error, done string) func(context.Context, target) error {
	return func(ctx context.Context, t target) error {
		if err := do(t, ctx); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "Deployment/%s %s\n", t.name, done)
		return nil
	}
}

func (a *app) historyThere(ctx context.Context, t target) error {
	list, err := t.History(ctx, t.namespace, t.name)
	if err != nil {
		return err
	}
	return a.print(report.NewClusterHistory(list))
}

// clusterOptions returns the options of a rollout in a cluster that is shown.
func (a *app) clusterOptions() cluster.Options {
	return cluster.Options{
		Event:    func(workload string, e rollout.Event) { a.progress("%s  %-12s %s", workload, e.Reason, e.Message) },
		Progress: func(s cluster.Status) { a.progress("%s", s.Line()) },
		Report:   func(workload string, err error) { a.progress("%s  %v; trying again", workload, err) },
		Warn:     func(text string) { a.note("the API server warns: " + text) },
	}
}

// applyToCluster applies a manifest in a Kubernetes cluster and waits for the
// rollouts of its Deployments.
func (a *app) applyToCluster(ctx context.Context, f manifest.File, in scope, kubeContext string, opts cluster.Options) error {
	c, objects, err := objectsThere(f, in, kubeContext)
	if err != nil {
		return err
	}
	results, err := c.Apply(ctx, objects, opts)
	if err != nil {
		return err
	}
	return a.printRollouts(results...)
}

// diffInCluster prints what an apply of a manifest would change in a Kubernetes cluster.
func (a *app) diffInCluster(ctx context.Context, f manifest.File, in scope, kubeContext string, force bool) error {
	c, objects, err := objectsThere(f, in, kubeContext)
	if err != nil {
		return err
	}
	opts := a.clusterOptions()
	opts.Force = force
	list, err := c.Diff(ctx, objects, opts)
	if err != nil {
		return err
	}
	return a.printVerdict(report.NewClusterDiff(list))
}

// objectsThere returns a cluster and the objects of a manifest for it.
func objectsThere(f manifest.File, in scope, kubeContext string) (*cluster.Cluster, []map[string]any, error) {
	objects, err := f.Raw()
	if err != nil {
		return nil, nil, err
	}
	c, err := cluster.Open("", kubeContext)
	if err != nil || in.namespace() == "" {
		return c, objects, err
	}
	c.Use(in.namespace())
	return c, objects, f.CheckNamespace(in.namespace())
}

func (a *app) printRollouts(results ...cluster.Result) error {
	if !a.document() {
		defer a.note(cluster.UncheckedNotes(results)...)
	}
	return a.printVerdict(report.NewClusterApplyResult(results))
}
