package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// image is a small lower layer.
func image(t testing.TB) func(dir string) {
	return func(dir string) {
		write(t, dir+"/etc/app.conf", "port = 80\n")
		write(t, dir+"/etc/passwd", "root:x:0:0::/:/bin/sh\n")
		write(t, dir+"/usr/bin/app", "\x7fELF program")
		write(t, dir+"/usr/share/doc/a/copyright", "free\n")
		write(t, dir+"/usr/share/doc/b/copyright", "free\n")
		must(t, os.Symlink("app.conf", dir+"/etc/link"))
	}
}

// listed writes changes as lines, such as "changed /etc/passwd content mode".
func listed(r drift.Report) []string {
	var lines []string
	for _, ch := range r.Changes {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", ch.Kind, ch.Path, strings.Join(ch.Fields, " "))))
	}
	for _, u := range r.Unknowns {
		lines = append(lines, fmt.Sprintf("unknown %s: %s", u.Path, u.Reason()))
	}
	return lines
}

func TestChanges(t *testing.T) {
	all := ",redirect_dir=on,metacopy=on,index=on"
	tests := map[string]struct {
		options string
		change  func(t *testing.T, l *lab)
		want    []string
	}{
		"nothing": {change: func(*testing.T, *lab) {}},
		"mode set to what it is": {change: func(t *testing.T, l *lab) {
			must(t, os.Chmod(l.path("etc/app.conf"), 0o644))
			must(t, os.Chmod(l.path("usr"), 0o755))
		}},
		"opened for writing": {change: func(t *testing.T, l *lab) {
			f, err := os.OpenFile(l.path("etc/app.conf"), os.O_RDWR, 0)
			must(t, err)
			must(t, f.Close())
		}},
		"same size and time": {
			change: func(t *testing.T, l *lab) {
				info, err := os.Stat(l.path("usr/bin/app"))
				must(t, err)
				must(t, os.WriteFile(l.path("usr/bin/app"), []byte("\x7fELF PROGRAM"), 0))
				must(t, os.Chtimes(l.path("usr/bin/app"), info.ModTime(), info.ModTime()))
			},
			want: []string{"changed /usr/bin/app content"},
		},
		"written and written back": {change: func(t *testing.T, l *lab) {
			must(t, os.WriteFile(l.path("etc/app.conf"), []byte("other"), 0))
			must(t, os.WriteFile(l.path("etc/app.conf"), []byte("port = 80\n"), 0))
		}},
		"deleted and made again": {change: func(t *testing.T, l *lab) {
			must(t, os.Remove(l.path("etc/app.conf")))
			write(t, l.path("etc/app.conf"), "port = 80\n")
		}},
		"directory deleted and made again": {
			change: func(t *testing.T, l *lab) {
				must(t, os.RemoveAll(l.path("usr/share/doc")))
				write(t, l.path("usr/share/doc/a/copyright"), "free\n")
			},
			want: []string{"deleted /usr/share/doc/b", "deleted /usr/share/doc/b/copyright"},
		},
		"metadata only": {
			options: all,
			change: func(t *testing.T, l *lab) {
				must(t, os.Chmod(l.path("usr/bin/app"), 0o4755))
				must(t, os.Lchown(l.path("etc/link"), 5, 6))
				must(t, unix.Lsetxattr(l.path("etc"), "user.a", []byte("1"), 0))
			},
			want: []string{"changed /etc xattr", "changed /etc/link owner", "changed /usr/bin/app mode"},
		},
		"directory renamed": {
			options: all,
			change: func(t *testing.T, l *lab) {
				must(t, os.Rename(l.path("usr/share/doc"), l.path("usr/doc")))
				write(t, l.path("usr/doc/a/new"), "new")
			},
			want: []string{
				"added /usr/doc", "added /usr/doc/a", "added /usr/doc/a/copyright", "added /usr/doc/a/new", "added /usr/doc/b", "added /usr/doc/b/copyright",
				"deleted /usr/share/doc", "deleted /usr/share/doc/a", "deleted /usr/share/doc/a/copyright", "deleted /usr/share/doc/b", "deleted /usr/share/doc/b/copyright",
			},
		},
		"directory renamed there and back": {
			options: all,
			change: func(t *testing.T, l *lab) {
				must(t, os.Rename(l.path("usr/share/doc"), l.path("usr/doc")))
				must(t, os.Rename(l.path("usr/doc"), l.path("usr/share/doc")))
			},
		},
		"directory becomes a file": {
			change: func(t *testing.T, l *lab) {
				must(t, os.RemoveAll(l.path("usr/share/doc/a")))
				write(t, l.path("usr/share/doc/a"), "x")
			},
			want: []string{"changed /usr/share/doc/a type mode", "deleted /usr/share/doc/a/copyright"},
		},
		"whiteout as an attribute": {
			change: func(t *testing.T, l *lab) {
				// A tool that fills an upper directory could create this.
				write(t, l.upper+"/etc/app.conf", "")
				must(t, unix.Lsetxattr(l.upper+"/etc/app.conf", "trusted.overlay.whiteout", []byte("y"), 0))
				must(t, unix.Lsetxattr(l.upper+"/etc", "trusted.overlay.opaque", []byte("x"), 0))
			},
			want: []string{"deleted /etc/app.conf"},
		},
		"names that look like marks": {
			change: func(t *testing.T, l *lab) {
				write(t, l.path("etc/.wh.app.conf"), "")
				write(t, l.path("etc/.wh..wh..opq"), "")
				must(t, unix.Lsetxattr(l.path("etc/.wh.app.conf"), "user.overlay.whiteout", []byte("y"), 0))
			},
			want: []string{"added /etc/.wh..wh..opq", "added /etc/.wh.app.conf"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, tt.options, image(t))
			tt.change(t, l)
			r := l.read(overlay.Options{})
			if diff := cmp.Diff(listed(r), tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
}

func TestChangeOfOneHardLinkIsSeenAtAllNames(t *testing.T) {
	l := newLab(t, ",index=on", func(dir string) {
		write(t, dir+"/bin/one", "program")
		must(t, os.MkdirAll(dir+"/sbin", 0o755))
		must(t, os.Link(dir+"/bin/one", dir+"/sbin/two"))
	})
	write(t, l.path("bin/one"), "PROGRAM")
	must(t, os.Remove(l.path("bin/one"))) // the copy is in the index only
	r := l.read(overlay.Options{})
	want := []string{"deleted /bin/one", "changed /sbin/two content"}
	if diff := cmp.Diff(listed(r), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestRenamedDirectoryTellsItsOrigin(t *testing.T) {
	l := newLab(t, ",redirect_dir=on", image(t))
	must(t, os.Rename(l.path("usr/share/doc"), l.path("doc")))
	r := l.read(overlay.Options{})
	if ch := r.Changes[0]; ch.Path != "/doc" || ch.From != "/usr/share/doc" {
		t.Errorf("got %s from %s", ch.Path, ch.From)
	}
}

func TestMetacopyIsNotRead(t *testing.T) {
	l := newLab(t, ",metacopy=on", func(dir string) {
		write(t, dir+"/big", "x")
		must(t, os.Truncate(dir+"/big", 1<<42)) // 4 TiB could not be read in a test
	})
	must(t, os.Chmod(l.path("big"), 0o600))
	r := l.read(overlay.Options{})
	if diff := cmp.Diff(listed(r), []string{"changed /big mode"}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestDataLayer(t *testing.T) {
	l := &lab{t: t, dir: t.TempDir(), options: ",metacopy=on,redirect_dir=on"}
	data, lower := l.mkdir("data"), l.mkdir("lower")
	write(t, data+"/objects/ab", "content\n")
	write(t, lower+"/file", "")
	must(t, os.Truncate(lower+"/file", 8))
	must(t, unix.Lsetxattr(lower+"/file", "trusted.overlay.metacopy", nil, 0))
	must(t, unix.Lsetxattr(lower+"/file", "trusted.overlay.redirect", []byte("/objects/ab"), 0))
	l.lower = []string{lower + "::" + data}
	l.mount()
	f, err := os.OpenFile(l.path("file"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	if r := l.read(overlay.Options{}); !r.Clean() {
		t.Errorf("opened only: %s", listed(r))
	}
	_, err = f.WriteString("CONTENT\n")
	must(t, err)
	r := l.read(overlay.Options{})
	if diff := cmp.Diff(listed(r), []string{"changed /file content"}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	if !strings.Contains(r.Changes[0].Diff, "-content\n+CONTENT\n") {
		t.Errorf("got diff %s", r.Changes[0].Diff)
	}
}

func TestRuntimeMadeMountTargets(t *testing.T) {
	l := newLab(t, "", image(t))
	dir := func(name string, mode os.FileMode) {
		must(t, os.MkdirAll(l.path(name), 0o755))
		must(t, os.Chmod(l.path(name), mode))
	}
	file := func(name, content string, mode os.FileMode) {
		must(t, os.WriteFile(l.path(name), []byte(content), mode))
		must(t, os.Chmod(l.path(name), mode))
	}
	dir("proc", 0o755)
	dir("data", 0o755)
	dir("data/volume", 0o755)
	file("etc/hosts", "", 0o755)
	must(t, os.Symlink("/proc/mounts", l.path("etc/mtab")))
	// The runtime creates none of these.
	file("etc/resolv.conf", "nameserver 10.0.0.1\n", 0o644)
	file("etc/hostname", "", 0o666)
	dir("sys", 0o777)
	file("data/volume/hidden", "x", 0o644)
	file("data/other", "", 0o755)
	dir("empty", 0o755)
	mounts := []string{"/data/volume", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/proc", "/sys"}
	r := l.read(overlay.Options{Mounts: mounts})
	want := []string{
		"added /data/other", "added /data/volume/hidden", "added /empty", "added /etc/hostname", "added /etc/resolv.conf", "added /sys",
	}
	if diff := cmp.Diff(listed(r), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	if r := l.read(overlay.Options{}); len(r.Changes) != 11 {
		t.Errorf("without mount points: %s", listed(r))
	}
}

func TestRuntimeMadeWorkingDirectory(t *testing.T) {
	l := newLab(t, "", image(t))
	must(t, os.MkdirAll(l.path("srv/job/out"), 0o755))
	must(t, os.Mkdir(l.path("data"), 0o755))
	must(t, os.Mkdir(l.path("data/user"), 0o700))
	must(t, os.Chown(l.path("data/user"), 7, 7))
	for _, tt := range []struct {
		dir  overlay.WorkDir
		want []string
	}{
		{overlay.WorkDir{}, []string{"added /data", "added /data/user", "added /srv", "added /srv/job", "added /srv/job/out"}},
		{overlay.WorkDir{Path: "/srv/job"}, []string{"added /data", "added /data/user", "added /srv/job/out"}},
		{overlay.WorkDir{Path: "/data/user", UID: 7, GID: 7}, []string{"added /srv", "added /srv/job", "added /srv/job/out"}},
		{overlay.WorkDir{Path: "/data/user", UID: 8, GID: 8}, []string{"added /data/user", "added /srv", "added /srv/job", "added /srv/job/out"}},
	} {
		r := l.read(overlay.Options{Mounts: []string{}, WorkDir: tt.dir})
		if diff := cmp.Diff(listed(r), tt.want); diff != "" {
			t.Errorf("%+v: -got +want\n%s", tt.dir, diff)
		}
	}
	must(t, os.Chmod(l.path("srv/job"), 0o777)) // not as the runtime created it
	r := l.read(overlay.Options{Mounts: []string{}, WorkDir: overlay.WorkDir{Path: "/srv/job"}})
	if got := strings.Join(listed(r), ", "); !strings.Contains(got, "added /srv/job,") {
		t.Errorf("got %s", got)
	}
}

// TestWorkingDirectoryOfBundle reads bundles as containerd, Docker and podman write
// them, and files in their place that a container could have written.
func TestWorkingDirectoryOfBundle(t *testing.T) {
	const config = `{"root": {"path": %q}, "process": {"cwd": "/srv/job/", "user": {"uid": 3, "gid": 4}}}`
	want := overlay.WorkDir{Path: "/srv/job", UID: 3, GID: 4}
	dir := t.TempDir()
	point := dir + "/rootfs"
	for _, tt := range []struct {
		name, config string
		ok           bool
	}{
		{"relative", fmt.Sprintf(config, "rootfs"), true},
		{"absolute", fmt.Sprintf(config, point), true},
		{"of another container", fmt.Sprintf(config, "/else/rootfs"), false},
		{"truncated", config[:20], false},
	} {
		must(t, os.WriteFile(dir+"/config.json", []byte(tt.config), 0o600))
		got, err := overlay.ReadWorkDir(dir, []string{point})
		if (err == nil) != tt.ok || tt.ok && got != want {
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
		}
	}
	must(t, os.Remove(dir+"/config.json"))
	must(t, unix.Mkfifo(dir+"/config.json", 0o600))
	if got, err := overlay.ReadWorkDir(dir, []string{point}); err == nil {
		t.Errorf("a FIFO: got %+v", got)
	}
}

func TestRootDirectory(t *testing.T) {
	l := newLab(t, "", func(dir string) { must(t, os.Chmod(dir, 0o555)) })
	if r := l.read(overlay.Options{Mounts: []string{}}); !r.Clean() {
		t.Errorf("as the snapshotter made it: %s", listed(r))
	}
	must(t, os.Chmod(l.merged, 0o777))
	r := l.read(overlay.Options{Mounts: []string{}})
	if diff := cmp.Diff(listed(r), []string{"changed / mode"}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestFileThatChangesWhileItIsRead(t *testing.T) {
	l := newLab(t, "", image(t))
	f, err := os.OpenFile(l.path("etc/app.conf"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	o := l.open()
	defer o.Close()
	found := pairs{}
	_, err = o.Walk(t.Context(), overlay.Options{}, found)
	must(t, err)
	tests := map[string]struct {
		change func() error
		equal  bool
		err    error
	}{
		"left alone": {func() error { return nil }, true, nil},
		"grew":       {func() error { _, err := f.WriteAt([]byte("more"), 10); return err }, false, tree.ErrChanged},
		"replaced": {func() error {
			return errors.Join(os.Rename(l.path("etc/app.conf"), l.path("etc/x")), os.WriteFile(l.path("etc/app.conf"), []byte("port = 80\n"), 0o644))
		}, false, tree.ErrChanged},
		"became a FIFO": {func() error {
			return errors.Join(os.Remove(l.path("etc/app.conf")), unix.Mkfifo(l.path("etc/app.conf"), 0o600))
		}, false, tree.ErrChanged},
	}
	for _, name := range []string{"left alone", "grew", "replaced", "became a FIFO"} {
		tt := tests[name]
		must(t, tt.change())
		if equal, err := found["/etc/app.conf"].Equal(context.Background()); equal != tt.equal || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %t, %v", name, equal, err)
		}
	}
}

// TestFileThatIsWrittenWithinTheRead writes after the comparison began and
// before it ended, without a trace in size or modification time.
func TestFileThatIsWrittenWithinTheRead(t *testing.T) {
	const size = 8 * overlay.Chunk
	l := newLab(t, "", func(dir string) { write(t, dir+"/data", strings.Repeat("x", size)) })
	f, err := os.OpenFile(l.path("data"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	o := l.open()
	defer o.Close()
	found := pairs{}
	_, err = o.Walk(t.Context(), overlay.Options{}, found)
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	ctx := &countingContext{Context: context.Background(), at: 5, do: func() {
		_, err := f.WriteAt([]byte("y"), 0) // behind what was read
		must(t, err)
		must(t, os.Chtimes(l.path("data"), info.ModTime(), info.ModTime()))
	}}
	if equal, err := found["/data"].Equal(ctx); equal || !errors.Is(err, tree.ErrChanged) {
		t.Errorf("got %t, %v", equal, err)
	}
}

// countingContext does something when it is asked for the n-th time.
type countingContext struct {
	context.Context
	at int
	do func()
}

func (c *countingContext) Err() error {
	if c.at--; c.at == 0 {
		c.do()
	}
	return c.Context.Err()
}

func TestBusyDirectoryIsUnsettled(t *testing.T) {
	l := newLab(t, "", image(t))
	write(t, l.path("tmp/sub/a"), "a")
	// The walk checks its context before each directory, so that /tmp always changes
	// before /tmp/sub is listed.
	n := 0
	ctx := &busyContext{Context: context.Background(), do: func() {
		n++
		write(t, l.path(fmt.Sprint("tmp/b", n)), "b")
	}}
	o := l.open()
	defer o.Close()
	r, err := inspect.Changes(ctx, o, overlay.Options{})
	must(t, err)
	if diff := cmp.Diff(r.Unknowns, []tree.Unknown{{Path: "/tmp", Err: tree.ErrChanged}}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	if len(r.Changes) < 2 {
		t.Errorf("what was seen is missing: %s", listed(r))
	}
}

type busyContext struct {
	context.Context
	do func()
}

func (c *busyContext) Err() error {
	c.do()
	return nil
}

// nest makes directories in each other and returns the deepest, open.
func nest(t *testing.T, root, name string, depth int) int {
	t.Helper()
	dir, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err)
	for range depth {
		must(t, unix.Mkdirat(dir, name, 0o755))
		next, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(dir))
		dir = next
	}
	return dir
}

// remove removes the directories that nest made. A path of all names is too long for
// os.RemoveAll.
func remove(t *testing.T, root, name string, depth int) {
	t.Helper()
	top, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err)
	defer unix.Close(top)
	// Each directory moves up before the one that had it is removed.
	for i := range depth {
		from := fmt.Sprint("moved", i)
		if i == 0 {
			from = name
		}
		err := unix.Renameat(top, from+"/"+name, top, fmt.Sprint("moved", i+1))
		if i < depth-1 {
			must(t, err)
		}
		must(t, os.RemoveAll(filepath.Join(root, from)))
	}
}

func TestDeepDirectoryHidesNothing(t *testing.T) {
	for _, tt := range []struct {
		depth, name int
		all         bool // changes are listed
	}{
		{40, 250, true},    // a path of 10,000 bytes
		{3000, 250, false}, // of 750,000 bytes
		{1000, 1, true},
	} {
		t.Run(fmt.Sprintf("%d levels of %d", tt.depth, tt.name), func(t *testing.T) {
			l := newLab(t, "", image(t))
			name := strings.Repeat("d", tt.name)
			dir := nest(t, l.merged, name, tt.depth)
			defer remove(t, l.upper, name, tt.depth)
			fd, err := unix.Openat(dir, "hidden", unix.O_CREAT|unix.O_WRONLY, 0o4755)
			must(t, err)
			_, err = unix.Write(fd, []byte("\x7fELF"))
			must(t, errors.Join(err, unix.Close(fd), unix.Close(dir)))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := l.read(overlay.Options{})
			runtime.ReadMemStats(&after)
			if r.Len() != tt.depth+1 || len(r.Unknowns) > 0 || tt.all != (len(r.Omitted) == 0) {
				t.Errorf("got %d changes, of which %v are omitted, and %d unknowns", r.Len(), r.Omitted, len(r.Unknowns))
			}
			ch := r.Changes[len(r.Changes)-1]
			if want := strings.Repeat("/"+name, tt.depth) + "/hidden"; ch.Path != want || ch.Got.Path != want {
				t.Errorf("the deepest path has %d bytes, want %d", len(ch.Path), len(want))
			}
			if ch.Severity != drift.Critical || ch.Class != drift.Executable || !strings.Contains(ch.Diff, "+\\x7fELF") {
				t.Errorf("got %s %s and a diff of %d bytes", ch.Severity, ch.Class, len(ch.Diff))
			}
			// Whole paths of all directories would be 1 GB. The race detector adds to the
			// 100 MB that are allocated without it.
			if used := after.TotalAlloc - before.TotalAlloc; used > 250<<20 {
				t.Errorf("%d MB of memory were allocated", used>>20)
			}
		})
	}
}

func TestHostileMarks(t *testing.T) {
	tests := map[string]struct{ mark, value, want string }{
		"redirect out of the layer":  {"redirect", "/../../etc", `unknown /etc: to "/../../etc": a redirect that is not followed`},
		"redirect without a name":    {"redirect", "", `unknown /etc: to "": a redirect that is not followed`},
		"redirect to the parent":     {"redirect", "..", `unknown /etc: to "..": a redirect that is not followed`},
		"relative with a slash":      {"redirect", "a/b", `unknown /etc: to "a/b": a redirect that is not followed`},
		"redirect through a symlink": {"redirect", "/out/etc", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, "", func(dir string) {
				image(t)(dir)
				must(t, os.Symlink("/", dir+"/out"))
			})
			must(t, os.Mkdir(l.upper+"/etc", 0o755))
			must(t, unix.Lsetxattr(l.upper+"/etc", "trusted.overlay."+tt.mark, []byte(tt.value), 0))
			r := l.read(overlay.Options{})
			got := strings.Join(listed(r), "\n")
			if tt.want != "" && got != tt.want {
				t.Errorf("got %s", got)
			}
			if strings.Contains(got, "shadow") {
				t.Errorf("it led out of the layer: %s", got)
			}
		})
	}
}

func TestLayerIsMountedUpon(t *testing.T) {
	l := newLab(t, "", image(t))
	must(t, os.Chmod(l.path("etc"), 0o700))
	must(t, unix.Mount("tmpfs", l.upper+"/etc", "tmpfs", 0, ""))
	defer func() { must(t, unix.Unmount(l.upper+"/etc", 0)) }()
	r := l.read(overlay.Options{})
	if len(r.Unknowns) != 1 || r.Unknowns[0].Path != "/etc" {
		t.Errorf("got %s", listed(r))
	}
}

func TestOpenWithoutLayers(t *testing.T) {
	dir := t.TempDir()
	if _, err := overlay.Open(overlay.Mount{Upper: dir, Lower: []string{dir + "/gone"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	r, err := inspect.Overlay(context.Background(), overlay.Mount{Lower: []string{dir}})
	if err != nil || !r.Clean() {
		t.Errorf("read-only: %s, %v", listed(r), err)
	}
}

func TestWalkEndsWithItsContext(t *testing.T) {
	l := newLab(t, "", image(t))
	m, err := overlay.FindDir(l.merged)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := inspect.Overlay(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What was seen before a deadline is reported, with an unknown for the rest.
func TestDeadlineKeepsWhatWasSeen(t *testing.T) {
	l := newLab(t, "", image(t))
	for i := range 20 {
		write(t, l.path(fmt.Sprintf("d%02d/file", i)), "x")
	}
	m, err := overlay.FindDir(l.merged)
	must(t, err)
	ctx := &lateContext{Context: context.Background(), left: 5}
	r, err := inspect.Overlay(ctx, m)
	must(t, err)
	if n := len(r.Changes); n == 0 || n > 10 {
		t.Errorf("got %s", listed(r))
	}
	if diff := cmp.Diff(r.Unknowns, []tree.Unknown{{Path: "/", Err: inspect.ErrDeadline}}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

// lateContext reaches its deadline after it was checked some times.
type lateContext struct {
	context.Context
	left int
}

func (c *lateContext) Err() error {
	if c.left--; c.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

func TestReadingLeavesNoTrace(t *testing.T) {
	l := newLab(t, "", image(t))
	write(t, l.path("etc/app.conf"), "port = 81\n")
	file := filepath.Join(l.upper, "etc/app.conf")
	old := time.Unix(1, 0)
	must(t, os.Chtimes(file, old, old))
	l.read(overlay.Options{})
	var st unix.Stat_t
	must(t, unix.Stat(file, &st))
	if st.Atim.Sec != 1 {
		t.Errorf("access time is %v", time.Unix(st.Atim.Unix()))
	}
}

func TestDriftShowsTextOfBothSides(t *testing.T) {
	l := newLab(t, "", image(t))
	write(t, l.path("etc/app.conf"), "port = 81\n")
	m, err := overlay.FindDir(l.merged)
	must(t, err)
	r, err := inspect.Overlay(context.Background(), m)
	must(t, err)
	want := "--- a/etc/app.conf\n+++ b/etc/app.conf\n@@ -1 +1 @@\n-port = 80\n+port = 81\n"
	if len(r.Changes) != 1 || r.Changes[0].Diff != want || r.Changes[0].Class != drift.Config {
		t.Errorf("got %+v", r.Changes)
	}
}
