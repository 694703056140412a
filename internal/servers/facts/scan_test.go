package facts

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// open opens a directory as a root until the test ends.
func open(t testing.TB, dir string) *rootfs.Root {
	t.Helper()
	r, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// settle waits until later changes have a later ctime than earlier ones, so that
// nothing is racily clean.
func settle(t testing.TB, dir string) {
	t.Helper()
	probe := filepath.Join(dir, "settle")
	var was, st unix.Stat_t
	for i := range 1000 {
		if err := os.WriteFile(probe, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unix.Stat(probe, &st); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			was = st
		}
		if err := os.Remove(probe); err != nil {
			t.Fatal(err)
		}
		if st.Ctim.Nano() > was.Ctim.Nano()+int64(20*time.Millisecond) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the clock of the file system stands still")
}

// A forest is a tree that changes at random.
type forest struct {
	t      *testing.T
	dir    string
	random *rand.Rand
	dirs   []string // that may exist
	files  []string
}

// names are names with rules of their own, and names whose order in bytes is not that of
// paths.
var forestNames = []string{
	"etc", "var", "lib", "log", "tmp", "cache", "ssh", "hostname", "machine-id", "ssh_host_rsa_key", "proc", "dbus",
	"a", "a-b", "a.b", "b", "é", "x\ny", "z",
}

func newForest(t *testing.T, seed uint64) *forest {
	f := &forest{t: t, dir: t.TempDir(), random: rand.New(rand.NewPCG(seed, 1))}
	f.dirs = []string{f.dir}
	for range 150 {
		f.change()
	}
	return f
}

func (f *forest) any(list []string) string { return list[f.random.IntN(len(list))] }

// change makes one random change of the tree, which may also fail.
func (f *forest) change() {
	name := filepath.Join(f.any(f.dirs), f.any(forestNames))
	if f.random.IntN(3) == 0 && len(f.files) > 0 {
		name = f.any(f.files)
	}
	switch f.random.IntN(16) {
	case 0, 1, 2, 3:
		if os.Mkdir(name, 0o755) == nil {
			f.dirs = append(f.dirs, name)
		}
	case 4, 5, 6:
		content := make([]byte, f.random.IntN(3)*f.random.IntN(5000))
		for i := range content {
			content[i] = byte(f.random.Uint32())
		}
		if info, err := os.Lstat(name); (err != nil || info.Mode().IsRegular()) && os.WriteFile(name, content, 0o644) == nil {
			f.files = append(f.files, name)
		}
	case 7:
		_ = os.Symlink(f.any(forestNames), name)
	case 8:
		_ = unix.Mkfifo(name, 0o600)
	case 9:
		_ = unix.Mknod(name, unix.S_IFCHR|0o600, int(unix.Mkdev(1, uint32(f.random.IntN(9)))))
	case 10:
		_ = unix.Lchown(name, f.random.IntN(3), f.random.IntN(3))
	case 11:
		_ = unix.Fchmodat(unix.AT_FDCWD, name, uint32(f.random.IntN(0o10000)), unix.AT_SYMLINK_NOFOLLOW)
	case 12:
		_ = unix.Lsetxattr(name, "user.x", []byte{byte(f.random.Uint32())}, 0)
	case 13:
		_ = os.Rename(filepath.Join(f.any(f.dirs), f.any(forestNames)), name)
	case 14:
		_ = os.RemoveAll(name)
	case 15:
		if len(f.files) > 0 {
			_ = os.Link(f.any(f.files), name)
		}
	}
}

// After any change a scan finds the same as the reference, with and without a cache,
// racily clean or not.
func TestScanEqualsReference(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			f := newForest(t, seed)
			root := open(t, f.dir)
			cache := filepath.Join(t.TempDir(), "cache")
			for round := range 12 {
				if round%3 > 0 {
					settle(t, f.dir)
				}
				for _, opts := range []ScanOptions{{}, {Cache: cache}, {Cache: cache}, {Cache: cache, Full: round%4 == 0}} {
					s, err := ScanRoot(t.Context(), root, opts)
					must(t, err)
					requireReference(t, root, s)
				}
				if t.Failed() {
					t.Fatalf("seed %d, round %d", seed, round)
				}
				for range f.random.IntN(10) {
					f.change()
				}
			}
		})
	}
}

// A new name of a user changes digests, but no file is read again.
func TestScanAfterNewUser(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/etc", 0o755))
	must(t, os.WriteFile(dir+"/etc/passwd", []byte("root:x:0:0::/:/bin/sh\n"), 0o644))
	must(t, os.WriteFile(dir+"/etc/conf", []byte("x"), 0o644))
	must(t, os.Chown(dir+"/etc/conf", 7, 0))
	settle(t, dir)
	root, opts := open(t, dir), ScanOptions{Cache: filepath.Join(t.TempDir(), "cache")}
	_, err := ScanRoot(t.Context(), root, opts)
	must(t, err)
	must(t, os.WriteFile(dir+"/etc/passwd", []byte("root:x:0:0::/:/bin/sh\nweb:x:7:7::/:/bin/sh\n"), 0o644))
	s, err := ScanRoot(t.Context(), root, opts)
	must(t, err)
	requireReference(t, root, s)
	if s.files.Anew != 1 {
		t.Errorf("%d entries were read again, want 1", s.files.Anew)
	}
	if n, ok := s.lookup("/etc/conf"); !ok || n.Owner != "web" {
		t.Errorf("got %+v", n)
	}
}

// treatmentIn agrees with ExpectedAt for the names of a directory.
func TestTreatmentIsThatOfThePath(t *testing.T) {
	for _, p := range []string{
		"/etc", "/etc/machine-id", "/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_rsa_key.pub", "/etc/ssh/sshd_config", "/tmp", "/tmp/a", "/tmp/a/b",
		"/var/log", "/var/log/x/y", "/var/logs", "/swapfile", "/root/.cache", "/root/.cache/x", "/root/.bash_history", "/etc/ssl/private/key",
	} {
		class, isExpected := ExpectedAt(p)
		got := treatmentIn(filepath.Dir(p))(filepath.Base(p))
		switch {
		case isExpected != (got.Class > 0) || isExpected && classes[got.Class-1] != class:
			t.Errorf("%s: class %d, want that of %q", p, got.Class, class)
		case got.Content != (!isExpected || class == Identity):
			t.Errorf("%s: content is read: %v", p, got.Content)
		}
	}
}

// scannedRoot is the root that BenchmarkScan reads, if it is set.
const scannedRoot = "ADAMANT_BENCH_ROOT"

func benchmarkRoot(b *testing.B) *rootfs.Root {
	b.Helper()
	dir := os.Getenv(scannedRoot)
	if dir == "" {
		dir = b.TempDir()
		for i := range 10_000 {
			sub := fmt.Sprintf("%s/%d", dir, i/50)
			if err := os.MkdirAll(sub, 0o755); err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(fmt.Sprintf("%s/%d", sub, i), make([]byte, i%5*2000), 0o644); err != nil {
				b.Fatal(err)
			}
		}
		settle(b, dir)
	}
	return open(b, dir)
}

func BenchmarkScan(b *testing.B) {
	root := benchmarkRoot(b)
	cache := filepath.Join(b.TempDir(), "cache")
	for _, bench := range []struct {
		name string
		opts ScanOptions
	}{
		{"first", ScanOptions{}},
		{"first, cached", ScanOptions{Cache: cache, Full: true}},
		{"again", ScanOptions{Cache: cache}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := ScanRoot(b.Context(), root, bench.opts)
				if err != nil {
					b.Fatal(err)
				}
				if s.Summary().Note != "" {
					b.Fatal(s.Summary().Note)
				}
			}
		})
	}
	b.Run("reference", func(b *testing.B) {
		for b.Loop() {
			if _, err := referenceScan(b.Context(), root); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// treatmentIn and ExpectedAt return the same class.
func TestExpectedByDirectory(t *testing.T) {
	for p, want := range map[string]Expected{
		"/home/ada/.cache/x": Cache, "/home/ada/.cache/x/y": Cache, "/home/ada/.cache": Cache, "/home/ada/.cachet": "", "/home/.cache/x": "", "/home/a/b/.cache/x": "",
		"/home/ada/.bash_history": State, "/home/.bash_history": "", "/var/log/a/b": Log, "/var/log": "", "/etc/hostname": Name,
		"/etc/ssh/ssh_host_rsa_key": Identity, "/var/logs/x": "",
	} {
		got, _ := ExpectedAt(p)
		byDir := treatmentIn(path.Dir(p))(path.Base(p))
		wantNumber := classNumber(slices.Index(classes, want))
		if got != want || byDir.Class != wantNumber {
			t.Errorf("%s: got %q and class %v, want %q", p, got, byDir.Class, want)
		}
	}
}
