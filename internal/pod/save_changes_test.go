package pod

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// What an intruder left in a running container can be looked at when that is
// long gone.
func TestSaveChanges(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	run(t, p, "write", "/data/new", "evil")
	run(t, p, "write", "/etc/app/app.conf", "edited")
	c, err := p.Container("")
	if err != nil {
		t.Fatal(err)
	}
	inside, err := os.OpenRoot(fmt.Sprintf("/proc/%d/root", c.PID))
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	if err := errors.Join(inside.Remove("data/file"), inside.Symlink("/etc/shadow", "tmp/link"), inside.Chmod("data/new", os.ModeSetuid|0o711)); err != nil {
		t.Fatal(err)
	}
	r, err := p.Drift(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	unknown, err := p.SaveChanges(t.Context(), c, r, &archive)
	if err != nil || len(unknown) > 0 {
		t.Fatal(err, unknown)
	}
	got := contents(t, &archive)
	want := map[string]string{
		"root/data/new": "4711 evil\n", "root/etc/app/app.conf": "0755 edited\n",
		"root/tmp/link": "0777 -> /etc/shadow", "DELETED": "0600 /data/file\n",
	}
	for name, content := range want {
		if diff := cmp.Diff(got[name], content); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What cannot be saved is listed, and the rest is saved all the same.
func TestSaveChangesMissing(t *testing.T) {
	dir := t.TempDir()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := os.WriteFile(dir+"/small", []byte("small"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(dir+"/huge", nil, 0o600), os.Truncate(dir+"/huge", maxEvidence+1), os.Symlink("/", dir+"/out")); err != nil {
		t.Fatal(err)
	}
	var r drift.Report
	for _, path := range []string{"/gone", "/huge", "/out/etc/passwd", "/small"} {
		r.Changes = append(r.Changes, drift.Change{Path: path, Kind: drift.Added})
	}
	var archive bytes.Buffer
	unknown, err := saveChanges(t.Context(), root, r, &archive)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, u := range unknown {
		paths = append(paths, u.Path)
	}
	if diff := cmp.Diff(paths, []string{"/gone", "/huge", "/out/etc/passwd"}); diff != "" {
		t.Error(diff)
	}
	if !errors.Is(unknown[1].Err, tree.ErrTooLarge) || !errors.Is(unknown[2].Err, rootfs.ErrThroughLink) {
		t.Errorf("got %v", unknown)
	}
	got := contents(t, &archive)
	if got["root/small"] != "0600 small" || len(lines(got["MISSING"])) != 3 {
		t.Errorf("got %q", got)
	}
}

// contents are the entries of an archive by name: mode, and content or target.
func contents(t *testing.T, archive io.Reader) map[string]string {
	t.Helper()
	got := map[string]string{}
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if h.Typeflag == tar.TypeSymlink {
			text = "-> " + h.Linkname
		}
		got[h.Name] = fmt.Sprintf("%04o %s", h.Mode, text)
	}
}
