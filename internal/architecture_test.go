// Package internal holds no code; its test holds the packages to their order.
package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/adamant-sh/adamant/"

// layers are the packages from the top down. A package may import those of the
// layers below its own, and none of its own layer or above.
var layers = []struct {
	packages []string
	is       string
}{
	{[]string{"cmd/adamant", "cmd/adamant-agent"}, "wires everything; nothing can depend on a command"},
	{[]string{"cmd/agent"}, "is what visits run on a server, for both programs"},
	{[]string{"internal/daemon"}, "is how the command line reaches the fleet in another process"},
	{[]string{"internal/learn", "internal/fleet"}, "orchestrate pods, to learn and to keep them; whoever only compares or prints must not need it"},
	{[]string{"internal/report"}, "prints results; no result may know how it is printed"},
	{[]string{"internal/visit"}, "reaches servers and has them answer"},
	{[]string{"internal/plain", "internal/baseline"}, "stand for servers without an agent, one there and one nowhere"},
	{[]string{"internal/update"}, "changes servers in waves and keeps the record, however they are reached"},
	{[]string{"internal/change"}, "carries out one change on the server that it runs on"},
	{[]string{"internal/capture"}, "splits a server into an image, volumes and workloads"},
	{[]string{"internal/server"}, "reads and compares servers, however they are reached"},
	{[]string{"internal/remote"}, "runs commands on servers over SSH, and does not know what for"},
	{[]string{"internal/kube"}, "carries rollouts out in a cluster; it needs none of what runs pods here"},
	{[]string{"internal/gate"}, "asks instances what a rollout wants to know, however they are reached"},
	{[]string{"internal/engine"}, "runs pods from manifests and volumes; it runs what it is told and judges nothing"},
	{[]string{"internal/engine/containerd"}, "starts a private containerd, and reaches it through CRI"},
	{[]string{"internal/engine/cri", "internal/engine/probe", "internal/engine/volume"}, "parts of the engine that do not know each other"},
	{[]string{"internal/profile"}, "derives volumes from what was observed, purely"},
	{[]string{"internal/observe", "internal/copyup"}, "run inside or beside a container, where nothing else of us is"},
	{[]string{"internal/manifest"}, "reads and edits YAML without a runtime"},
	{[]string{"internal/overlay"}, "turns an overlay's directories into trees and finds their image"},
	{[]string{"internal/rollout"}, "decides how instances replace each other, wherever they run"},
	{[]string{"internal/message"}, "reads what another machine wrote, within bounds, and knows no meaning"},
	{[]string{"internal/drift"}, "compares any two trees, wherever they came from"},
	{[]string{"internal/image"}, "flattens layers into a tree, and knows no container"},
	{[]string{"internal/scan"}, "reads a whole root fast, and judges nothing of it"},
	{[]string{"internal/tree"}, "is what all the others speak about"},
	{[]string{"internal/inventory"}, "says which servers there are, and connects to none"},
	{[]string{"internal/traffic"}, "balances connections over addresses, and knows no pods"},
	{[]string{"internal/durable"}, "writes and locks files, and knows nothing else"},
}

// A rule keeps an import to some packages of ours.
type rule struct {
	imports string   // import path or the beginning of one
	only    []string // packages that may import it, or the beginning of their paths
	because string
}

var rules = []rule{
	{"github.com/spf13/", []string{"cmd/"}, "flags are the command's business"},
	{"github.com/containerd/containerd/", []string{"internal/engine", "internal/overlay"}, "the rest must work with any CRI runtime"},
	{"k8s.io/cri-api", []string{"internal/engine", "internal/learn"}, "CRI is how the engine does it"},
	{"k8s.io/client-go/", []string{"internal/kube", "internal/engine"}, "who talks to a cluster stands behind one package; exec's protocol is the same"},
	{"github.com/google/go-containerregistry/", []string{"internal/image", "internal/engine", "test/"}, "images are read in one place, with its checks"},
	{"golang.org/x/crypto/ssh", []string{"internal/remote", "test/"}, "host keys are verified in one place, with its checks"},
	{"testing", []string{"test/"}, "no test support in what is shipped"},
}

// pure packages take values and return values.
var pure = []string{"internal/drift", "internal/profile", "internal/rollout"}

// effects are the imports that a pure package has no use for.
var effects = []string{"net", "os", "os/exec", "syscall", "golang.org/x/sys/", "path/filepath", "log", "log/slog"}

func TestImportsPointDownwards(t *testing.T) {
	level := map[string]int{}
	for i, l := range layers {
		for _, p := range l.packages {
			level[p] = i
		}
	}
	for _, f := range sources(t) {
		from, known := level[f.pkg]
		if !known {
			if !strings.HasPrefix(f.pkg, "test/") {
				t.Errorf("%s: package %s stands in no layer; add it to layers with what it is", f.path, f.pkg)
			}
			continue
		}
		for _, imported := range f.imports {
			own, ours := strings.CutPrefix(imported, module)
			to, known := level[own]
			if ours && (!known || to <= from) {
				t.Errorf("%s: %s (%s) must not import %s", f.path, f.pkg, layers[from].is, own)
			}
		}
	}
}

func TestImportsAreKeptWhereTheyBelong(t *testing.T) {
	for _, f := range sources(t) {
		for _, imported := range f.imports {
			for _, r := range rules {
				if under(imported, r.imports) && !slices.ContainsFunc(r.only, func(p string) bool { return under(f.pkg, p) }) {
					t.Errorf("%s: %s may be imported by %s only: %s", f.path, imported, strings.Join(r.only, ", "), r.because)
				}
			}
			if slices.Contains(pure, f.pkg) && slices.ContainsFunc(effects, func(e string) bool { return under(imported, e) }) {
				t.Errorf("%s: %s is pure and must not import %s", f.path, f.pkg, imported)
			}
		}
	}
}

// under reports whether an import path is prefix or lies below it.
func under(importPath, prefix string) bool {
	return importPath == prefix || strings.HasPrefix(importPath, strings.TrimSuffix(prefix, "/")+"/")
}

// A source is one file that is shipped, for whatever system.
type source struct {
	path    string // in the repository
	pkg     string // import path below the module
	imports []string
}

// sources parses the imports of all Go files but the tests'.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, top := range []string{"cmd", "internal", "test"} {
		root := filepath.Join("..", top)
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "testdata" || name == filepath.Join(root, "cluster")) {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			s, err := parse(name)
			all = append(all, s)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) == 0 {
		t.Fatal("found no sources")
	}
	return all
}

func parse(name string) (source, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		return source{}, err
	}
	s := source{path: strings.TrimPrefix(filepath.ToSlash(name), "../")}
	s.pkg = path.Dir(s.path)
	for _, i := range file.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, p)
	}
	return s, nil
}
