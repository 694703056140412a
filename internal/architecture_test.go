// Package internal holds no code; its tests hold the packages to their order.
package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
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
	{[]string{"cmd/adamant", "cmd/adamant-agent", "cmd/adamant-copy-up"}, "wires everything; nothing can depend on a command"},
	{[]string{"cmd/internal/agentcmd"}, "parses the command lines of the agent, for the program that is sent to servers and for adamant"},
	{[]string{"internal/workload/api"}, "is how the command line reaches the daemon in another process"},
	{[]string{"internal/seal"}, "seals the manifests of repositories by what was learned, and learns nothing itself"},
	{[]string{"internal/learn", "internal/workload/local"}, "orchestrate pods, to learn and to keep them; whoever only compares or prints must not need it"},
	{[]string{"internal/report"}, "prints results; no result may know how it is printed"},
	{[]string{"internal/servers"}, "compares, changes, captures and replaces servers; knows no flags and no output"},
	{[]string{"internal/servers/agent"}, "answers on a server; nothing of what reaches servers is needed there"},
	{[]string{"internal/servers/connect"}, "reaches servers and has them answer"},
	{[]string{"internal/servers/agentless", "internal/servers/reference"}, "stand in for the agent, on a server without one and for a server that is a file"},
	{[]string{"internal/servers/waves"}, "changes servers in waves and keeps the record, however they are reached"},
	{[]string{"internal/servers/change"}, "carries out one change on the server that it runs on"},
	{[]string{"internal/servers/capture"}, "splits a server into an image, volumes and workloads"},
	{[]string{"internal/servers/compare"}, "compares servers that were read, however they are reached"},
	{[]string{"internal/servers/facts"}, "reads servers, and compares none"},
	{[]string{"internal/servers/reach"}, "records and restores the reachability of the machine that it runs on, and knows no changes"},
	{[]string{"internal/servers/ssh"}, "runs commands on servers over SSH, and does not know what for"},
	{[]string{"internal/workload/cluster"}, "carries rollouts out in a cluster; it needs none of what runs pods here"},
	{[]string{"internal/workload/balancer"}, "balances traffic in a process of its own; it needs none of what runs pods"},
	{[]string{"internal/workload/event"}, "delivers what happened to workloads, and does not know how they are kept"},
	{[]string{"internal/workload/gate"}, "asks instances what a rollout wants to know, however they are reached"},
	{[]string{"internal/pod"}, "runs pods from specs and volumes; it runs what it is given and judges nothing"},
	{[]string{"internal/pod/containerd"}, "starts a private containerd, and reaches it through CRI"},
	{[]string{"internal/pod/cri", "internal/pod/probe", "internal/pod/translate", "internal/pod/volume"}, "are parts of pod that do not know each other"},
	{[]string{"internal/learn/profile"}, "derives volumes from traces, purely"},
	{[]string{"internal/learn/observe", "internal/learn/copyup"}, "run inside or beside a container, where nothing else of Adamant is"},
	{[]string{"internal/learn/trace"}, "describes what was observed, for the tracer and for what is derived from it"},
	{[]string{"internal/manifest/source"}, "opens files of manifests; what their bytes mean is known without it"},
	{[]string{"internal/manifest/render"}, "renders overlays and charts; which ones is decided above it"},
	{[]string{"internal/policy/admission"}, "writes rules as policies of a cluster, purely"},
	{[]string{"internal/policy"}, "finds what is mutable in manifests, purely"},
	{[]string{"internal/manifest"}, "reads and edits YAML, purely"},
	{[]string{"internal/drift/inspect"}, "compares what is on this machine; it runs no pods, so that an agent can use it"},
	{[]string{"internal/fs/overlay"}, "turns an overlay's directories into trees and finds their image"},
	{[]string{"internal/workload/batch"}, "decides how the pods of Jobs and the Jobs of CronJobs are run"},
	{[]string{"internal/workload/rollout"}, "decides how instances replace each other, wherever they run"},
	{[]string{"internal/servers/boundedjson"}, "reads what another machine wrote, within bounds, and knows no meaning"},
	{[]string{"internal/drift"}, "compares any two trees, wherever they came from"},
	{[]string{"internal/drift/redact"}, "finds secrets in text, and compares nothing"},
	{[]string{"internal/image"}, "flattens layers into a tree, and knows no container"},
	{[]string{"internal/fs/scan"}, "reads a whole root fast, and judges nothing"},
	{[]string{"internal/fs/rootfs"}, "gives access to a foreign root; everything that reads one needs it"},
	{[]string{"internal/fs/mounts"}, "reads mount tables; everything that mounts or finds mounts needs it"},
	{[]string{"internal/fs/work"}, "shares out the work of those that walk a file system"},
	{[]string{"internal/fs/tree"}, "describes file systems; every comparison needs it"},
	{[]string{"internal/servers/inventory"}, "reads which servers there are, and connects to none"},
	{[]string{"internal/workload/names"}, "answers names of addresses, and knows no pods"},
	{[]string{"internal/workload/traffic"}, "balances connections over addresses, and knows no pods"},
	{[]string{"internal/fs/durable"}, "writes and locks files, and knows nothing else"},
	{[]string{"internal/terminal"}, "draws on a terminal what changes, and knows no results"},
	{[]string{"internal/text"}, "writes text for people; everything that prints needs it"},
	{[]string{"internal/ownthread"}, "runs functions on threads; everything that enters namespaces needs it"},
	{[]string{"internal/clock"}, "waits; everything that waits needs it"},
	{[]string{"internal/document"}, "names the version and the kinds of all documents; everything that is written or read as one needs it"},
}

// doors are the packages of a group that other groups may import beside the
// group's root package, each with the reason. All other packages of a group are
// its own business.
var doors = map[string]string{
	"internal/drift/inspect":     "reads files, which drift itself does not: whoever only prints a report must not need that",
	"internal/fs/tree":           "fs has no root package: its packages share no type, and one that re-exports them all would be a util",
	"internal/fs/rootfs":         "see tree",
	"internal/fs/overlay":        "see tree",
	"internal/fs/scan":           "see tree",
	"internal/fs/durable":        "see tree",
	"internal/fs/mounts":         "see tree",
	"internal/manifest/source":   "opens files, which manifest does not, so that policies can be pure",
	"internal/policy/admission":  "writes rules for API servers; whoever checks manifests must not need that",
	"internal/learn/profile":     "is the format that check, policies and clusters read; they must not need the tracer",
	"internal/learn/copyup":      "is the whole program of the copy-up image, which must stay small",
	"internal/workload/rollout":  "is the state machine; drivers and reports speak in its terms",
	"internal/workload/local":    "runs workloads on this machine",
	"internal/workload/cluster":  "runs workloads in a cluster; who uses it must not need containerd",
	"internal/workload/api":      "is the client of a daemon in another process",
	"internal/workload/balancer": "is the whole program of a process that outlives the daemon",
	"internal/servers/agent":     "is the whole program that is copied to a server, which must stay small",
}

// A rule keeps an import to some packages of ours.
type rule struct {
	imports string   // import path or the beginning of one
	only    []string // packages that may import it, or the beginning of their paths
	because string
}

var rules = []rule{
	{"github.com/spf13/", []string{"cmd/"}, "flags are a command's business"},
	{"github.com/containerd/containerd/", []string{"internal/pod", "internal/fs/overlay"}, "the rest must work with any CRI runtime"},
	{"k8s.io/cri-api", []string{"internal/pod", "internal/learn"}, "CRI is how pods are run"},
	{"k8s.io/client-go/", []string{"internal/workload/cluster", "internal/pod"}, "who talks to a cluster stands behind one package; exec's protocol is the same"},
	{"github.com/google/go-containerregistry/", []string{"internal/image", "internal/pod", "test/"}, "images are read in one place, with its checks"},
	{"golang.org/x/crypto/ssh", []string{"internal/servers/ssh", "test/"}, "host keys are verified in one place, with its checks"},
	{"testing", []string{"test/"}, "no test support in what is shipped"},
}

// pure packages take values and return values, and so does every package of
// ours that they import, directly or not.
var pure = []string{"internal/drift", "internal/learn/profile", "internal/learn/trace", "internal/pod/translate", "internal/workload/batch", "internal/workload/rollout", "internal/fs/tree", "internal/manifest", "internal/policy", "internal/policy/admission", "internal/text"}

// harmless are imports below those of effects that only parse.
var harmless = []string{"net/netip", "net/url"}

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
				t.Errorf("%s: package %s is in no layer; add it to layers with what it is", f.path, f.pkg)
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

// group returns the group of a package, internal/pod for internal/pod/cri, and
// whether the package is an inner one. What is not internal is in no group.
func group(pkg string) (name string, inner bool) {
	part := strings.Split(pkg, "/")
	if part[0] != "internal" || len(part) < 2 {
		return "", false
	}
	return path.Join(part[:2]...), len(part) > 2
}

func TestGroupsAreEnteredByTheirDoors(t *testing.T) {
	used := map[string]bool{}
	for _, f := range sources(t) {
		if strings.HasPrefix(f.pkg, "test/") {
			continue // support for tests may look at anything
		}
		own, _ := group(f.pkg)
		for _, imported := range f.imports {
			pkg, ours := strings.CutPrefix(imported, module)
			g, inner := group(pkg)
			if !ours || !inner || g == own {
				continue
			}
			used[pkg] = true
			if doors[pkg] == "" {
				t.Errorf("%s: %s must not import %s, which is an inner package of %s; ask its root package", f.path, f.pkg, pkg, g)
			}
		}
	}
	for _, door := range slices.Sorted(maps.Keys(doors)) {
		if !used[door] {
			t.Errorf("nobody enters by the door %s; close it", door)
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
		}
	}
}

func TestPurePackagesHaveNoEffects(t *testing.T) {
	files := map[string][]source{}
	for _, f := range sources(t) {
		files[f.pkg] = append(files[f.pkg], f)
	}
	for _, p := range pure {
		if len(files[p]) == 0 {
			t.Errorf("there is no package %s", p)
		}
		seen := map[string]bool{}
		var visit func(pkg, way string)
		visit = func(pkg, way string) {
			if seen[pkg] {
				return
			}
			seen[pkg] = true
			for _, f := range files[pkg] {
				for _, imported := range f.imports {
					if own, ours := strings.CutPrefix(imported, module); ours {
						visit(own, way+" -> "+own)
					} else if !slices.Contains(harmless, imported) && slices.ContainsFunc(effects, func(e string) bool { return under(imported, e) }) {
						t.Errorf("%s is pure, but %s imports %s (%s)", p, f.path, imported, way)
					}
				}
			}
		}
		visit(p, p)
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
