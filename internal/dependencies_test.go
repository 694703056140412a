package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every direct dependency has its line with a reason, and no line is left of
// one that is gone.
func TestDependenciesAreDocumented(t *testing.T) {
	if diff := cmp.Diff(documented(t), directRequirements(t)); diff != "" {
		t.Errorf("docs/dependencies.md and go.mod name different modules (-documented +required):\n%s", diff)
	}
}

// requirement is a line of go.mod in a block of requirements, or one by itself.
var requirement = regexp.MustCompile(`(?m)^(?:require )?\t?([a-z0-9.-]+\.[a-z]+/\S+) v\S+(?: //(.*))?$`)

// directRequirements are the modules that go.mod requires without the comment
// "// indirect".
func directRequirements(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, m := range requirement.FindAllSubmatch(text, -1) {
		if !strings.Contains(string(m[2]), "indirect") {
			direct = append(direct, string(m[1]))
		}
	}
	slices.Sort(direct)
	if len(direct) == 0 {
		t.Fatal("go.mod has no direct requirement")
	}
	return direct
}

var moduleLine = regexp.MustCompile("(?m)^\\| `([a-z0-9.-]+\\.[a-z]+/[^`]+)` \\| \\S")

// documented are the modules of the table in docs/dependencies.md.
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, m := range moduleLine.FindAllSubmatch(text, -1) {
		modules = append(modules, string(m[1]))
	}
	slices.Sort(modules)
	return modules
}
