package inspect

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/image"
)

// TestLayers compares the directories of two layers, as they were unpacked and then
// edited, with the image.
func TestLayers(t *testing.T) {
	contents := []map[string]string{{"/etc/a": "one\n", "/usr/bin/tool": "#!/bin/sh\n"}, {"/etc/a": "two\n"}}
	var layers []v1.Layer
	for _, c := range contents {
		l, err := image.NewLayer(image.Files(c)...)
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, l)
	}
	img, err := image.New(image.Config{}, layers...)
	if err != nil {
		t.Fatal(err)
	}
	var lower []string // the uppermost first
	err = image.EachLayer(t.Context(), img, image.Limits{}, func(l image.Layer) error {
		dir := t.TempDir()
		lower = append([]string{dir}, lower...)
		root, err := rootfs.Open(dir)
		if err != nil {
			return err
		}
		defer root.Close()
		for e := range l.Tree.All() {
			if e.Path == "/" {
				continue
			}
			if err := root.Put(t.Context(), e, strings.NewReader(contents[l.Index][e.Path])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var paced atomic.Int64
	opts := LayersOptions{Pace: func(size int64) { paced.Add(size) }}
	r, err := Layers(t.Context(), image.Image{Image: img}, lower, opts)
	if err != nil || !r.Clean() {
		t.Fatalf("as they were unpacked: %+v, %v; want no drift", r, err)
	}
	read := int64(len("one\n#!/bin/sh\ntwo\n"))
	for _, l := range layers {
		size, err := l.Size()
		if err != nil {
			t.Fatal(err)
		}
		read += size
	}
	if paced.Load() != read {
		t.Errorf("%d bytes were paced, want %d of blobs and files", paced.Load(), read)
	}

	// An edit below a file of the layer above is one too.
	if err := os.WriteFile(filepath.Join(lower[1], "etc/a"), []byte("0ne\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(lower[0], "added"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err = Layers(t.Context(), image.Image{Image: img}, lower, LayersOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range r.Changes {
		reason, _, _ := strings.Cut(c.Reason, " (")
		got = append(got, string(c.Severity)+" "+string(c.Kind)+" "+c.Path+" "+reason)
	}
	want := []string{
		"critical added /added the baseline itself was changed: layer 2 of the image",
		"critical changed /etc/a the baseline itself was changed: layer 1 of the image",
	}
	if diff := cmp.Diff(got, want); diff != "" || len(r.Unknowns) > 0 {
		t.Errorf("changes (-got +want):\n%s\nunknown: %v", diff, r.Unknowns)
	}

	for name, tt := range map[string]struct {
		img   v1.Image
		lower []string
		want  string
	}{
		"blob that is gone":   {withoutBlobs(t, img), lower, "file does not exist"},
		"directory is gone":   {img, []string{lower[0], filepath.Join(t.TempDir(), "none")}, "no such file or directory"},
		"fewer layers":        {img, lower[:1], "more than 1 layers"},
		"more layers":         {img, append([]string{lower[0]}, lower...), "3 layers, the image has 2"},
		"no layers of a root": {img, nil, "more than 0 layers"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Layers(t.Context(), image.Image{Image: tt.img}, tt.lower, LayersOptions{})
			if err != nil || !unknownBecause(r, tt.want) {
				t.Errorf("unknown: %v, %v; want %q", r.Unknowns, err, tt.want)
			}
		})
	}
}

func unknownBecause(r drift.Report, want string) bool {
	for _, u := range r.Unknowns {
		if strings.Contains(u.Err.Error(), want) {
			return true
		}
	}
	return false
}

// withoutBlobs returns the image of a store that has its documents, but no layers.
func withoutBlobs(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	manifest, err := img.RawManifest()
	config, configErr := img.RawConfigFile()
	mediaType, typeErr := img.MediaType()
	if err := errors.Join(err, configErr, typeErr); err != nil {
		t.Fatal(err)
	}
	gone, err := image.FromDocuments(mediaType, manifest, config, func(v1.Descriptor) (io.ReadCloser, error) { return nil, fs.ErrNotExist })
	if err != nil {
		t.Fatal(err)
	}
	return gone
}
