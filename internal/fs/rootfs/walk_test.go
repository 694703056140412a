package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// populate makes one entry of every kind.
func populate(t testing.TB, dir string) {
	t.Helper()
	requireRoot(t)
	must(t, os.Mkdir(dir+"/d", 0o700))
	must(t, os.WriteFile(dir+"/d/file", []byte("abc"), 0o600))
	must(t, os.Link(dir+"/d/file", dir+"/d/again"))
	must(t, os.Lchown(dir+"/d/file", 7, 8))
	must(t, os.Chmod(dir+"/d/file", 0o644|os.ModeSetuid))
	must(t, unix.Setxattr(dir+"/d/file", "user.x", []byte("1"), 0))
	must(t, unix.Setxattr(dir+"/d/file", "trusted.overlay.origin", []byte("1"), 0))
	must(t, os.Symlink("/nowhere", dir+"/l"))
	must(t, unix.Lsetxattr(dir+"/l", "trusted.y", []byte("2"), 0))
	must(t, unix.Mkfifo(dir+"/p", 0o600))
	must(t, unix.Mknod(dir+"/c", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
	must(t, unix.Mknod(dir+"/b", unix.S_IFBLK|0o600, int(unix.Mkdev(7, 300))))
	must(t, unix.Mknod(dir+"/s", unix.S_IFSOCK|0o600, 0))
}

var populated = []tree.Entry{
	{Path: "/", Kind: tree.Directory, Mode: 0o755},
	{Path: "/b", Kind: tree.BlockDevice, Mode: 0o600, Major: 7, Minor: 300},
	{Path: "/c", Kind: tree.CharDevice, Mode: 0o600, Major: 1, Minor: 3},
	{Path: "/d", Kind: tree.Directory, Mode: 0o700},
	{
		Path: "/d/again", Kind: tree.Regular, Mode: 0o4644, UID: 7, GID: 8, Size: 3, Link: "/d/again",
		Digest: "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Xattrs: map[string]string{"user.x": "1"},
	},
	{
		Path: "/d/file", Kind: tree.Regular, Mode: 0o4644, UID: 7, GID: 8, Size: 3, Link: "/d/again",
		Digest: "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Xattrs: map[string]string{"user.x": "1"},
	},
	{Path: "/l", Kind: tree.Symlink, Mode: 0o777, Target: "/nowhere", Xattrs: map[string]string{"trusted.y": "2"}},
	{Path: "/p", Kind: tree.FIFO, Mode: 0o600},
	{Path: "/s", Kind: tree.Socket, Mode: 0o600},
}

var ignoreTime = cmpopts.IgnoreFields(tree.Entry{}, "ModTime")

func walk(t testing.TB, r *Root, opts WalkOptions) (tree.Tree, []tree.Unknown) {
	t.Helper()
	got, unknown, err := r.Walk(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return got, unknown
}

func TestWalk(t *testing.T) {
	dir := t.TempDir()
	populate(t, dir)
	r := root(t, dir)
	got, unknown := walk(t, r, WalkOptions{Hash: true})
	if diff := cmp.Diff(entries(got), populated, ignoreTime); diff != "" || len(unknown) > 0 {
		t.Errorf("unknown %v, tree (- got, + want):\n%s", unknown, diff)
	}
	t.Run("part", func(t *testing.T) {
		part, _ := walk(t, r, WalkOptions{Path: "/d", Hash: true})
		if diff := cmp.Diff(entries(part), populated[3:6], ignoreTime); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("overlay's attributes", func(t *testing.T) {
		layer, _ := walk(t, r, WalkOptions{OverlayXattrs: true})
		e, _ := layer.Lookup("/d/file")
		if diff := cmp.Diff(e.Xattrs, map[string]string{"user.x": "1", "trusted.overlay.origin": "1"}); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("skip", func(t *testing.T) {
		rest, _ := walk(t, r, WalkOptions{Skip: func(e tree.Entry) bool { return e.Path == "/d" || e.Kind == tree.FIFO }})
		if diff := cmp.Diff(paths(rest.All()), []string{"/", "/b", "/c", "/l", "/s"}); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("entries one by one", func(t *testing.T) {
		for _, want := range populated {
			want.Digest, want.Link = "", ""
			got, err := r.Lstat(want.Path)
			if diff := cmp.Diff(got, want, ignoreTime); diff != "" || err != nil {
				t.Error(err, diff)
			}
		}
	})
	t.Run("through a link", func(t *testing.T) {
		if _, _, err := r.Walk(t.Context(), WalkOptions{Path: "/l/x"}); !errors.Is(err, unix.ELOOP) {
			t.Error(err)
		}
	})
	t.Run("too many", func(t *testing.T) {
		for _, opts := range []WalkOptions{{MaxEntries: 5}, {MaxBytes: 40}} {
			if _, _, err := r.Walk(t.Context(), opts); !errors.Is(err, ErrTooMany) {
				t.Errorf("%+v: %v", opts, err)
			}
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := r.Walk(ctx, WalkOptions{}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("too large", func(t *testing.T) {
		_, unknown := walk(t, r, WalkOptions{Hash: true, MaxFileSize: 2})
		if len(unknown) != 2 || unknown[0].Path != "/d/again" || !errors.Is(unknown[0].Err, tree.ErrTooLarge) {
			t.Error(unknown)
		}
	})
}

// A file that is written to while it is read is unknown, and so is a directory in which
// names are added and removed. Everything else is still known.
func TestWalkWhileChanging(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/still", []byte("abc"), 0o600))
	must(t, os.WriteFile(dir+"/busy", make([]byte, 32<<20), 0o600))
	f, err := os.OpenFile(dir+"/busy", os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended, begun := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := int64(0); ctx.Err() == nil; i++ {
			if i == 1 {
				close(begun)
			}
			_, _ = f.WriteAt([]byte{byte(i)}, i%4096)
			_ = os.Chtimes(dir+"/busy", time.Unix(1, 0), time.Unix(1, 0)) // the size and mtime tell nothing
		}
	}()
	<-begun
	got, unknown := walk(t, root(t, dir), WalkOptions{Hash: true})
	stop()
	<-ended
	if len(unknown) != 1 || unknown[0].Path != "/busy" || !errors.Is(unknown[0].Err, tree.ErrChanged) {
		t.Errorf("unknown: %v", unknown)
	}
	if diff := cmp.Diff(paths(got.All()), []string{"/", "/still"}); diff != "" {
		t.Error(diff)
	}
}

// If other processes change the tree during a walk, each path is in the result, or it is
// an unknown, or it did not exist all the time.
func TestWalkWhileRenaming(t *testing.T) {
	dir := t.TempDir()
	for i := range 400 {
		must(t, os.MkdirAll(fmt.Sprintf("%s/%d", dir, i), 0o700))
	}
	must(t, os.WriteFile(dir+"/0/wanderer", nil, 0o600))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for at, i := 0, 0; ctx.Err() == nil; i++ {
			next := (at*7 + i) % 400
			if os.Rename(fmt.Sprintf("%s/%d/wanderer", dir, at), fmt.Sprintf("%s/%d/wanderer", dir, next)) == nil {
				at = next
			}
		}
	}()
	r := root(t, dir)
	for range 20 {
		got, _ := walk(t, r, WalkOptions{Hash: true})
		for e := range got.All() {
			if strings.HasSuffix(e.Path, "wanderer") && e.Size == 0 && e.Digest == "" {
				t.Errorf("%s was not read", e.Path)
			}
		}
		for i := range 400 {
			if got.Index(fmt.Sprintf("/%d", i)) < 0 {
				t.Fatalf("/%d is missing", i)
			}
		}
	}
	stop()
	<-ended
}

func TestWalkMounted(t *testing.T) {
	requireRoot(t)
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/m", 0o755))
	must(t, os.WriteFile(dir+"/f", []byte("under"), 0o600))
	must(t, os.WriteFile(dir+"/other", []byte("over"), 0o600))
	must(t, unix.Mount("tmpfs", dir+"/m", "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { must(t, unix.Unmount(dir+"/m", 0)) })
	must(t, os.WriteFile(dir+"/m/inside", nil, 0o600))
	must(t, unix.Mount(dir+"/other", dir+"/f", "", unix.MS_BIND, "")) // the same device
	t.Cleanup(func() { must(t, unix.Unmount(dir+"/f", 0)) })
	r := root(t, dir)
	got, unknown := walk(t, r, WalkOptions{Hash: true, OneFileSystem: true})
	if diff := cmp.Diff(paths(got.All()), []string{"/", "/other"}); diff != "" {
		t.Error(diff)
	}
	if len(unknown) != 2 || unknown[0].Path != "/f" || unknown[1].Path != "/m" || !errors.Is(unknown[0].Err, tree.ErrMounted) {
		t.Errorf("unknown: %v", unknown)
	}
	got, unknown = walk(t, r, WalkOptions{})
	if diff := cmp.Diff(paths(got.All()), []string{"/", "/f", "/m", "/m/inside", "/other"}); diff != "" || len(unknown) > 0 {
		t.Error(unknown, diff)
	}
}

// Files below a path longer than PATH_MAX are found.
func TestWalkDeep(t *testing.T) {
	dir := t.TempDir()
	at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	name := strings.Repeat("n", 250)
	const depth = 40
	for range depth {
		must(t, unix.Mkdirat(at, name, 0o700))
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		unix.Close(at)
		at = next
	}
	fd, err := unix.Openat(at, "hidden", unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	must(t, err)
	unix.Close(fd)
	unix.Close(at)
	got, unknown := walk(t, root(t, dir), WalkOptions{Hash: true})
	if len(unknown) > 0 || got.Len() != depth+2 {
		t.Errorf("%d entries, unknown %v", got.Len(), unknown)
	}
	if e, ok := got.Lookup(strings.Repeat("/"+name, depth) + "/hidden"); !ok || e.Kind != tree.Regular {
		t.Error("the hidden file was not found")
	}
}

// Reading must not open a FIFO, which would block, or a device, which would have an
// effect.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	populate(t, dir)
	must(t, os.Symlink("p", dir+"/to-p"))
	r := root(t, dir)
	for _, name := range []string{"/p", "/to-p", "/c", "/b", "/s", "/d"} {
		if f, err := r.Open(name); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := r.Open("/nothing"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestReadDir(t *testing.T) {
	dir := t.TempDir()
	populate(t, dir)
	must(t, os.Symlink("/d", dir+"/to-d"))
	got, err := root(t, dir).ReadDir("/to-d")
	must(t, err)
	want := []tree.Entry{populated[4], populated[5]}
	for i := range want {
		want[i].Path = strings.Replace(want[i].Path, "/d", "/to-d", 1)
		want[i].Digest, want[i].Link = "", ""
	}
	if diff := cmp.Diff(got, want, ignoreTime); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkWalk(b *testing.B) {
	dir := b.TempDir()
	for i := range 100 {
		must(b, os.Mkdir(filepath.Join(dir, fmt.Sprint(i)), 0o755))
		for k := range 100 {
			must(b, os.WriteFile(filepath.Join(dir, fmt.Sprint(i), fmt.Sprint(k)), make([]byte, 4000), 0o644))
		}
	}
	r := root(b, dir)
	for _, hash := range []bool{false, true} {
		b.Run(fmt.Sprintf("hash=%v", hash), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := r.Walk(b.Context(), WalkOptions{Hash: hash}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
