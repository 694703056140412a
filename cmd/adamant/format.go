package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
)

// formatsAnnotation holds the formats of a command beyond those of all.
const formatsAnnotation = "formats"

// withFormats gives a command formats of --output beyond those of all.
func withFormats(cmd *cobra.Command, more ...report.Format) *cobra.Command {
	var names []string
	for _, f := range more {
		names = append(names, string(f))
	}
	cmd.Annotations = map[string]string{formatsAnnotation: strings.Join(names, " ")}
	return cmd
}

// formats returns the values of --output that a command accepts.
func formats(cmd *cobra.Command) []string {
	all := []string{string(report.FormatText), string(report.FormatJSON), string(report.FormatYAML)}
	return append(all, strings.Fields(cmd.Annotations[formatsAnnotation])...)
}

// completeFormats completes the value of --output.
func completeFormats(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	names := slices.DeleteFunc(formats(cmd), func(name string) bool { return !strings.HasPrefix(name, prefix) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// document reports whether standard output is for programs and has nothing but the
// result.
func (a *app) document() bool { return report.Format(a.output).IsDocument() }
