package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
)

const completionExample = `  source <(adamant completion bash)
  adamant completion bash > /etc/bash_completion.d/adamant
  adamant completion zsh > "${fpath[1]}/_adamant"
  adamant completion fish > ~/.config/fish/completions/adamant.fish`

// addCompletion adds cobra's command that prints completion scripts.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	cmd, _, err := root.Find([]string{"completion"})
	if err != nil {
		return // cobra leaves it out where there are no commands
	}
	cmd.Example = completionExample
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() } // so that its arguments are checked
	for _, shell := range cmd.Commands() {
		shell.Example = "  adamant completion " + shell.Name()
	}
}

// completePods completes the names of pods. If no pod was ever created it does not
// start the runtime, because a completion must not change the machine.
func (a *app) completePods(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	many := cmd.Name() == "rm" || cmd.Name() == "drift"
	if len(args) > 0 && !many {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	_, err := os.Stat(filepath.Join(cmp.Or(a.root, pod.DefaultRoot), "pods"))
	if a.endpoint == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	err = a.withEngine(cmd.Context(), func(e *pod.Engine) error {
		pods, err := e.Pods(cmd.Context())
		for _, p := range pods {
			if !slices.Contains(args, p.Name) {
				names = append(names, p.Name)
			}
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeManifests completes the names of manifests.
func completeManifests(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}

// choices completes one of a few words.
func choices(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}
