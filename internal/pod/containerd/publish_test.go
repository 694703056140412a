package containerd

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The manifest of an index is an image for this machine, whatever artifacts are beside it.
func TestFindManifest(t *testing.T) {
	store, err := local.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put := func(mediaType string, v any) ocispec.Descriptor {
		t.Helper()
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
		if err := content.WriteBlob(t.Context(), store, d.Digest.String(), bytes.NewReader(raw), d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	manifest := func(config string, layers ...string) ocispec.Descriptor {
		m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: ocispec.Descriptor{MediaType: config}}
		for _, l := range layers {
			m.Layers = append(m.Layers, ocispec.Descriptor{MediaType: l})
		}
		return put(m.MediaType, m)
	}
	index := func(of ...ocispec.Descriptor) ocispec.Descriptor {
		return put(ocispec.MediaTypeImageIndex, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: of})
	}
	on := func(d ocispec.Descriptor, p ocispec.Platform) ocispec.Descriptor {
		d.Platform = &p
		return d
	}
	here := platforms.DefaultSpec()
	image := manifest(ocispec.MediaTypeImageConfig, ocispec.MediaTypeImageLayerGzip)
	attestation := manifest(ocispec.MediaTypeImageConfig, "application/vnd.in-toto+json")
	signature := manifest("application/vnd.dev.cosign.artifact.sig.v1+json", ocispec.MediaTypeImageLayer)
	absent := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("absent"), Size: 6}
	twice := index(attestation, attestation)
	for _, tt := range []struct {
		name   string
		target ocispec.Descriptor
		want   digest.Digest // none if empty
	}{
		{"a manifest", image, image.Digest},
		{"an attestation before the image", index(attestation, on(image, here)), image.Digest},
		{"a signature before an image without a platform", index(signature, image), image.Digest},
		{"an attestation for this platform", index(on(attestation, here), on(image, here)), image.Digest},
		{"not pulled", index(on(absent, here), image), image.Digest},
		{"only artifacts", index(attestation, signature), ""},
		{"only for another platform", index(on(image, ocispec.Platform{OS: "plan9", Architecture: "vax"})), ""},
		{"an index without an image before one with it", index(twice, index(on(image, here))), image.Digest},
		{"indexes of artifacts", index(twice, twice), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := manifestSearch{store: store, seen: map[digest.Digest]bool{}}
			got, _, err := s.find(t.Context(), tt.target, 4)
			if tt.want == "" {
				if !errdefs.IsNotFound(err) || !errors.Is(err, errOtherImage) {
					t.Errorf("got %v, %v, want no image", got.Digest, err)
				}
			} else if err != nil || got.Digest != tt.want {
				t.Errorf("got %v, %v, want %v", got.Digest, err, tt.want)
			}
		})
	}
}
