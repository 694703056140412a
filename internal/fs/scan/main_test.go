package scan

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/test/descriptor"
)

// Files that tests leave open fail them.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childScans); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(descriptor.Run(m))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// plain compares everything, by mode, owner and content.
var plain = Policy{
	Version: "test",
	In: func(string) func(string) Treatment {
		return func(name string) Treatment {
			switch name {
			case "skipped":
				return Treatment{Skip: true}
			case "noted":
				return Treatment{Class: 3, Content: true}
			}
			return Treatment{Content: true}
		}
	},
	AppendText: func(b []byte, e Entry) []byte {
		return fmt.Appendf(b, "%q %d %o %d:%d %d %s %q %d:%d %q\n", e.Name, e.Kind, e.Mode, e.UID, e.GID, e.Size, e.Digest, e.Target, e.Major, e.Minor, e.Xattrs)
	},
}

// A subject is a directory that is scanned with a cache beside it.
type subject struct {
	testing.TB
	dir   string
	cache string
	root  *rootfs.Root
}

func newSubject(t testing.TB) *subject {
	t.Helper()
	s := &subject{TB: t, dir: t.TempDir(), cache: filepath.Join(t.TempDir(), "cache")}
	var err error
	s.root, err = rootfs.Open(s.dir)
	must(t, err)
	t.Cleanup(func() { must(t, s.root.Close()) })
	return s
}

func (s *subject) write(name, content string) {
	s.Helper()
	must(s, os.MkdirAll(filepath.Dir(s.dir+name), 0o755))
	must(s, os.WriteFile(s.dir+name, []byte(content), 0o644))
}

// scan scans with the cache, and settles before that so that nothing is racily
// clean.
func (s *subject) scan() *Result {
	s.Helper()
	s.settle()
	return s.scanWith(Options{Cache: s.cache})
}

func (s *subject) scanWith(opts Options) *Result {
	s.Helper()
	if opts.Policy.In == nil {
		opts.Policy = plain
	}
	r, err := Read(s.Context(), s.root, opts)
	must(s, err)
	return r
}

// settle waits until the clock of file systems has advanced past all earlier changes.
func (s *subject) settle() {
	s.Helper()
	var st unix.Stat_t
	must(s, unix.Fstatat(unix.AT_FDCWD, s.dir, &st, 0))
	begin, err := now()
	must(s, err)
	for range 1000 {
		time.Sleep(time.Millisecond)
		if at, err := now(); err == nil && at.Nano() > begin.Nano()+int64(15*time.Millisecond) {
			return
		}
	}
	s.Fatal("the clock stands still")
}

// requireSame fails unless a scan without a cache has the same result.
func (s *subject) requireSame(got *Result) {
	s.Helper()
	want := s.scanWith(Options{})
	if got.Digest() != want.Digest() || fmt.Sprint(got.Counts, got.Named, got.Unknowns) != fmt.Sprint(want.Counts, want.Named, want.Unknowns) {
		s.Errorf("got %s %v %v %v, want %s %v %v %v", got.Digest(), got.Counts, got.Named, got.Unknowns, want.Digest(), want.Counts, want.Named, want.Unknowns)
	}
	if got.Note != "" {
		s.Errorf("got the note %q", got.Note)
	}
}
