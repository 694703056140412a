package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/test/deeptree"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// describeTree is the tree that a directory has.
func describeTree(t *testing.T, dir string) (*rootfs.Root, tree.Tree) {
	t.Helper()
	root, err := rootfs.Open(dir)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	want, unknown, err := root.Walk(t.Context(), rootfs.WalkOptions{Hash: true})
	if err != nil || len(unknown) > 0 {
		t.Fatal(unknown, err)
	}
	return root, want
}

// lines are the changes and unknowns of a report.
func lines(r drift.Report) []string {
	var out []string
	for _, ch := range r.Changes {
		out = append(out, strings.Join(append([]string{string(ch.Kind), ch.Path}, ch.Fields...), " "))
	}
	for _, u := range r.Unknowns {
		out = append(out, fmt.Sprintf("unknown %s: %v", u.Path, u.Err))
	}
	return out
}

func TestCompareFiles(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(t *testing.T, dir string)
		isLayer bool
		want    []string
	}{
		{name: "nothing", change: func(*testing.T, string) {}},
		{name: "content of the same size", change: func(t *testing.T, dir string) {
			must(t, os.WriteFile(dir+"/etc/conf", []byte("tw0"), 0o644))
		}, want: []string{"changed /etc/conf content"}},
		{name: "size, mode and a new file", change: func(t *testing.T, dir string) {
			must(t, os.WriteFile(dir+"/etc/conf", []byte("three"), 0o644))
			must(t, os.Chmod(dir+"/usr/bin/tool", 0o755))
			must(t, os.WriteFile(dir+"/new", nil, 0o644))
		}, want: []string{"changed /etc/conf content", "added /new", "changed /usr/bin/tool mode"}},
		{name: "deleted directory", change: func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir+"/usr"))
		}, want: []string{"deleted /usr", "deleted /usr/bin", "deleted /usr/bin/tool"}},
		{name: "a link in place of a directory", change: func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/usr", dir+"/moved"))
			must(t, os.Symlink("moved", dir+"/usr"))
		}, want: []string{
			"added /moved", "added /moved/bin", "added /moved/bin/tool",
			"changed /usr type", "deleted /usr/bin", "deleted /usr/bin/tool",
		}},
		{name: "a mount hides files", change: func(t *testing.T, dir string) {
			must(t, unix.Mount("tmpfs", dir+"/usr", "tmpfs", 0, ""))
			t.Cleanup(func() { must(t, unix.Unmount(dir+"/usr", 0)) })
			must(t, os.WriteFile(dir+"/usr/x", nil, 0o644))
		}},
		{name: "a mount in a layer", isLayer: true, change: func(t *testing.T, dir string) {
			must(t, unix.Mount("tmpfs", dir+"/usr", "tmpfs", 0, ""))
			t.Cleanup(func() { must(t, unix.Unmount(dir+"/usr", 0)) })
		}, want: []string{"unknown /usr: another file system is mounted here"}},
		{name: "a whiteout is a device", change: func(t *testing.T, dir string) {
			must(t, unix.Mknod(dir+"/w", unix.S_IFCHR, 0))
		}, want: []string{"added /w"}},
		{name: "attributes of overlayfs in a root", change: func(t *testing.T, dir string) {
			must(t, unix.Lsetxattr(dir+"/etc", "trusted.overlay.opaque", []byte("y"), 0))
		}},
		{name: "attributes of overlayfs in a layer", isLayer: true, change: func(t *testing.T, dir string) {
			must(t, unix.Lsetxattr(dir+"/etc", "trusted.overlay.opaque", []byte("y"), 0))
			must(t, unix.Lsetxattr(dir+"/etc/conf", "trusted.overlay.metacopy", nil, 0))
			must(t, os.Chmod(dir, 0o700)) // the root is the runtime's own
		}, want: []string{"changed /etc xattr", "changed /etc/conf xattr"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.MkdirAll(dir+"/usr/bin", 0o755))
			must(t, os.MkdirAll(dir+"/etc", 0o755))
			must(t, os.WriteFile(dir+"/etc/conf", []byte("two"), 0o644))
			must(t, os.WriteFile(dir+"/usr/bin/tool", []byte("#!/bin/sh\n"), 0o644))
			root, want := describeTree(t, dir)
			tt.change(t, dir)
			r, err := compareFiles(t.Context(), want, root, filesOptions{isLayer: tt.isLayer})
			if diff := cmp.Diff(lines(r), tt.want); diff != "" || err != nil {
				t.Errorf("%v\n-got +want\n%s", err, diff)
			}
		})
	}
}

// A pastDeadline is a context whose deadline is reached when the test decides.
type pastDeadline struct {
	context.Context
	isReached atomic.Bool
}

func (c *pastDeadline) Err() error {
	if c.isReached.Load() {
		return context.DeadlineExceeded
	}
	return c.Context.Err()
}

// What was seen before a deadline counts, and the rest is unknown.
func TestCompareFilesUntilDeadline(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/read", []byte("one"), 0o644))
	must(t, os.WriteFile(dir+"/removed", []byte("one"), 0o644))
	root, want := describeTree(t, dir)
	must(t, os.WriteFile(dir+"/read", []byte("two"), 0o644))
	must(t, os.WriteFile(dir+"/added", nil, 0o644))
	must(t, os.Remove(dir+"/removed"))
	ctx := &pastDeadline{Context: t.Context()}
	r, err := compareFiles(ctx, want, root, filesOptions{pace: func(int64) { ctx.isReached.Store(true) }})
	wantLines := []string{"added /added", "deleted /removed", "unknown /: " + ErrDeadline.Error()}
	if diff := cmp.Diff(lines(r), wantLines); diff != "" || err != nil {
		t.Errorf("%v\n-got +want\n%s", err, diff)
	}
	ctx = &pastDeadline{Context: t.Context()}
	ctx.isReached.Store(true)
	r, err = compareFiles(ctx, want, root, filesOptions{})
	if diff := cmp.Diff(lines(r), wantLines[2:]); diff != "" || err != nil {
		t.Errorf("from the start: %v\n-got +want\n%s", err, diff)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := compareFiles(cancelled, want, root, filesOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// hostileTrees are trees that a container could make to delay its comparison, or to fill
// the memory of the process that compares it.
var hostileTrees = []struct {
	name string
	make func(dir string) error
	made int // entries
}{
	{"long names", func(dir string) error { return deeptree.Make(dir, 6000, 255) }, 6000},
	{"deep", func(dir string) error { return deeptree.Make(dir, 60_000, 1) }, 60_000},
	{"wide", func(dir string) error { return fill(dir, 100_000) }, 100_000},
}

// fill makes empty files in one directory.
func fill(root string, files int) error {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	for i := 0; i < files && err == nil; i++ {
		err = unix.Mknodat(dir, fmt.Sprint("f", i), unix.S_IFREG|0o644, 0)
	}
	return err
}

// maxMemory is the peak memory of a process that compares any tree, in KiB.
const maxMemory = 64 << 10

// A root is compared with its image in bounded memory.
func TestRootTakesLittleMemory(t *testing.T) {
	if dir := os.Getenv("ADAMANT_TEST_ROOT"); dir != "" {
		root, err := rootfs.Open(dir)
		must(t, err)
		defer root.Close()
		img, err := image.New(image.Config{})
		must(t, err)
		r, err := Root(t.Context(), root, image.Image{Image: img}, image.FlattenOptions{})
		must(t, err)
		fmt.Println(r.Len(), "changes", len(r.Changes), "listed", r.UnknownLen(), "unknown")
		status, err := os.ReadFile("/proc/self/status")
		must(t, err)
		fmt.Println(string(status))
		return
	}
	t.Parallel()
	// The race detector would take several times the memory.
	program := filepath.Join(t.TempDir(), "inspect.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-race=false", "-vet=off", "-c", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, tt := range hostileTrees {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "nr_inodes=0,mode=755")) // so that it is gone at once
			t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) })
			must(t, tt.make(dir))
			cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestRootTakesLittleMemory$", "-test.count=1")
			cmd.Env = append(os.Environ(), "ADAMANT_TEST_ROOT="+dir)
			out, err := cmd.CombinedOutput()
			peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(out)
			if err != nil || peak == nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if used, err := strconv.Atoi(string(peak[1])); err != nil || used > maxMemory {
				t.Errorf("%d KiB (%v), want at most %d", used, err, maxMemory)
			}
			var changes, listed, unknown int
			if _, err := fmt.Sscanf(string(out), "%d changes %d listed %d unknown", &changes, &listed, &unknown); err != nil || changes != tt.made || listed == 0 || unknown != 0 {
				t.Errorf("%d changes, %d listed, %d unknown (%v), want %d changes, some listed, none unknown", changes, listed, unknown, err, tt.made)
			}
		})
	}
}
