package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// manifestFlag is the flag -f of a command that also takes manifests as arguments.
type manifestFlag struct {
	names      []string
	configMaps []string
}

// add adds the flag and arguments for manifests to a command. what completes "manifest to" in
// the flag's usage.
func (m *manifestFlag) add(cmd *cobra.Command, what string) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.ValidArgsFunction = completeManifests
	cmd.Flags().StringArrayVarP(&m.names, "file", "f", nil, "manifest to "+what+": a file, a directory, or - for standard input; may be repeated")
}

// addConfigMaps adds the flag for ConfigMaps of other files to a command.
func (m *manifestFlag) addConfigMaps(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&m.configMaps, "configmap", nil, "file with ConfigMaps that belong to the manifest; may be repeated")
	must(cmd.RegisterFlagCompletionFunc("configmap", completeManifests))
}

// withConfigMaps adds the ConfigMaps of --configmap to a manifest.
func (m *manifestFlag) withConfigMaps(ctx context.Context, a *app, f manifest.File) (manifest.File, error) {
	extra, err := source.LoadAll(ctx, m.configMaps, a.in)
	if err != nil {
		return f, err
	}
	return manifest.JoinConfigMaps(f, extra)
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
	return source.LoadAll(ctx, paths, a.in)
}

// loadOne reads the manifests of a command line as one.
func (m *manifestFlag) loadOne(ctx context.Context, a *app, args []string) (manifest.File, error) {
	files, err := m.load(ctx, a, args)
	if err != nil {
		return manifest.File{}, err
	}
	f, err := manifest.Join(files...)
	if err != nil {
		return f, err
	}
	return m.withConfigMaps(ctx, a, f)
}
