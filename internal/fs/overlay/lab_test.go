package overlay_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A lab is a mounted overlay that a test changes.
type lab struct {
	t       testing.TB
	dir     string
	lower   []string // top first
	upper   string
	merged  string
	options string
}

// newLab mounts an empty upper directory over lower layers, which are made in
// dir by the functions given, the lowest first.
func newLab(t testing.TB, options string, layers ...func(dir string)) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), options: options}
	for i, fill := range layers {
		dir := l.mkdir("lower" + string(rune('0'+i)))
		fill(dir)
		l.lower = append([]string{dir}, l.lower...)
	}
	l.mount()
	return l
}

func (l *lab) mkdir(name string) string {
	l.t.Helper()
	dir := filepath.Join(l.dir, name)
	must(l.t, os.MkdirAll(dir, 0o755))
	return dir
}

func (l *lab) mount() {
	l.t.Helper()
	l.mountAt(l.mkdir("merged"))
}

func (l *lab) mountAt(dir string) {
	l.t.Helper()
	if os.Getuid() != 0 {
		l.t.Fatal("mounting an overlay needs root")
	}
	at := fmt.Sprint(len(l.lower))
	l.upper, l.merged = l.mkdir("upper"+at), dir
	options := "lowerdir=" + strings.Join(l.lower, ":") + ",upperdir=" + l.upper + ",workdir=" + l.mkdir("work"+at) + l.options
	must(l.t, unix.Mount("overlay", l.merged, "overlay", 0, options))
	l.t.Cleanup(l.unmount)
}

func (l *lab) unmount() {
	if err := unix.Unmount(l.merged, 0); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		l.t.Error(err)
	}
}

// push makes a copy of the upper directory the topmost lower layer, below a
// new one. The kernel may count the directory itself as in use for as long as
// some mount namespace on the machine still has a copy of the mount.
func (l *lab) push(as string) {
	l.t.Helper()
	l.unmount()
	layer := filepath.Join(l.dir, as)
	if out, err := exec.Command("cp", "-a", l.upper, layer).CombinedOutput(); err != nil {
		l.t.Fatalf("%v: %s", err, out)
	}
	l.lower = append([]string{layer}, l.lower...)
	l.mount()
}

func (l *lab) path(name string) string { return filepath.Join(l.merged, name) }

// open opens the layers, which the caller must close.
func (l *lab) open() *overlay.Overlay {
	l.t.Helper()
	m, err := overlay.FindDir(l.merged)
	must(l.t, err)
	o, err := overlay.Open(m)
	must(l.t, err)
	return o
}

// read returns the report on the changes.
func (l *lab) read(opts overlay.Options) drift.Report {
	l.t.Helper()
	o := l.open()
	defer o.Close()
	r, err := inspect.Changes(context.Background(), o, opts)
	must(l.t, err)
	return r
}

// pairs is a visitor that keeps the pairs by their paths.
type pairs map[string]*overlay.Pair

func (p pairs) Pair(pair *overlay.Pair)      { p[pair.Path()] = pair }
func (p pairs) Unknown(path string, _ error) { p[path] = nil }

// snapshot reads the whole merged tree.
func (l *lab) snapshot() tree.Tree {
	l.t.Helper()
	r, err := rootfs.Open(l.merged)
	must(l.t, err)
	defer r.Close()
	all, unknowns, err := r.Walk(context.Background(), rootfs.WalkOptions{Hash: true})
	must(l.t, err)
	if len(unknowns) > 0 {
		l.t.Fatal(unknowns)
	}
	return all
}

// short returns the parts of a report that must equal those of a full comparison.
var short = cmp.Options{
	cmpopts.IgnoreFields(drift.Change{}, "Class", "Severity", "Reason", "Want", "Got", "Diff", "From"),
	cmpopts.EquateEmpty(),
}

func diffReports(got, want drift.Report) string { return cmp.Diff(got, want, short) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write makes a file with its parents.
func write(t testing.TB, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}
