package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// readYAML reads a file of the repository.
func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", name))
	if err == nil {
		err = yaml.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestAction runs the step of action.yml that builds adamant and checks.
func TestAction(t *testing.T) {
	t.Parallel()
	var action struct {
		Runs struct {
			Steps []struct {
				Run string
				Env map[string]string
			}
		}
	}
	readYAML(t, "action.yml", &action)
	step := action.Runs.Steps[len(action.Runs.Steps)-1]
	root, err := filepath.Abs("../..")
	check(t, err)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "pod.yaml"), []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: nginx}]}\n"), 0o600))
	env := map[string]string{"ACTION": root, "PATHS": "pod.yaml\n.", "FAIL_ON": "high", "BASELINE": "", "SARIF": "out.sarif", "RUNNER_TEMP": dir, "CGO_ENABLED": "0"}
	for name := range step.Env {
		if _, ok := env[name]; !ok {
			t.Errorf("the test has no value for %s", name)
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-e", "-c", step.Run)
	cmd.Dir, cmd.Env = dir, os.Environ()
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(string(out), "file=pod.yaml,line=4,col=21") {
		t.Errorf("%v, want exit code 3 and an error in line 4:\n%s", err, out)
	}
	if sarif, err := os.ReadFile(filepath.Join(dir, "out.sarif")); err != nil || !strings.Contains(string(sarif), "root-not-read-only") {
		t.Errorf("the SARIF file: %v\n%s", err, sarif)
	}
}

// TestPreCommitHook compares the hook with the command that it calls.
func TestPreCommitHook(t *testing.T) {
	var hooks []struct{ Entry string }
	readYAML(t, ".pre-commit-hooks.yaml", &hooks)
	for _, h := range hooks {
		words := strings.Fields(h.Entry)
		cmd, rest, err := newRootCommand(&app{}).Find(words[1:])
		if err != nil || cmd.Name() != "check" || len(rest) > 0 {
			t.Errorf("%s: %v, %v", h.Entry, rest, err)
		}
	}
	if len(hooks) == 0 {
		t.Error("no hooks")
	}
}

// TestHelmPlugin checks that the plugin of Helm 4 runs a command that there is, on standard
// input.
func TestHelmPlugin(t *testing.T) {
	var plugin struct {
		Type          string
		RuntimeConfig struct {
			PlatformCommand []struct {
				Command string
				Args    []string
			}
		}
	}
	readYAML(t, "packaging/helm/adamant/plugin.yaml", &plugin)
	commands := plugin.RuntimeConfig.PlatformCommand
	if plugin.Type != "postrenderer/v1" || len(commands) != 1 || commands[0].Command != "adamant" {
		t.Fatalf("got %+v", plugin)
	}
	cmd, rest, err := newRootCommand(&app{}).Find(commands[0].Args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err != nil || cmd.Name() != "seal" || !slices.Equal(cmd.Flags().Args(), []string{"-"}) {
		t.Errorf("%q: %v, %v", commands[0].Args, err, cmd.Flags().Args())
	}
}
