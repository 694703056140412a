package image

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

func program(content string) []File {
	return []File{{Entry: tree.Entry{Path: "/program", Kind: tree.Regular, Mode: 0o755}, Content: []byte(content)}}
}

// An index has one image for each architecture, is the same each time, and is read
// back from an archive and from a registry.
func TestIndex(t *testing.T) {
	files := map[string][]File{"amd64": program("for amd64"), "arm64": program("for arm64")}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	name := strings.TrimPrefix(server.URL, "http://") + "/copy-up:v1"
	dir := t.TempDir()
	var digests, archives []string
	for _, file := range []string{"a.tar", "b.tar"} {
		i, err := NewIndex(Config{Entrypoint: []string{"/program"}, User: "7:8"}, files)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := i.Digest()
		if err != nil {
			t.Fatal(err)
		}
		ref, err := i.Reference(name)
		if err != nil || ref != strings.TrimSuffix(name, ":v1")+"@"+digest {
			t.Errorf("the reference is %s, %v", ref, err)
		}
		if err := i.WriteArchive(t.Context(), filepath.Join(dir, file), name); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := i.Push(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		digests, archives = append(digests, ref), append(archives, string(data))
	}
	if digests[0] != digests[1] || archives[0] != archives[1] {
		t.Errorf("two builds differ: %q", digests)
	}
	for _, source := range []string{filepath.Join(dir, "a.tar"), digests[0]} {
		for _, arch := range []string{"amd64", "arm64"} {
			set, err := Open(t.Context(), source, OpenOptions{Platform: "linux/" + arch})
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			img := set.Images[0].Image
			config, err := img.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if config.Architecture != arch || config.Config.User != "7:8" || !config.Created.IsZero() {
				t.Errorf("%s, %s: got %+v", source, arch, config)
			}
			layers, err := img.Layers()
			if err != nil || len(layers) != 1 {
				t.Fatal(layers, err)
			}
			r, err := layers[0].Uncompressed()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			r.Close()
			if err != nil || !bytes.Contains(content, []byte("for "+arch)) {
				t.Errorf("%s has another program: %v", arch, err)
			}
		}
	}
}

// TestIndexOfAnImage checks that an image of an archive names the index that has others beside
// it.
func TestIndexOfAnImage(t *testing.T) {
	for _, platforms := range [][]string{{"amd64"}, {"amd64", "arm64"}} {
		files := map[string][]File{}
		for _, arch := range platforms {
			files[arch] = program("for " + arch)
		}
		i, err := NewIndex(Config{Entrypoint: []string{"/program"}}, files)
		if err != nil {
			t.Fatal(err)
		}
		archive := filepath.Join(t.TempDir(), "a.tar")
		if err := i.WriteArchive(t.Context(), archive, "a.test/a:1"); err != nil {
			t.Fatal(err)
		}
		set, err := OpenArchive(t.Context(), archive, OpenOptions{Platform: "linux/amd64"})
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		want := ""
		if len(platforms) > 1 {
			if want, err = i.Digest(); err != nil {
				t.Fatal(err)
			}
		}
		if got := set.Images[0].Stored.Index(); got != want {
			t.Errorf("%v: got %q, want %q", platforms, got, want)
		}
	}
}
