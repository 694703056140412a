package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/workload/api"
)

// A scope is the namespaces that a command looks in.
type scope struct {
	name string
	all  bool
}

// addScope adds the flags of a scope to a command that names or lists objects.
func (a *app) addScope(s *scope, cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVarP(&s.all, "all-namespaces", "A", false, "all namespaces, which is the default on one machine")
	return a.addNamespace(s, cmd, "only this namespace")
}

// addNamespace adds the flag of a namespace to a command.
func (a *app) addNamespace(s *scope, cmd *cobra.Command, usage string) *cobra.Command {
	cmd.Flags().StringVarP(&s.name, "namespace", "n", "", usage)
	must(cmd.RegisterFlagCompletionFunc("namespace", a.completeNamespaces))
	return cmd
}

// namespaceOfObjects is the usage of the flag of commands that take manifests.
const namespaceOfObjects = "namespace of the manifest's objects that have none"

// namespace returns the only namespace, empty for all. As with kubectl, all goes before
// a name.
func (s scope) namespace() string {
	if s.all {
		return ""
	}
	return s.name
}

// ref parses an argument that names an object.
func (s scope) ref(arg string) (api.Ref, error) {
	ref, err := api.ParseRef(arg)
	if err == nil {
		ref, err = ref.In(s.namespace())
	}
	if err != nil {
		return ref, usageError{err}
	}
	return ref, nil
}

// completeNamespaces completes the namespaces of the declared workloads.
func (a *app) completeNamespaces(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	c := a.client()
	defer c.Close()
	list, err := c.List(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range list {
		names = append(names, s.Namespace)
	}
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}
