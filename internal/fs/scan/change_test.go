package scan

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Only entries that changed are read again.
func TestChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		anew   int
		change func(s *subject)
	}{
		{"nothing", 0, func(*subject) {}},
		{"edit of the same size, mtime set back", 1, func(s *subject) {
			info, err := os.Stat(s.dir + "/etc/conf")
			must(s, err)
			s.write("/etc/conf", "listen 81")
			must(s, os.Chtimes(s.dir+"/etc/conf", info.ModTime(), info.ModTime()))
		}},
		{"new file", 2, func(s *subject) { s.write("/etc/new", "x") }}, // its directory has a new mtime
		{"removed file", 1, func(s *subject) { must(s, os.Remove(s.dir+"/etc/conf")) }},
		{"rename over", 2, func(s *subject) { must(s, os.Rename(s.dir+"/etc/other", s.dir+"/etc/conf")) }},
		{"swapped", 4, func(s *subject) {
			must(s, unix.Renameat2(unix.AT_FDCWD, s.dir+"/etc/conf", unix.AT_FDCWD, s.dir+"/usr/bin/tool", unix.RENAME_EXCHANGE))
		}},
		{"chmod", 1, func(s *subject) { must(s, os.Chmod(s.dir+"/etc/conf", 0o4755)) }},
		{"chmod of a directory", 1, func(s *subject) { must(s, os.Chmod(s.dir+"/etc", 0o700)) }},
		{"chown", 1, func(s *subject) { must(s, os.Chown(s.dir+"/etc/conf", 7, 8)) }},
		{"xattr", 1, func(s *subject) { must(s, unix.Setxattr(s.dir+"/etc/conf", "user.x", []byte("1"), 0)) }},
		{"xattr of a link", 1, func(s *subject) { must(s, unix.Lsetxattr(s.dir+"/etc/link", "trusted.x", []byte("1"), 0)) }},
		{"hard link", 3, func(s *subject) { must(s, os.Link(s.dir+"/etc/conf", s.dir+"/etc/again")) }},
		{"other target", 2, func(s *subject) {
			must(s, os.Remove(s.dir+"/etc/link"))
			must(s, os.Symlink("other", s.dir+"/etc/link"))
		}},
		{"directory becomes a link", 1, func(s *subject) {
			must(s, os.Rename(s.dir+"/usr", s.dir+"/skipped"))
			must(s, os.Symlink("skipped", s.dir+"/usr"))
		}},
		{"file becomes a directory", 3, func(s *subject) {
			must(s, os.Remove(s.dir+"/etc/conf"))
			s.write("/etc/conf/below", "x")
		}},
		{"directory becomes a file", 1, func(s *subject) {
			must(s, os.RemoveAll(s.dir+"/etc"))
			s.write("/etc", "x")
		}},
		{"file becomes a FIFO", 2, func(s *subject) {
			must(s, os.Remove(s.dir+"/etc/conf"))
			must(s, unix.Mkfifo(s.dir+"/etc/conf", 0o644))
		}},
		{"touched", 1, func(s *subject) { must(s, os.Chtimes(s.dir+"/etc/conf", time.Unix(1, 0), time.Unix(1, 0))) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSubject(t)
			s.write("/etc/conf", "listen 80")
			s.write("/etc/other", "other")
			s.write("/etc/noted", "secret")
			s.write("/usr/bin/tool", "program")
			must(t, os.Symlink("conf", s.dir+"/etc/link"))
			must(t, os.Mkdir(s.dir+"/empty", 0o755))
			s.scan()
			if again := s.scan(); again.Anew != 0 {
				t.Fatalf("%d entries are looked at anew where nothing changed", again.Anew)
			}
			c.change(s)
			got := s.scan()
			if got.Anew != c.anew {
				t.Errorf("%d entries are looked at anew, want %d", got.Anew, c.anew)
			}
			s.requireSame(got)
			again := s.scan()
			if again.Anew != 0 {
				t.Errorf("%d entries are looked at anew though the cache has them", again.Anew)
			}
			s.requireSame(again)
		})
	}
}

// An entry that changed after the scan had begun can change again without a new ctime, and
// is read again the next time.
func TestRacilyClean(t *testing.T) {
	s := newSubject(t)
	s.write("/etc/conf", "listen 80")
	s.settle()
	scanner := &scanner{}
	var err error
	scanner.begun, err = now()
	must(t, err)
	s.write("/etc/new", "x")
	var st unix.Statx_t
	for name, want := range map[string]bool{"/etc/conf": true, "/etc/new": false, "/etc": false} {
		must(t, statAt(unix.AT_FDCWD, []byte(s.dir+name+"\x00"), &st))
		if k := keyOf(&st); k.before(scanner.begun) != want {
			t.Errorf("%s was there before: %v, want %v", name, !want, want)
		}
	}
	// An entry with a ctime in the future stays dirty until then.
	w := newWorker(scanner)
	w.st = st
	w.st.Ctime.Sec += 1000
	w.start([]byte("x\x00"))
	w.complete(nil, nil)
	if !w.scratch.has(dirty) {
		t.Error("a file from the future is clean")
	}
}

// A write in the same tick of the clock, which does not change the key, is found.
func TestSameTick(t *testing.T) {
	s := newSubject(t)
	for i := range 200 {
		s.write("/f", string(rune('a'+i%26)))
		s.scanWith(Options{Cache: s.cache})
		s.write("/f", string(rune('b'+i%25)))
		s.requireSame(s.scanWith(Options{Cache: s.cache}))
		if t.Failed() {
			t.Fatalf("round %d", i)
		}
	}
}

// With another policy a file is read again only if the policy needs its content.
func TestOtherPolicy(t *testing.T) {
	s := newSubject(t)
	s.write("/etc/conf", "listen 80")
	s.write("/etc/secret", "x")
	s.write("/etc/noted", "x")
	s.scan()
	other := plain
	other.Version = "other"
	other.In = func(string) func(string) Treatment {
		return func(name string) Treatment {
			if name == "secret" {
				return Treatment{Class: 5}
			}
			return Treatment{Content: true}
		}
	}
	s.settle()
	got := s.scanWith(Options{Policy: other, Cache: s.cache})
	if want := s.scanWith(Options{Policy: other}); got.Digest() != want.Digest() || got.Anew != 2 || got.Counts[5] != 1 {
		t.Errorf("got %+v, want %+v with 2 entries looked at anew", got, want)
	}
}
