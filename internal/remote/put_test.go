package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/inventory"
	"github.com/adamant-sh/adamant/internal/remote"
	"github.com/adamant-sh/adamant/test/sshd"
)

func TestPut(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{})
	h := host(t, l, s, "admin")
	h.Become = inventory.Become{Password: inventory.NewSecret(sshd.AdminPassword)}
	c := dial(t, h, options(t))
	s.Exec("mkdir", "/small", "/home/admin/dir", "/home/admin/it's $HOME")
	s.Exec("chown", "admin", "/home/admin/dir", "/home/admin/it's $HOME")
	s.Exec("mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", "/small")
	text := noise(3, 2<<20)

	// put puts all of text, and lists what is beside it afterwards.
	put := func(t *testing.T, path string, mode fs.FileMode, sudo bool) error {
		err := c.Put(t.Context(), path, mode, int64(len(text)), bytes.NewReader(text), sudo)
		found := s.Exec("sh", "-c", `find "$1" -maxdepth 1 -name "$2" 2>/dev/null; true`, "sh", filepath.Dir(path), ".*."+strings.Repeat("?", 26))
		if found != "" {
			t.Errorf("left %s", found)
		}
		return err
	}
	for _, test := range []struct {
		path  string
		mode  fs.FileMode
		sudo  bool
		owner string
	}{
		{"/home/admin/new", 0o640, false, "640 admin"},
		{"/home/admin/new", 0o755, false, "755 admin"},
		{"/home/admin/it's $HOME/-n \"b\"\nc: d", 0o600, false, "600 admin"},
		{"/usr/local/bin/tool", 0o755 | fs.ModeSetuid, true, "4755 root"},
		{"/top", 0o444, true, "444 root"},
	} {
		if err := put(t, test.path, test.mode, test.sudo); err != nil {
			t.Error(err)
			continue
		}
		got, err := os.ReadFile(filepath.Join(s.Root, test.path))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s has %d bytes: %v", test.path, len(got), err)
		}
		if got := strings.TrimSpace(s.Exec("stat", "-c", "%a %U", test.path)); got != test.owner {
			t.Errorf("%s is %s, want %s", test.path, got, test.owner)
		}
	}
	for path, says := range map[string]string{
		"/root/x":              "Permission denied",
		"/home/admin/none/x":   "Directory nonexistent",
		"/home/admin/dir":      "it is a directory",
		"/small/x":             "No space left on device",
		"relative":             "not an absolute and clean path",
		"/home/admin/../guest": "not an absolute and clean path",
	} {
		err := put(t, path, 0o600, false)
		if err == nil || !strings.HasSuffix(err.Error(), ": "+says) && !strings.Contains(err.Error(), ": "+says+" ") {
			t.Errorf("%s: got %v, want %s", path, err, says)
		}
	}
}

// A slow reader does something before it goes on, once.
type slow struct {
	io.Reader
	then func() error
}

func (s *slow) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != io.EOF {
		return n, err
	}
	return n, s.then()
}

func TestPutInterrupted(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{Files: map[string]string{"/root/conf": "old"}})
	c := dial(t, host(t, l, s, "root"), options(t))
	ctx, cancel := context.WithCancel(t.Context())
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		ctx  context.Context
		then func() error
		want error
	}{
		"cancelled":  {ctx, func() error { cancel(); return nil }, context.Canceled},
		"unreadable": {t.Context(), func() error { return broken }, broken},
		"too short":  {t.Context(), func() error { return io.EOF }, nil},
	} {
		err := c.Put(test.ctx, "/root/conf", 0o600, 100, &slow{strings.NewReader("new"), test.then}, false)
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		clean := `cd /root; for i in $(seq 50); do [ "$(ls -A | grep conf)" != conf ] || break; sleep .1; done; ls -A | grep conf; cat conf`
		if got := s.Exec("sh", "-c", clean); got != "conf\nold" {
			t.Errorf("%s: it left %q", name, got)
		}
	}

	r, w := io.Pipe()
	defer w.Close()
	lost := make(chan error)
	go func() { lost <- c.Put(t.Context(), "/root/conf", 0o600, 100, r, false) }()
	io.WriteString(w, "new")
	s.Kill()
	refused(t, <-lost, remote.ErrLost, "put /root/conf on web-1")
	s.Reboot()
	if got := s.Exec("cat", "/root/conf"); got != "old" {
		t.Errorf("after the server died: %q", got)
	}
}
