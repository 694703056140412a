package containerd

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// testImage returns an image of two layers with one file each.
func testImage(t *testing.T, layers ...map[string]string) v1.Image {
	t.Helper()
	if len(layers) == 0 {
		layers = []map[string]string{{"/etc/one": "1"}, {"/etc/two": "2"}}
	}
	var made []v1.Layer
	for _, files := range layers {
		l, err := image.NewLayer(image.Files(files)...)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, l)
	}
	img, err := image.New(image.Config{}, made...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// layoutOf writes an OCI layout of an image with a name.
func layoutOf(t *testing.T, img v1.Image, ref string) string {
	t.Helper()
	dir := t.TempDir()
	p, err := ocilayout.Write(dir, emptyIndex())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(img, ocilayout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": ref})); err != nil {
		t.Fatal(err)
	}
	return dir
}

func dockerArchive(t *testing.T, img v1.Image, ref string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(file, tag, img); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestImport(t *testing.T) {
	d, _ := startTest(t)
	img := testImage(t)
	id, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	dir := layoutOf(t, img, "example.com/app:1")
	docker := dockerArchive(t, img, "example.com/docker:2")
	for _, c := range []struct {
		name, path, opt, want string
	}{
		{name: "layout", path: dir, want: "example.com/app:1"},
		{name: "again", path: dir, want: "example.com/app:1"},
		{name: "layout archive", path: pack(t, dir, ""), want: "example.com/app:1"},
		{name: "gzip", path: pack(t, dir, "gzip"), want: "example.com/app:1"},
		{name: "zstd", path: pack(t, dir, "zstd"), want: "example.com/app:1"},
		{name: "docker archive", path: docker, want: "example.com/docker:2"},
		{name: "tag alone", path: layoutOf(t, img, "3"), opt: "short", want: "docker.io/library/short:3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var done, total int64
			got, err := d.Import(t.Context(), c.path, ImportOptions{Name: c.opt, Progress: func(a, b int64) { done, total = a, b }})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0].ID.String() != id.String() {
				t.Fatalf("got images %v, want one with id %s", got, id)
			}
			if done != total || total == 0 {
				t.Errorf("progress ended at %d of %d", done, total)
			}
			resp, err := d.CRI().ImageStatus(t.Context(), &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: c.want}})
			if err != nil {
				t.Fatal(err)
			}
			if resp.GetImage().GetId() != id.String() {
				t.Errorf("CRI knows %s as %q, want %s", c.want, resp.GetImage().GetId(), id)
			}
		})
	}
	t.Run("what OpenImage returns", func(t *testing.T) {
		stored, err := d.OpenImage(t.Context(), "example.com/app:1")
		if err != nil {
			t.Fatal(err)
		}
		got, _, err1 := image.Flatten(t.Context(), stored, image.FlattenOptions{})
		want, _, err2 := image.Flatten(t.Context(), img, image.FlattenOptions{})
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(slices.Collect(got.All()), slices.Collect(want.All())); diff != "" {
			t.Errorf("tree (-got +want):\n%s", diff)
		}
	})
	t.Run("a view", func(t *testing.T) { testView(t, d, "example.com/app:1") })
	t.Run("names", func(t *testing.T) { testNames(t, d) })
}

// testView mounts an image, reads its files and unmounts it.
func testView(t *testing.T, d *Daemon, ref string) {
	target := filepath.Join(t.TempDir(), "view")
	for range 2 { // the second call has no effect
		if err := d.Mount(t.Context(), ref, target); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { d.Unmount(context.Background(), target) })
	got, err := os.ReadFile(filepath.Join(target, "etc/two"))
	if err != nil || string(got) != "2" {
		t.Errorf("file in the view is %q (%v)", got, err)
	}
	if err := os.WriteFile(filepath.Join(target, "etc/new"), nil, 0o600); err == nil {
		t.Error("the view is writable")
	}
	if err := d.sweepViews(t.Context()); err != nil {
		t.Fatal(err)
	}
	if mounted, _ := isMounted(target); !mounted {
		t.Error("sweepViews removed a view that is mounted")
	}
	if err := volume.UnmountBelow(target); err != nil { // as a reboot does
		t.Fatal(err)
	}
	if err := d.sweepViews(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.SnapshotService(d.snapshotter).Stat(t.Context(), viewKey(target)); err == nil {
		t.Error("sweepViews left the snapshot of a view that is not mounted")
	}
	if err := d.Unmount(t.Context(), target); err != nil {
		t.Errorf("unmount what is not mounted: %v", err)
	}
}

func testNames(t *testing.T, d *Daemon) {
	all, err := d.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names [][]string
	for _, i := range all {
		names = append(names, i.Names)
	}
	want := [][]string{{"docker.io/library/short:3", "example.com/app:1"}, {"example.com/docker:2"}}
	if diff := cmp.Diff(names, want); diff != "" {
		t.Errorf("images (-got +want):\n%s", diff)
	}
	if err := d.RemoveImage(t.Context(), "short:3"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Image(t.Context(), "short:3"); !errors.Is(err, ErrNoImage) {
		t.Errorf("removed name: got error %v, want ErrNoImage", err)
	}
	if err := d.RemoveImage(t.Context(), "example.com/app:1"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Image(t.Context(), "example.com/app:1"); !errors.Is(err, ErrNoImage) {
		t.Errorf("removed image: got error %v, want ErrNoImage", err)
	}
}

func TestImportReader(t *testing.T) {
	d, _ := startTest(t)
	raw, err := os.ReadFile(pack(t, layoutOf(t, testImage(t), "app:1"), "gzip"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.ImportReader(t.Context(), bytes.NewReader(raw), ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("got %d images", len(got))
	}
	if diff := cmp.Diff(got[0].Names, []string{"docker.io/library/app:1"}); diff != "" {
		t.Error(diff)
	}
}
