package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// webImage is a small image with two layers, one of them compressed.
func webImage(t testing.TB) v1.Image {
	t.Helper()
	base, err := NewLayer(append(Files(map[string]string{
		"/etc/passwd": "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/bin/false\n",
		"/etc/group":  "root:x:0:\nweb:x:33:\nlogs:x:44:other,web\n",
		"/srv/index":  "hello",
	}), File{Entry: tree.Entry{Path: "/www", Kind: tree.Symlink, Target: "srv"}})...)
	if err != nil {
		t.Fatal(err)
	}
	top, err := NewLayer(Files(map[string]string{"/srv/index": "hello, world"})...)
	if err != nil {
		t.Fatal(err)
	}
	img, err := New(Config{User: "web", Cmd: []string{"/bin/web"}, ExposedPorts: []string{"80/tcp"}, Volumes: []string{"/var/lib/web"}},
		base, LayerFromBytes(gzipped(t, contentOf(t, top))))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func contentOf(t testing.TB, layer v1.Layer) []byte {
	t.Helper()
	r, err := layer.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(content, nil)
}

func write(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func archiveOf(t testing.TB, images map[string]v1.Image) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	if err := WriteArchive(t.Context(), path, images); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func dockerArchive(t testing.TB, img v1.Image, names ...string) []byte {
	t.Helper()
	refs := map[name.Reference]v1.Image{}
	for _, n := range names {
		ref, err := name.ParseReference(n)
		if err != nil {
			t.Fatal(err)
		}
		refs[ref] = img
	}
	var b bytes.Buffer
	if err := tarball.MultiRefWrite(refs, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// layoutDir writes a layout of an image, example.com/web:3.
func layoutDir(t testing.TB, img v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	l, err := ocilayout.Write(dir, empty.Index)
	if err == nil {
		err = l.AppendImage(img, ocilayout.WithAnnotations(map[string]string{refNameAnnotation: "example.com/web:3"}))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// The tree of an image is the same in every format.
func TestOpen(t *testing.T) {
	img := webImage(t)
	want, _, err := Flatten(t.Context(), img, FlattenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	archive := archiveOf(t, map[string]v1.Image{"example.com/web:1": img})
	for _, tt := range []struct {
		name   string
		source func(t *testing.T) string
		names  []string
	}{
		{"layout archive", func(t *testing.T) string { return write(t, archive) }, []string{"example.com/web:1"}},
		{"gzip", func(t *testing.T) string { return write(t, gzipped(t, archive)) }, []string{"example.com/web:1"}},
		{"zstd", func(t *testing.T) string { return write(t, zstded(t, archive)) }, []string{"example.com/web:1"}},
		{"docker save", func(t *testing.T) string { return write(t, dockerArchive(t, img, "web:2")) }, []string{"docker.io/library/web:2"}},
		{"layout directory", func(t *testing.T) string { return layoutDir(t, img) }, []string{"example.com/web:3"}},
		{"index for several platforms", func(t *testing.T) string {
			dir := t.TempDir()
			other, err := New(Config{Architecture: "s390x"})
			if err != nil {
				t.Fatal(err)
			}
			index := mutate.AppendManifests(empty.Index,
				mutate.IndexAddendum{Add: other, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}},
				mutate.IndexAddendum{Add: img})
			l, err := ocilayout.Write(dir, empty.Index)
			if err == nil {
				err = l.AppendIndex(index)
			}
			if err != nil {
				t.Fatal(err)
			}
			return dir
		}, nil},
		{"registry", func(t *testing.T) string {
			server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
			t.Cleanup(server.Close)
			ref := strings.TrimPrefix(server.URL, "http://") + "/web:4"
			at, err := name.ParseReference(ref)
			if err == nil {
				err = remote.Write(at, img)
			}
			if err != nil {
				t.Fatal(err)
			}
			return ref
		}, []string{"HOST/web:4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source := tt.source(t)
			set, err := Open(t.Context(), source, OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			got, err := set.Find("")
			if err != nil {
				t.Fatal(err)
			}
			for i := range tt.names {
				tt.names[i] = strings.Replace(tt.names[i], "HOST/web:4", source, 1)
			}
			if diff := cmp.Diff(got.Names, tt.names); diff != "" {
				t.Errorf("names (- got, + want):\n%s", diff)
			}
			flattened, findings, err := Flatten(t.Context(), got, FlattenOptions{})
			if err != nil || len(findings) > 0 {
				t.Fatal(findings, err)
			}
			if diff := cmp.Diff(entries(flattened), entries(want)); diff != "" {
				t.Errorf("tree (- got, + want):\n%s", diff)
			}
			contents, err := ReadFiles(t.Context(), got, "/www/index")
			if err != nil || string(contents["/www/index"]) != "hello, world" {
				t.Errorf("ReadFiles: %q, %v", contents, err)
			}
		})
	}
}

func TestOpenSeveral(t *testing.T) {
	one := webImage(t)
	two, err := New(Config{User: "2"})
	if err != nil {
		t.Fatal(err)
	}
	set, err := Open(t.Context(), write(t, archiveOf(t, map[string]v1.Image{"one": one, "also-one:5": one, "two": two})), OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if len(set.Images) != 2 {
		t.Fatalf("%d images, want 2", len(set.Images))
	}
	img, err := set.Find("docker.io/library/also-one:5")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(img.Names, []string{"docker.io/library/also-one:5", "docker.io/library/one:latest"}); diff != "" {
		t.Error(diff)
	}
	if _, err := set.Find(""); !errors.Is(err, ErrNoImage) {
		t.Errorf("no name among several: %v", err)
	}
	if _, err := set.Find("three"); !errors.Is(err, ErrNoImage) || !strings.Contains(err.Error(), "docker.io/library/two:latest") {
		t.Errorf("another name: %v", err)
	}
}

// If one byte of any file of an archive changes, the error names the damaged file. The
// result is never another tree.
func TestOpenDamaged(t *testing.T) {
	img := webImage(t)
	for form, archive := range map[string][]byte{
		"layout":      archiveOf(t, map[string]v1.Image{"web": img}),
		"docker save": dockerArchive(t, img, "web"),
	} {
		r := bytes.NewReader(archive)
		for files := tar.NewReader(r); ; {
			h, err := files.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(h.Name, "sha256") && !strings.Contains(h.Name, ".tar.gz") {
				continue
			}
			start := len(archive) - r.Len()
			t.Run(fmt.Sprintf("%s %.30s", form, h.Name), func(t *testing.T) {
				damaged := bytes.Clone(archive)
				damaged[start+int(h.Size)/2] ^= 1
				err := openAndFlatten(t, damaged)
				if err == nil {
					t.Fatal("not noticed")
				}
				// Docker has no digest of a compressed layer; decompressing the damaged one fails.
				if !errors.Is(err, ErrDigest) && !(form == "docker save" && strings.Contains(err.Error(), "flate")) {
					t.Errorf("not named as damage: %v", err)
				}
			})
		}
	}
}

func openAndFlatten(t testing.TB, archive []byte) error {
	set, err := Open(t.Context(), write(t, archive), OpenOptions{})
	if err != nil {
		return err
	}
	defer set.Close()
	for _, img := range set.Images {
		if _, _, err := Flatten(t.Context(), img, FlattenOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func TestOpenRefuses(t *testing.T) {
	tarOf := func(files map[string]string) []byte { return filesTar(t, files) }
	digest := func(algorithm, hex string) string {
		raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{map[string]any{
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2, "digest": algorithm + ":" + hex,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	zeros := strings.Repeat("0", 64)
	for _, tt := range []struct {
		name    string
		archive []byte
		want    string
	}{
		{"nothing", nil, "neither an OCI image layout nor written by docker save"},
		{"text", []byte(strings.Repeat("not an archive\n", 100)), "read archive"},
		{"other archive", tarOf(map[string]string{"/a": "b"}), "neither an OCI image layout"},
		{"no images", tarOf(map[string]string{"/oci-layout": "{}", "/index.json": "{}"}), "no such image"},
		{"index is no JSON", tarOf(map[string]string{"/oci-layout": "{}", "/index.json": "x"}), "index.json"},
		{"missing blob", tarOf(map[string]string{"/oci-layout": "{}", "/index.json": digest("sha256", zeros)}), "blob sha256:" + zeros},
		{"wrong size", tarOf(map[string]string{"/oci-layout": "{}", "/index.json": digest("sha256", zeros), "/blobs/sha256/" + zeros: "x"}), "1 bytes, not 2"},
		{"wrong content", tarOf(map[string]string{"/oci-layout": "{}", "/index.json": digest("sha256", zeros), "/blobs/sha256/" + zeros: "{}"}), "has sha256:44136fa"},
		{"digest with a path", tarOf(map[string]string{"/oci-layout": "{}", "/index.json": digest("sha256", "../../x")}), "index.json"},
		{"docker manifest is no JSON", tarOf(map[string]string{"/manifest.json": "x"}), "manifest.json"},
		{"docker configuration leads out", tarOf(map[string]string{"/manifest.json": `[{"Config":"../../etc/passwd"}]`}), "configuration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := Open(t.Context(), write(t, tt.archive), OpenOptions{})
			if err == nil {
				set.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	t.Run("missing file", func(t *testing.T) {
		if _, err := Open(t.Context(), "./no-such-file", OpenOptions{}); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	t.Run("another platform", func(t *testing.T) {
		archive := archiveOf(t, map[string]v1.Image{"web": webImage(t)})
		_, err := Open(t.Context(), write(t, archive), OpenOptions{Platform: "linux/s390x"})
		if !errors.Is(err, ErrNoImage) || !strings.Contains(err.Error(), "linux/s390x, only for linux/") {
			t.Error(err)
		}
	})
}

func filesTar(t testing.TB, files map[string]string) []byte {
	t.Helper()
	l, err := NewLayer(Files(files)...)
	if err != nil {
		t.Fatal(err)
	}
	return contentOf(t, l)
}

// checkStored checks that an image is complete.
func checkStored(t *testing.T, s *Stored) {
	t.Helper()
	if len(s.Manifest.Layers) != len(s.DiffIDs) || len(s.Documents) < 2 {
		t.Errorf("image %+v is not whole", s)
	}
	for _, layer := range s.Manifest.Layers {
		blob, err := s.OpenLayer(layer)
		if err != nil {
			continue
		}
		if blob.Size != layer.Size {
			t.Errorf("layer %s has %d bytes, want %d", layer.Digest, blob.Size, layer.Size)
		}
		blob.Close()
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(archiveOf(f, map[string]v1.Image{"web": webImage(f)}))
	f.Add(dockerArchive(f, webImage(f), "web"))
	f.Add(filesTar(f, map[string]string{"/oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "/index.json": `{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json"}]}`}))
	f.Add(filesTar(f, map[string]string{"/manifest.json": `[{"Config":"c","Layers":["l"],"RepoTags":["a:b"]}]`, "/c": `{"rootfs":{"diff_ids":["sha256:x"]}}`, "/l": "layer"}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		set, err := Open(t.Context(), write(t, archive), OpenOptions{Limits: Limits{Bytes: 1 << 24}})
		if err != nil {
			return
		}
		defer set.Close()
		for _, img := range set.Images {
			checkStored(t, img.Stored)
			// Checked images stay valid when they are read again.
			got, _, err := Flatten(t.Context(), img, FlattenOptions{Limits: Limits{Bytes: 1 << 24, Entries: 1000}})
			again, _, againErr := Flatten(t.Context(), img, FlattenOptions{Limits: Limits{Bytes: 1 << 24, Entries: 1000}})
			if (err == nil) != (againErr == nil) || got.Digest() != again.Digest() {
				t.Fatal(err, againErr)
			}
		}
	})
}
