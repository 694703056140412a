package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// client asks the daemon that the global flags name.
func (a *app) client() *api.Client { return api.Dial(a.socket()) }

// kinds are the names of kinds that kubectl takes as well.
var kinds = map[string]string{
	"deployment": "Deployment", "deployments": "Deployment", "deploy": "Deployment",
	"replicaset": "ReplicaSet", "replicasets": "ReplicaSet", "rs": "ReplicaSet",
	"daemonset": "DaemonSet", "daemonsets": "DaemonSet", "ds": "DaemonSet",
	"pod": "Pod", "pods": "Pod", "po": "Pod",
	"service": "Service", "services": "Service", "svc": "Service",
	"configmap": "ConfigMap", "configmaps": "ConfigMap", "cm": "ConfigMap",
	"secret": "Secret", "secrets": "Secret",
}

// A workloadArg is what a user calls a workload: "web", "deploy/web" or
// "shop/deploy/web".
type workloadArg struct{ namespace, kind, name string }

func parseWorkload(arg string) (workloadArg, error) {
	parts := strings.Split(arg, "/")
	w := workloadArg{name: parts[len(parts)-1]}
	if len(parts) > 3 || w.name == "" {
		return w, usagef("%q: want NAME, KIND/NAME or NAMESPACE/KIND/NAME", arg)
	}
	if len(parts) > 1 {
		kind, ok := kinds[strings.ToLower(parts[len(parts)-2])]
		if !ok {
			return w, usagef("%q: unknown kind %q", arg, parts[len(parts)-2])
		}
		w.kind = kind
	}
	if len(parts) == 3 {
		w.namespace = parts[0]
	}
	return w, nil
}

func (w workloadArg) matches(k local.Key) bool {
	return k.Name == w.name && (w.kind == "" || k.Kind == w.kind) && (w.namespace == "" || k.Namespace == w.namespace)
}

// find finds the one workload that a user means.
func (a *app) find(ctx context.Context, c *api.Client, arg string) (local.Status, error) {
	w, err := parseWorkload(arg)
	if err != nil {
		return local.Status{}, err
	}
	list, err := c.List(ctx)
	if err != nil {
		return local.Status{}, err
	}
	var found []local.Status
	var names []string
	for _, s := range list {
		if w.matches(s.Key) {
			found = append(found, s)
			names = append(names, s.Key.String())
		}
	}
	switch len(found) {
	case 0:
		return local.Status{}, hint{fmt.Errorf("no workload is called %s", arg), "adamant get lists them"}
	case 1:
		return found[0], nil
	}
	return local.Status{}, fmt.Errorf("%s could be any of %s", arg, strings.Join(names, ", "))
}

// completeWorkloads completes the names of declared workloads.
func (a *app) completeWorkloads(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && cmd.Name() != "delete" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c := a.client()
	defer c.Close()
	list, err := c.List(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range list {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// on is a command that does something to one workload.
func (a *app) on(use, short, example string, do func(ctx context.Context, c *api.Client, s local.Status) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " WORKLOAD", Short: short, Example: example,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			c := a.client()
			defer c.Close()
			s, err := a.find(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return do(cmd.Context(), c, s)
		},
	}
}
