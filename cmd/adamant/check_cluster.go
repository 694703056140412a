package main

import (
	"context"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/workload/cluster"
)

// checkCluster are the flags that name objects of a cluster.
type checkCluster struct {
	context, namespace string
	all                bool
}

func (c *checkCluster) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.context, "context", "", "context of the kubeconfig: check the objects of that cluster")
	cmd.Flags().StringVarP(&c.namespace, "namespace", "n", "", "in a cluster: this namespace, not that of the context")
	cmd.Flags().BoolVarP(&c.all, "all-namespaces", "A", false, "in a cluster: all namespaces, and the objects that are in none")
}

// checkInput is what is checked: files, or the objects of a cluster.
type checkInput struct {
	paths     []string
	stdin     io.Reader
	cluster   *cluster.Cluster
	context   string
	namespace string // of the cluster
}

// checked is the result for a document.
type checked struct {
	policy.Result
	err error
}

// checkInput returns what the flags and arguments of the command name.
func (a *app) checkInput(cmd *cobra.Command, there *checkCluster, files *manifestFlag, args []string) (checkInput, error) {
	named := cmd.Flags().Changed("context")
	if !named && (there.namespace == "" && !there.all || len(args) > 0) {
		if there.namespace != "" || there.all {
			return checkInput{}, usagef("--namespace and --all-namespaces are for a cluster, and exclude paths")
		}
		paths, err := files.paths(args)
		return checkInput{paths: paths, stdin: a.in}, err
	}
	if paths, err := files.paths(args); err == nil {
		return checkInput{}, usagef("--context is for a cluster, and excludes %s", paths[0])
	}
	in := checkInput{context: there.context, namespace: there.namespace}
	if there.all {
		in.namespace = cluster.AllNamespaces
	}
	var err error
	in.cluster, err = cluster.Open("", there.context)
	return in, err
}

// names returns what is checked, for the titles of reports.
func (i checkInput) names() []string {
	if i.cluster == nil {
		return i.paths
	}
	return []string{"cluster", i.context, i.namespace}
}

// folders returns where the configurations are that are read first.
func (i checkInput) folders() []string {
	if i.cluster != nil {
		return []string{"."}
	}
	return i.paths
}

// folder returns the folder whose configuration is for a document. That of a cluster is the
// working directory.
func (i checkInput) folder(d *manifest.Document) string {
	if i.cluster != nil {
		return "."
	}
	return filepath.Dir(d.File)
}

func (i checkInput) each(ctx context.Context, work func(*manifest.Document) checked, yield func(*manifest.Document, checked) error) (source.Count, error) {
	if i.cluster == nil {
		return source.Each(ctx, i.paths, i.stdin, work, yield)
	}
	return source.EachObject(ctx, func(ctx context.Context, read func(string, []byte, error) error) error {
		return i.cluster.Objects(ctx, i.namespace, func(o cluster.Object) error { return read(o.Name, o.Data, o.Err) })
	}, work, yield)
}
