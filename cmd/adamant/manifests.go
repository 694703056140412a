package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// manifestFlag is the flag -f of a command that also takes manifests as arguments.
type manifestFlag struct{ names []string }

// add adds the flag and arguments for manifests to a command. what completes "manifest to" in
// the flag's usage.
func (m *manifestFlag) add(cmd *cobra.Command, what string) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.ValidArgsFunction = completeManifests
	cmd.Flags().StringArrayVarP(&m.names, "file", "f", nil, "manifest to "+what+": a file, a directory, or - for standard input; may be repeated")
}

// paths returns the manifests of a command line.
func (m *manifestFlag) paths(args []string) ([]string, error) {
	paths := append(m.names[:len(m.names):len(m.names)], args...)
	if len(paths) == 0 {
		return nil, usagef("name a manifest: FILE or -f FILE, a directory, or - for standard input")
	}
	return paths, nil
}

// load reads the manifests of a command line.
func (m *manifestFlag) load(ctx context.Context, a *app, args []string) ([]manifest.File, error) {
	paths, err := m.paths(args)
	if err != nil {
		return nil, err
	}
	return manifest.LoadAll(ctx, paths, a.in)
}

// loadOne reads the manifests of a command line as one.
func (m *manifestFlag) loadOne(ctx context.Context, a *app, args []string) (manifest.File, error) {
	files, err := m.load(ctx, a, args)
	if err != nil {
		return manifest.File{}, err
	}
	return manifest.Join(files...)
}
