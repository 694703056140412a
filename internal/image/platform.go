package image

import (
	"fmt"
	"strings"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Platform is an operating system and an architecture, as Go and Kubernetes name them.
type Platform struct{ OS, Architecture, Variant string }

// NewPlatform returns a platform by its usual names: aarch64 is arm64, and arm is arm/v7.
func NewPlatform(os, architecture, variant string) Platform {
	p := platforms.Normalize(ocispec.Platform{OS: os, Architecture: architecture, Variant: variant})
	return Platform{p.OS, p.Architecture, p.Variant}
}

// ParsePlatform reads OS/ARCHITECTURE, or OS/ARCHITECTURE/VARIANT.
func ParsePlatform(s string) (Platform, error) {
	p, err := platforms.Parse(s)
	if err != nil || !strings.Contains(s, "/") || p.OSVersion != "" {
		return Platform{}, fmt.Errorf("platform %q: want OS/ARCHITECTURE, such as linux/arm64, or OS/ARCHITECTURE/VARIANT", s)
	}
	return NewPlatform(p.OS, p.Architecture, p.Variant), nil
}

// String returns the platform as ParsePlatform reads it.
func (p Platform) String() string { return platforms.Format(p.oci()) }

func (p Platform) oci() ocispec.Platform {
	return ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
}

// runs reports whether an image for another platform runs on p: a processor can run an older
// variant of its architecture. Containerd also runs images for 386 on amd64, and for arm on
// arm64, which not every processor can.
func (p Platform) runs(other Platform) bool {
	return p.OS == other.OS && p.Architecture == other.Architecture && platforms.Only(p.oci()).Match(other.oci())
}
