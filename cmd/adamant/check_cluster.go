package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/workload/cluster"
)

// checkInput names the files to check, or the objects of a cluster.
type checkInput struct {
	source.Input
	context, namespace string
	all                bool
	cluster            *cluster.Cluster // nil for files
}

// checked is the result for a document.
type checked struct {
	policy.Result
	profiled profiled
	err      error
}

func (i *checkInput) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&i.context, "context", "", "context of the kubeconfig: check the objects of that cluster")
	cmd.Flags().StringVarP(&i.namespace, "namespace", "n", "", "of a cluster: this namespace, not that of the context; of charts: that of the release")
	cmd.Flags().BoolVarP(&i.all, "all-namespaces", "A", false, "of a cluster: all namespaces, and the objects that are in none")
}

// open finds out what the flags and arguments of the command name.
func (i *checkInput) open(cmd *cobra.Command, files *manifestFlag, args []string) error {
	paths, err := files.paths(args)
	isCluster := cmd.Flags().Changed("context") || i.all || i.namespace != "" && err != nil
	switch {
	case !isCluster:
		i.Paths, i.Charts.Namespace = paths, i.namespace
		return err
	case err == nil:
		return usagef("--context and --all-namespaces are for a cluster, and exclude %s", paths[0])
	case i.all:
		i.namespace = cluster.AllNamespaces
	}
	i.cluster, err = cluster.Open("", i.context)
	return err
}

// names returns the paths, or the cluster and its namespace, for the titles of reports.
func (i *checkInput) names() []string {
	if i.cluster == nil {
		return i.Paths
	}
	return []string{"cluster", i.context, i.namespace}
}

// folders returns where the configurations are that are read first.
func (i *checkInput) folders() []string {
	if i.cluster != nil {
		return []string{"."}
	}
	return i.Paths
}

// folder returns the folder whose configuration is for a document. That of a cluster is the
// working directory.
func (i *checkInput) folder(d *manifest.Document) string {
	if i.cluster != nil {
		return "."
	}
	return filepath.Dir(d.File)
}

func (i *checkInput) each(ctx context.Context, work func(*manifest.Document) checked, yield func(*manifest.Document, checked) error) (source.Count, error) {
	if i.cluster == nil {
		return source.Each(ctx, i.Input, work, yield)
	}
	return source.EachObject(ctx, func(ctx context.Context, read func(string, []byte, error) error) error {
		return i.cluster.Objects(ctx, i.namespace, func(o cluster.Object) error { return read(o.Name, o.Data, o.Err) })
	}, work, yield)
}
