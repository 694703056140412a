package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// cache holds the peers, which are built once.
const cache = ".cache/bench"

// The peers, as the Go proxy has them.
const (
	kubeLinter = "golang.stackrox.io/kube-linter/cmd/kube-linter@v0.8.3"
	kubeScore  = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
	gator      = "github.com/open-policy-agent/gatekeeper/v3/cmd/gator@v3.23.1"
)

//go:embed readonly.yaml
var readOnlyPolicy []byte

// findPeers builds the peers, and returns how their users call them.
func findPeers(ctx context.Context, linter string) ([]program, error) {
	if linter == "" {
		linter, _ = exec.LookPath("kube-linter")
	}
	if linter == "" {
		var err error
		if linter, err = install(ctx, kubeLinter); err != nil {
			return nil, fmt.Errorf("%w\nhint: -kube-linter FILE is a released program", err)
		}
	}
	score, err := install(ctx, kubeScore)
	if err != nil {
		return nil, err
	}
	gate, err := install(ctx, gator)
	if err != nil {
		return nil, err
	}
	constraint := filepath.Join(cache, "readonly.yaml")
	if err := os.WriteFile(constraint, readOnlyPolicy, 0o644); err != nil {
		return nil, err
	}
	return []program{
		{"kube-linter lint", func(in string) []string { return []string{linter, "lint", in} }},
		{"kube-score score", func(in string) []string { return append([]string{score, "score"}, filesOf(in)...) }},
		{"gator test, one constraint", func(in string) []string { return []string{gate, "test", "-f", constraint, "-f", in} }},
	}, nil
}

// filesOf returns the files in a folder, which kube-score does not read itself.
func filesOf(name string) []string {
	files, _ := filepath.Glob(filepath.Join(name, "*.yaml"))
	if len(files) == 0 {
		return []string{name}
	}
	return files
}

// install builds a program of the Go proxy, unless the cache has this version, and
// returns its name.
func install(ctx context.Context, program string) (string, error) {
	pkg, version, _ := strings.Cut(program, "@")
	dir, err := filepath.Abs(filepath.Join(cache, path.Base(pkg)+"-"+version))
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, path.Base(pkg))
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	cmd := exec.CommandContext(ctx, "go", "install", "-trimpath", "-ldflags", "-s -w", program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOBIN="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install %s: %w\n%.2000s", program, err, out)
	}
	return name, nil
}
