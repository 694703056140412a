package containerd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/snapshots"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func contentNames(b *strings.Builder) content.WalkFunc {
	return func(i content.Info) error {
		b.WriteString("blob " + i.Digest.String() + "\n")
		return nil
	}
}

func snapshotNames(b *strings.Builder) snapshots.WalkFunc {
	return func(_ context.Context, i snapshots.Info) error {
		b.WriteString("snapshot " + i.Name + "\n")
		return nil
	}
}

// forged returns an image with any manifest and configuration.
func forged(t *testing.T, manifest, config []byte, layers []v1.Layer) v1.Image {
	t.Helper()
	core := forgedCore{manifest, config, map[string]v1.Layer{}}
	for _, l := range layers {
		h, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		core.layers[h.String()] = l
	}
	img, err := partial.CompressedToImage(core)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

type forgedCore struct {
	manifest, config []byte
	layers           map[string]v1.Layer
}

func (c forgedCore) RawManifest() ([]byte, error)        { return c.manifest, nil }
func (c forgedCore) RawConfigFile() ([]byte, error)      { return c.config, nil }
func (c forgedCore) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (c forgedCore) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	return c.layers[h.String()], nil
}

// wrongDiffID returns an image whose configuration has a wrong diff ID for the
// second layer.
func wrongDiffID(t *testing.T) v1.Image {
	t.Helper()
	img := testImage(t)
	m, err1 := img.Manifest()
	file, err2 := img.ConfigFile()
	layers, err3 := img.Layers()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	file, m = file.DeepCopy(), m.DeepCopy()
	file.RootFS.DiffIDs[1].Hex = strings.Repeat("0", 64)
	config, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	m.Config.Size = int64(len(config))
	m.Config.Digest.Hex = digest.FromBytes(config).Encoded()
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return forged(t, manifest, config, layers)
}

// wrongDockerLayer returns a docker archive with a layer whose content differs
// from its diff ID in the configuration.
func wrongDockerLayer(t *testing.T) string {
	t.Helper()
	path := dockerArchive(t, testImage(t), "example.com/app:1")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(raw, []byte("etc/two"))
	if at < 0 {
		t.Fatal("the archive does not hold its layers as they are: the forgery needs that")
	}
	raw[at] ^= 1
	return fileOf(t, string(raw))
}

// deepIndex returns a layout with more nested indexes than are allowed.
func deepIndex(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("none"), Size: 4}
	for range 10 {
		raw, err := json.Marshal(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{desc}})
		if err != nil {
			t.Fatal(err)
		}
		desc = describe(ocispec.MediaTypeImageIndex, raw)
		for path, content := range map[string]string{
			filepath.Join(blobs, desc.Digest.Encoded()): string(raw),
			filepath.Join(dir, ocispec.ImageIndexFile):  string(raw),
			filepath.Join(dir, ocispec.ImageLayoutFile): `{"imageLayoutVersion":"1.0.0"}`,
		} {
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}
