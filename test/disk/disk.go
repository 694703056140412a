// Package disk writes the files of small servers below temporary directories,
// for tests.
package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// Files maps the paths of a server's files to their contents. A path that ends
// in a slash is a directory.
type Files map[string]string

// Debian returns the files of a small server with one package.
func Debian(id string) Files {
	return Files{
		"/etc/passwd":     "root:x:0:0:root:/root:/bin/bash\n",
		"/etc/group":      "root:x:0:\n",
		"/etc/machine-id": id + "\n",
		"/etc/hostname":   "host-" + id + "\n",
		"/etc/os-release": "PRETTY_NAME=\"Debian\"\n",
		"/etc/web.conf":   "listen 80\npassword=hunter2hunter2\n",
		"/usr/bin/web":    "program 1",
		"/usr/bin/git":    "git",
		"/var/log/web":    "log of " + id + "\n",
		"/var/lib/dpkg/status": "Package: web\nStatus: install ok installed\nVersion: 1.0\n\n" +
			"Package: git\nStatus: install ok installed\nVersion: 2.0\n",
		"/var/lib/dpkg/info/web.list":    "/usr/bin/web\n/etc/web.conf\n",
		"/var/lib/dpkg/info/web.md5sums": "0cc175b9c0f1b6a831c399e269772661  usr/bin/web\n",
		"/var/lib/dpkg/info/git.list":    "/bin/git\n",
		"/tmp/":                          "",
	}
}

// With returns a copy with changes. The content "-" removes a file.
func (d Files) With(change Files) Files {
	for p, content := range change {
		if content == "-" {
			delete(d, p)
		} else {
			d[p] = content
		}
	}
	return d
}

// Root writes the files below a temporary directory and opens it as a root.
func (d Files) Root(t *testing.T) *rootfs.Root {
	t.Helper()
	return Open(t, d.Write(t))
}

// Write writes the files below a temporary directory and returns its path.
func (d Files) Write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	for p, content := range d {
		full := filepath.Join(dir, p)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		if strings.HasSuffix(p, "/") {
			must(t, os.MkdirAll(full, 0o755))
			continue
		}
		must(t, os.WriteFile(full, []byte(content), 0o644))
	}
	return dir
}

// Links is Root with additional symbolic links: their targets by path.
func (d Files) Links(t *testing.T, links Files) *rootfs.Root {
	t.Helper()
	dir := d.Write(t)
	for p, target := range links {
		full := filepath.Join(dir, p)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		must(t, os.Symlink(target, full))
	}
	return Open(t, dir)
}

// Open opens a directory as a root until the test ends.
func Open(t *testing.T, dir string) *rootfs.Root {
	t.Helper()
	r, err := rootfs.Open(dir)
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
