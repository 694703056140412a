package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// walk calls visit with a command and all commands below it, except help.
func walk(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, below := range c.Commands() {
		if below.Name() != "help" {
			walk(below, visit)
		}
	}
}

// TestDocumented checks that docs/reference/cli.md has every command, flag and variable.
func TestDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/reference/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	walk(newRootCommand(&app{}), func(c *cobra.Command) {
		if c.HasParent() && c.Parent().Name() == "completion" {
			return // one for each shell
		}
		if !strings.Contains(text, "`"+c.CommandPath()) {
			t.Errorf("docs/reference/cli.md: no `%s", c.CommandPath())
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && f.Name != "version" && !strings.Contains(text, "`--"+f.Name) {
				t.Errorf("docs/reference/cli.md: %s: no `--%s", c.CommandPath(), f.Name)
			}
		})
	})
	newRootCommand(&app{}).PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(text, "`--"+f.Name) {
			t.Errorf("docs/reference/cli.md: no `--%s", f.Name)
		}
	})
	for _, name := range []string{"ADAMANT_ROOT", "ADAMANT_STATE", "ADAMANT_RUNTIME_ENDPOINT", "ADAMANT_CONTAINERD_BIN", "NO_COLOR"} {
		if !strings.Contains(text, name) {
			t.Errorf("docs/reference/cli.md: no %s", name)
		}
	}
}

// TestExamplesParse checks that every command has examples, and that each would
// be accepted by its command.
func TestExamplesParse(t *testing.T) {
	var lines []string
	walk(newRootCommand(&app{}), func(c *cobra.Command) {
		if c.Example == "" {
			t.Errorf("%s: no examples", c.CommandPath())
		}
		lines = append(lines, strings.Split(c.Example, "\n")...)
	})
	comment := regexp.MustCompile(`\s+#.*$`)
	ours := regexp.MustCompile(`(?:^|\| |<\()(adamant(?: [^|>)]*)?)`)
	for _, line := range lines {
		line = comment.ReplaceAllString(strings.TrimSpace(line), "")
		found := ours.FindStringSubmatch(line)
		if found == nil {
			t.Errorf("example %q is none of adamant", line)
			continue
		}
		if err := accepts(words(found[1])[1:]); err != nil {
			t.Errorf("example %q: %v", line, err)
		}
	}
}

// accepts returns an error if a command line is invalid.
func accepts(args []string) error {
	cmd, rest, err := newRootCommand(&app{}).Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// words splits a line like a shell. It knows only single quotes.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

// TestHelpGroups checks that each command that help shows is in a group.
func TestHelpGroups(t *testing.T) {
	for _, c := range newRootCommand(&app{}).Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" && c.GroupID == "" {
			t.Errorf("%s is in no group of the help", c.Name())
		}
	}
}
