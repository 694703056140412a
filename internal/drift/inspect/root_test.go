package inspect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/image"
)

// TestRoot compares a directory, as it was unpacked and then
// edited, with the image it came from.
func TestRoot(t *testing.T) {
	contents := map[string]string{"/etc/app.conf": "one\ntwo\n", "/etc/same": "same\n", "/usr/bin/tool": "#!/bin/sh\n"}
	layer, err := image.NewLayer(image.Files(contents)...)
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.New(image.Config{}, layer)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	want, _, err := image.Flatten(t.Context(), img, image.FlattenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for e := range want.All() {
		if e.Path == "/" {
			continue
		}
		if err := root.Put(t.Context(), e, strings.NewReader(contents[e.Path])); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Root(t.Context(), root, image.Image{Image: img}, image.FlattenOptions{})
	if err != nil || !r.Clean() {
		t.Fatalf("as it was unpacked: %+v, %v; want no drift", r, err)
	}

	if err := os.WriteFile(filepath.Join(dir, "etc/app.conf"), []byte("one\ntw0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "usr/bin/tool")); err != nil {
		t.Fatal(err)
	}
	if r, err = Root(t.Context(), root, image.Image{Image: img}, image.FlattenOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range r.Changes {
		got = append(got, string(c.Kind)+" "+c.Path)
	}
	if diff := cmp.Diff(got, []string{"changed /etc/app.conf", "deleted /usr/bin/tool"}); diff != "" {
		t.Errorf("changes (-got +want):\n%s", diff)
	}
	if len(r.Changes) > 0 && !strings.Contains(r.Changes[0].Diff, "-two\n+tw0\n") {
		t.Errorf("the diff does not show the edit:\n%s", r.Changes[0].Diff)
	}
}
