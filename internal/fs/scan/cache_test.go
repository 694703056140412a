package scan

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// poisoned is a subject with a cache in which the digest of a file is wrong.
func poisoned(t *testing.T) *subject {
	t.Helper()
	s := newSubject(t)
	s.write("/etc/conf", "listen 80")
	s.scan()
	data, err := os.ReadFile(s.cache)
	must(t, err)
	sum := sha256.Sum256([]byte("listen 80"))
	evil := sha256.Sum256([]byte("evil"))
	if !bytes.Contains(data, sum[:]) {
		t.Fatal("the cache does not have the file")
	}
	data = bytes.ReplaceAll(data, sum[:], evil[:])
	must(t, os.WriteFile(s.cache, seal(data), 0o600))
	return s
}

// seal sets the right checksum of a cache.
func seal(data []byte) []byte {
	body := data[:max(len(data)-sha256.Size, 0)]
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func digestOf(r *Result, file string) string {
	e, _ := r.Lookup(file)
	return e.Digest
}

// Full reads everything, does not trust the cache, and repairs it.
func TestFullIgnoresPoison(t *testing.T) {
	s := poisoned(t)
	good := Digest(sha256.Sum256([]byte("listen 80"))).String()
	if got := digestOf(s.scan(), "/etc/conf"); got == good {
		t.Fatal("the poison has no effect, which makes this test worthless")
	}
	s.settle()
	if got := digestOf(s.scanWith(Options{Cache: s.cache, Full: true}), "/etc/conf"); got != good {
		t.Errorf("got %s, want %s", got, good)
	}
	got := s.scan()
	if digestOf(got, "/etc/conf") != good || got.Anew != 0 {
		t.Errorf("the cache was not replaced: %+v", got)
	}
}

// A file that may not be the user's own cache of this root is not used, and is replaced if
// possible.
func TestCacheIsNotTrusted(t *testing.T) {
	rewrite := func(change func([]byte) []byte) func(*subject) {
		return func(s *subject) {
			data, err := os.ReadFile(s.cache)
			must(s, err)
			must(s, os.WriteFile(s.cache, change(data), 0o600))
		}
	}
	for name, spoil := range map[string]func(s *subject){
		"empty":         rewrite(func([]byte) []byte { return nil }),
		"cut short":     rewrite(func(b []byte) []byte { return b[:len(b)-1] }),
		"a bit flipped": rewrite(func(b []byte) []byte { b[len(b)/2] ^= 4; return b }),
		"more":          rewrite(func(b []byte) []byte { return append(b, 0) }),
		"other version": rewrite(func(b []byte) []byte { b[14]++; return seal(b) }),
		"other root":    rewrite(func(b []byte) []byte { b[len(cacheMagic)]++; return seal(b) }),
		"readable":      func(s *subject) { must(s, os.Chmod(s.cache, 0o640)) },
		"another's":     func(s *subject) { must(s, os.Chown(s.cache, 7, 7)) },
		"a link": func(s *subject) {
			must(s, os.Rename(s.cache, s.cache+".real"))
			must(s, os.Symlink("cache.real", s.cache))
		},
		"a FIFO": func(s *subject) {
			must(s, os.Remove(s.cache))
			must(s, unix.Mkfifo(s.cache, 0o600))
		},
		"a directory": func(s *subject) {
			must(s, os.Remove(s.cache))
			must(s, os.Mkdir(s.cache, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := poisoned(t)
			spoil(s)
			got := s.scan()
			if got.Note == "" || got.Anew != 2 {
				t.Errorf("got the note %q and %d entries anew, want a note and both", got.Note, got.Anew)
			}
			if want := s.scanWith(Options{}); got.Digest() != want.Digest() {
				t.Errorf("got %s, want %s", got.Digest(), want.Digest())
			}
			info, err := os.Lstat(s.cache)
			must(t, err)
			if again := s.scan(); info.Mode().IsRegular() && (again.Anew != 0 || again.Note != "" || info.Mode() != 0o600) {
				t.Errorf("the cache was not replaced: %v, %+v", info.Mode(), again)
			}
		})
	}
}

// A cache that cannot be written is not an error.
func TestCacheCannotBeWritten(t *testing.T) {
	full := t.TempDir()
	must(t, unix.Mount("tmpfs", full, "tmpfs", 0, "size=4k,nr_inodes=3"))
	t.Cleanup(func() { must(t, unix.Unmount(full, 0)) })
	must(t, os.WriteFile(full+"/fill", make([]byte, 4096), 0o600))
	readOnly := t.TempDir()
	must(t, unix.Mount("tmpfs", readOnly, "tmpfs", unix.MS_RDONLY, ""))
	t.Cleanup(func() { must(t, unix.Unmount(readOnly, 0)) })
	for name, dir := range map[string]string{"full disk": full, "read-only": readOnly, "below a file": full + "/fill", "nowhere to be made": readOnly + "/a/b"} {
		t.Run(name, func(t *testing.T) {
			s := newSubject(t)
			s.write("/etc/conf", "listen 80")
			got := s.scanWith(Options{Cache: filepath.Join(dir, "cache")})
			if want := s.scanWith(Options{}); got.Note == "" || got.Digest() != want.Digest() {
				t.Errorf("got %+v, want the same as %+v with a note", got, want)
			}
			left, _ := filepath.Glob(dir + "/.tmp-*")
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// Several processes at the same time leave the cache of one of them.
func TestCacheOfSeveralProcesses(t *testing.T) {
	s := newSubject(t)
	for _, name := range []string{"/a", "/b", "/c/d", "/c/e/f"} {
		s.write(name, name)
	}
	var group sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		group.Go(func() {
			for range 30 {
				_, err := Read(t.Context(), s.root, Options{Policy: plain, Cache: s.cache, Full: i%2 == 0})
				data, readErr := os.ReadFile(s.cache)
				_, parseErr := parse(data)
				errs[i] = errors.Join(errs[i], err, readErr, parseErr)
			}
		})
	}
	group.Wait()
	must(t, errors.Join(errs...))
	s.requireSame(s.scan())
}

// childScans makes the test program scan a directory with few descriptors and
// without permissions, and print the result.
const childScans = "ADAMANT_TEST_SCAN"

func runChild(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), childScans+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}
