package appimage

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestLayerTellsWhatAnUpperDirectoryDeletes(t *testing.T) {
	lower, upper := t.TempDir(), t.TempDir()
	mkdir(t, lower, "replaced")
	mkdir(t, upper, "replaced")
	mkdir(t, upper, "new")
	write(t, upper, "new/file", "x")
	for _, d := range []string{"replaced", "new"} {
		if err := unix.Lsetxattr(filepath.Join(upper, d), "trusted.overlay.opaque", []byte("y"), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mknod(filepath.Join(upper, "gone"), unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}

	got := names(readTar(t, upper, lower))
	want := []string{".wh.gone", "new/", "new/file", "replaced/", "replaced/.wh..wh..opq"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

func TestLayerKeepsWhatIdentifiesAFile(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a", "content")
	if err := os.Link(filepath.Join(root, "a"), filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../a", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	write(t, root, "tool", "")
	if err := os.Chown(filepath.Join(root, "tool"), 7, 8); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod(filepath.Join(root, "tool"), 0o4755); err != nil {
		t.Fatal(err)
	}
	// cap_net_raw=ep, in version 2 of the format (linux/capability.h).
	netRaw := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if err := unix.Lsetxattr(filepath.Join(root, "tool"), "security.capability", netRaw, 0); err != nil {
		t.Fatal(err)
	}

	h := readTar(t, root, "")
	if d := cmp.Diff([]string{"a", "b", "link", "tool"}, names(h)); d != "" {
		t.Fatalf("entries (-want +got):\n%s", d)
	}
	if h[1].Typeflag != tar.TypeLink || h[1].Linkname != "a" {
		t.Errorf("b is type %c to %q, want a hard link to a", h[1].Typeflag, h[1].Linkname)
	}
	if h[2].Linkname != "../a" {
		t.Errorf("link leads to %q, want ../a", h[2].Linkname)
	}
	if h[3].Uid != 7 || h[3].Gid != 8 || h[3].Mode != 0o4755 {
		t.Errorf("tool is %d:%d %o, want 7:8 4755", h[3].Uid, h[3].Gid, h[3].Mode)
	}
	if got := h[3].PAXRecords["SCHILY.xattr.security.capability"]; got != string(netRaw) {
		t.Errorf("tool has capability %x, want %x", got, netRaw)
	}
}

func TestLayerDoesNotTellWhenItWasBuilt(t *testing.T) {
	root := t.TempDir()
	write(t, root, "generated", "x")
	write(t, root, "packaged", "x")
	packaged := time.Date(2023, 5, 6, 7, 8, 9, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(root, "packaged"), packaged, packaged); err != nil {
		t.Fatal(err)
	}
	h := readTar(t, root, "")
	if !h[0].ModTime.Equal(newest) || !h[1].ModTime.Equal(packaged) {
		t.Errorf("times are %v and %v, want %v and %v", h[0].ModTime, h[1].ModTime, newest, packaged)
	}
}

func readTar(t *testing.T, root, lower string) []*tar.Header {
	t.Helper()
	var buf bytes.Buffer
	if err := writeTar(&buf, root, lower); err != nil {
		t.Fatal(err)
	}
	var all []*tar.Header
	for r := tar.NewReader(&buf); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
}

func names(headers []*tar.Header) []string {
	var all []string
	for _, h := range headers {
		all = append(all, h.Name)
	}
	return all
}

func mkdir(t *testing.T, root, name string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
