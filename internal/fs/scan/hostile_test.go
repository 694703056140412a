package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// child is the task of the test program in another process.
func child(dir string) int {
	// Two workers have at most four descriptors each.
	limit := unix.Rlimit{Cur: 24, Max: 24}
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	var root *rootfs.Root
	if err == nil {
		root, err = rootfs.Open(dir)
	}
	if err == nil {
		err = unix.Setresuid(1234, 1234, 1234)
	}
	var r *Result
	if err == nil {
		r, err = Read(context.Background(), root, Options{Policy: plain})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, u := range r.Unknowns {
		fmt.Printf("unknown %s: %v\n", u.Path, u.Err)
	}
	fmt.Println(r.Counts[Compared], r.Digest())
	return 0
}

func TestUnreadable(t *testing.T) {
	s := newSubject(t)
	must(t, os.Chmod(s.dir, 0o755))
	s.write("/open/conf", "x")
	s.write("/closed/conf", "x")
	s.write("/open/secret", "x")
	s.write("/open/empty", "")
	s.write("/listed/conf", "x")
	must(t, os.Chmod(s.dir+"/closed", 0o700))
	must(t, os.Chmod(s.dir+"/open/secret", 0o600))
	must(t, os.Chmod(s.dir+"/open/empty", 0))
	must(t, os.Chmod(s.dir+"/listed", 0o744))
	got := strings.Split(runChild(t, s.dir), "\n")
	unknown := strings.Join(got[:len(got)-1], "\n")
	want := "unknown /closed: permission denied\nunknown /listed/conf: permission denied\n" +
		"unknown /open/empty: permission denied\nunknown /open/secret: permission denied"
	if unknown != want {
		t.Errorf("got\n%s\nwant\n%s", unknown, want)
	}
	if count, _, _ := strings.Cut(got[len(got)-1], " "); count != "5" { // the root, three directories, a file
		t.Errorf("%s entries are known, want 5", count)
	}
}

// Deep and wide trees need no more descriptors.
func TestFewDescriptors(t *testing.T) {
	s := newSubject(t)
	must(t, os.Chmod(s.dir, 0o755))
	for i := range 3000 {
		s.write(fmt.Sprintf("/%d/%d", i%300, i), fmt.Sprint(i))
	}
	deep := strings.Repeat("/deep", 300)
	s.write(deep+"/f", "x")
	want := s.scanWith(Options{})
	if got := runChild(t, s.dir); got != fmt.Sprint(want.Counts[Compared], " ", want.Digest()) {
		t.Errorf("got %s, want %d %s", got, want.Counts[Compared], want.Digest())
	}
	got := s.scan()
	s.requireSame(got)
	if e, ok := got.Lookup(deep + "/f"); !ok || e.Size != 1 {
		t.Errorf("got %+v", e)
	}
	s.write(deep+"/f", "y")
	again := s.scan()
	s.requireSame(again)
	if again.Anew != 1 || again.Digest() == got.Digest() {
		t.Errorf("%d entries anew, digest %s", again.Anew, again.Digest())
	}
}

// Files below a path longer than PATH_MAX are found.
func TestLongPath(t *testing.T) {
	s := newSubject(t)
	at, err := unix.Open(s.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	name := strings.Repeat("n", 250)
	for range 40 {
		must(t, unix.Mkdirat(at, name, 0o700))
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		unix.Close(at)
		at = next
	}
	defer unix.Close(at)
	fd, err := unix.Openat(at, "hidden", unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	must(t, err)
	unix.Close(fd)
	for range 2 {
		got := s.scan()
		if e, ok := got.Lookup(strings.Repeat("/"+name, 40) + "/hidden"); !ok || e.Kind != tree.Regular || len(got.Unknowns) > 0 {
			t.Errorf("got %+v, %v", e, got.Unknowns)
		}
	}
}

// A large directory is divided into parts, and a change in one part is found.
func TestLargeDirectory(t *testing.T) {
	s := newSubject(t)
	const files = 100_000
	must(t, os.Mkdir(s.dir+"/d", 0o755))
	for i := range files {
		f, err := os.Create(fmt.Sprintf("%s/d/%d", s.dir, i))
		must(t, err)
		f.Close()
	}
	for i := range 600 {
		must(t, os.MkdirAll(fmt.Sprintf("%s/d/%d-dir/below", s.dir, i*100), 0o755))
	}
	first := s.scan()
	s.requireSame(first)
	if again := s.scan(); again.Anew != 0 || again.Digest() != first.Digest() || first.Counts[Compared] != files+1202 {
		t.Errorf("%d entries anew, %d in all", again.Anew, first.Counts[Compared])
	}
	s.write("/d/7777", "edited")
	s.write("/d/4500-dir/below/f", "new")
	must(t, os.Remove(s.dir+"/d/31"))
	must(t, os.RemoveAll(s.dir+"/d/59900-dir"))
	s.write("/d/-", "before all others")
	got := s.scan()
	s.requireSame(got)
	s.requireSame(s.scan())
}

// FIFOs, sockets and devices are never opened: the first would block, and the
// device does not exist.
func TestSpecialFiles(t *testing.T) {
	s := newSubject(t)
	must(t, unix.Mkfifo(s.dir+"/p", 0o600))
	must(t, unix.Mknod(s.dir+"/s", unix.S_IFSOCK|0o600, 0))
	must(t, unix.Mknod(s.dir+"/c", unix.S_IFCHR|0o600, int(unix.Mkdev(511, 77))))
	must(t, unix.Mknod(s.dir+"/b", unix.S_IFBLK|0o600, int(unix.Mkdev(7, 300))))
	got := s.scan()
	s.requireSame(got)
	if len(got.Unknowns) > 0 || got.Counts[Compared] != 5 {
		t.Errorf("got %+v", got)
	}
	if e, _ := got.Lookup("/b"); e.Kind != tree.BlockDevice || e.Major != 7 || e.Minor != 300 {
		t.Errorf("got %+v", e)
	}
}

// Mount points are omitted. The files below them are found after they are unmounted.
func TestMounted(t *testing.T) {
	s := newSubject(t)
	s.write("/m/under", "x")
	s.write("/f", "under")
	s.write("/other", "over")
	s.scan()
	must(t, unix.Mount("tmpfs", s.dir+"/m", "tmpfs", 0, "size=1m"))
	must(t, unix.Mount(s.dir+"/other", s.dir+"/f", "", unix.MS_BIND, ""))
	mounted := s.scan()
	again := s.scan()
	must(t, unix.Unmount(s.dir+"/m", 0))
	must(t, unix.Unmount(s.dir+"/f", 0))
	if _, ok := mounted.Lookup("/f"); ok || mounted.Counts[Compared] != 2 || len(mounted.Unknowns) > 0 || again.Digest() != mounted.Digest() {
		t.Errorf("got %+v, and again %+v", mounted, again)
	}
	got := s.scan()
	s.requireSame(got)
	if got.Counts[Compared] != 5 {
		t.Errorf("got %+v", got)
	}
}

// A file that is written to while it is read is unknown and not in the cache. Everything
// else is still known.
func TestWhileWriting(t *testing.T) {
	s := newSubject(t)
	s.write("/still", "abc")
	s.write("/busy", strings.Repeat("x", 32<<20))
	s.scan()
	f, err := os.OpenFile(s.dir+"/busy", os.O_WRONLY, 0)
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
			_ = os.Chtimes(s.dir+"/busy", time.Unix(1, 0), time.Unix(1, 0)) // size and mtime tell nothing
		}
	}()
	<-begun
	got := s.scan()
	stop()
	<-ended
	if len(got.Unknowns) != 1 || got.Unknowns[0].Path != "/busy" || !errors.Is(got.Unknowns[0].Err, tree.ErrChanged) {
		t.Errorf("unknown: %v", got.Unknowns)
	}
	if _, ok := got.Lookup("/busy"); ok || digestOf(got, "/still") == "" {
		t.Error("the busy file is known, or the other is not")
	}
	s.requireSame(s.scan())
}

// If other processes change the tree during a scan, each path is found, or it is unknown,
// or it did not exist all the time.
func TestWhileRenaming(t *testing.T) {
	s := newSubject(t)
	const dirs = 400
	for i := range dirs {
		must(t, os.Mkdir(fmt.Sprintf("%s/%d", s.dir, i), 0o700))
	}
	s.write("/0/wanderer", "w")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for at, i := 0, 0; ctx.Err() == nil; i++ {
			next := (at*7 + i) % dirs
			if os.Rename(fmt.Sprintf("%s/%d/wanderer", s.dir, at), fmt.Sprintf("%s/%d/wanderer", s.dir, next)) == nil {
				at = next
			}
		}
	}()
	for i := range 30 {
		r := s.scanWith(Options{Cache: s.cache, Full: i%5 == 0})
		for i := range dirs {
			if _, ok := r.Lookup(fmt.Sprintf("/%d", i)); !ok {
				t.Fatalf("/%d is missing", i)
			}
			if e, ok := r.Lookup(fmt.Sprintf("/%d/wanderer", i)); ok && e.Digest == "" {
				t.Errorf("/%d/wanderer was not read", i)
			}
		}
		for _, u := range r.Unknowns {
			if !errors.Is(u.Err, tree.ErrChanged) {
				t.Errorf("unknown: %v", u)
			}
		}
	}
	stop()
	<-ended
	s.requireSame(s.scan())
}

func TestLimits(t *testing.T) {
	s := newSubject(t)
	for i := range 10 {
		s.write(fmt.Sprintf("/%d", i), "abc")
	}
	for _, known := range []bool{false, true} {
		if _, err := Read(t.Context(), s.root, Options{Policy: plain, Cache: s.cache, MaxEntries: 9}); !errors.Is(err, ErrTooMany) {
			t.Errorf("known %v: got %v", known, err)
		}
		s.scan()
	}
	r := s.scanWith(Options{MaxFileSize: 2})
	if len(r.Unknowns) != 10 || !errors.Is(r.Unknowns[0].Err, tree.ErrTooLarge) {
		t.Errorf("got %v", r.Unknowns)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, s.root, Options{Policy: plain, Cache: s.cache}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
