package containerd

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/adamant-sh/adamant/internal/image"
)

// TestHostileArchives loads archives that must be refused with an error, without
// leaving an image, blob, snapshot or file.
func TestHostileArchives(t *testing.T) {
	d, o := startTest(t)
	clean := storeContent(t, d)
	for _, c := range []struct {
		name string
		make func(t *testing.T) string
		want string // part of the error
	}{
		{"not an archive", func(t *testing.T) string { return fileOf(t, "hello") }, ""},
		{"empty", func(t *testing.T) string { return fileOf(t, "") }, "neither an OCI image layout nor written by docker save"},
		{"truncated", truncated, ""},
		{"truncated gzip", func(t *testing.T) string {
			return cutFile(t, pack(t, layoutOf(t, testImage(t), "app:1"), "gzip"))
		}, "unexpected EOF"},
		{"manifest with a wrong digest", func(t *testing.T) string { return spoil(t, "manifest", flip) }, "has sha256:"},
		{"configuration with a wrong digest", func(t *testing.T) string { return spoil(t, "config", flip) }, "has sha256:"},
		{"layer with a wrong digest", func(t *testing.T) string { return spoil(t, "layer", flip) }, "sha256:"},
		{"layer too short", func(t *testing.T) string { return spoil(t, "layer", func(b []byte) []byte { return b[:len(b)/2] }) }, "bytes, not"},
		{"layer missing", func(t *testing.T) string { return spoil(t, "layer", nil) }, "no such file"},
		{"layer that leaves the root", func(t *testing.T) string { return layoutOf(t, badLayer(t, "../../../../escaped"), "app:1") }, "layer 1"},
		{"layer linking out of the root", func(t *testing.T) string {
			return layoutOf(t, badLayer(t, "link"), "app:1")
		}, "layer 1"},
		{"blob behind a link out of the layout", func(t *testing.T) string { return spoil(t, "layer", linkOut) }, ""},
		{"a name that is none", func(t *testing.T) string { return layoutOf(t, testImage(t), "../:/x") }, "image reference"},
		{"for another platform", func(t *testing.T) string { return layoutOf(t, foreign(t), "app:1") }, "only for"},
		{"layers that the configuration does not name", func(t *testing.T) string { return layoutOf(t, unnamedLayer(t), "app:1") }, "the manifest has"},
		{"indexes in a circle of depth", deepIndex, "indexes inside indexes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := d.Import(t.Context(), c.make(t), ImportOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
			if got := storeContent(t, d); got != clean {
				t.Errorf("left in the store:\n%s\nwant:\n%s", got, clean)
			}
		})
	}
	for _, path := range []string{"/escaped", filepath.Join(o.Root, "escaped"), filepath.Join(o.State, "escaped")} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was made (%v)", path, err)
		}
	}
}

// storeContent lists all names, blobs, snapshots and leases of the store.
func storeContent(t *testing.T, d *Daemon) string {
	t.Helper()
	var b strings.Builder
	all, err := d.client.ImageService().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		b.WriteString("image " + i.Name + "\n")
	}
	err = d.client.ContentStore().Walk(t.Context(), contentNames(&b))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.client.SnapshotService(d.snapshotter).Walk(t.Context(), snapshotNames(&b)); err != nil {
		t.Fatal(err)
	}
	leases, err := d.client.LeasesService().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leases {
		b.WriteString("lease " + l.ID + "\n")
	}
	ingests, err := d.client.ContentStore().ListStatuses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range ingests {
		b.WriteString("ingest " + i.Ref + "\n")
	}
	return b.String()
}

func fileOf(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func truncated(t *testing.T) string {
	return cutFile(t, pack(t, layoutOf(t, testImage(t), "app:1"), ""))
}

func cutFile(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()/3); err != nil {
		t.Fatal(err)
	}
	return path
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

// linkOut makes spoil replace the blob by a symbolic link.
func linkOut([]byte) []byte { return []byte("link") }

// spoil writes a valid layout and changes or removes one of its blobs.
func spoil(t *testing.T, which string, change func([]byte) []byte) string {
	t.Helper()
	img := testImage(t)
	dir := layoutOf(t, img, "app:1")
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	hash := map[string]v1.Hash{"manifest": digest, "config": m.Config.Digest, "layer": m.Layers[1].Digest}[which]
	path := filepath.Join(dir, "blobs", "sha256", hash.Hex)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if change == nil {
		return dir
	}
	changed := change(raw)
	if string(changed) == "link" {
		outside := fileOf(t, string(raw))
		err = os.Symlink(outside, path)
	} else {
		err = os.WriteFile(path, changed, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// badLayer returns an image whose second layer has an entry with a bad name, or a
// symbolic link and a file below it.
func badLayer(t *testing.T, entry string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h *tar.Header) {
		h.Mode = 0o644
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if entry == "link" {
		add(&tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "../../../../../../tmp"})
		entry = "link/../../../escaped"
	}
	add(&tar.Header{Name: entry, Typeflag: tar.TypeReg})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	img, err := image.Append(testImage(t, map[string]string{"/a": "a"}), image.LayerFromBytes(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func foreign(t *testing.T) v1.Image {
	t.Helper()
	l, err := image.NewLayer(image.Files(map[string]string{"/a": "a"})...)
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.New(image.Config{Architecture: "s390x"}, l)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// unnamedLayer returns an image whose manifest has one layer more than its
// configuration, so that this layer has no diff ID.
func unnamedLayer(t *testing.T) v1.Image {
	t.Helper()
	img := testImage(t)
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	m = m.DeepCopy()
	m.Layers = append(m.Layers, m.Layers[0])
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	return forged(t, raw, config, layers)
}

// TestDigestsWithoutACheck checks that digests are verified even if Check accepts
// everything.
func TestDigestsWithoutACheck(t *testing.T) {
	d, _ := startTest(t)
	clean := storeContent(t, d)
	pass := func(context.Context, v1.Image) error { return nil }
	for name, path := range map[string]string{
		"layer":                       spoil(t, "layer", flip),
		"archive in a layer":          layoutOf(t, wrongDiffID(t), "app:1"),
		"a layer of a docker archive": wrongDockerLayer(t),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := d.Import(t.Context(), path, ImportOptions{Check: pass})
			if err == nil {
				t.Error("loaded")
			}
			if got := storeContent(t, d); got != clean {
				t.Errorf("left in the store:\n%s\nwant:\n%s", got, clean)
			}
		})
	}
}

func TestImportIsUndoneWithItsContext(t *testing.T) {
	d, _ := startTest(t)
	clean := storeContent(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := d.Import(ctx, layoutOf(t, testImage(t), "app:1"), ImportOptions{
		Check: func(ctx context.Context, _ v1.Image) error { cancel(); <-ctx.Done(); return ctx.Err() },
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	if got := storeContent(t, d); got != clean {
		t.Errorf("left in the store:\n%s\nwant:\n%s", got, clean)
	}
}
