package image

import (
	"fmt"

	"github.com/distribution/reference"
)

// A Reference names an image in a registry, in full.
type Reference struct {
	Repository string // "docker.io/library/nginx"
	Tag        string // "latest"; empty if only a digest was given
	Digest     string // "sha256:<hex>", or empty
}

// ParseReference reads a reference as docker, containerd and kubelets do:
// "nginx" is docker.io/library/nginx:latest.
func ParseReference(s string) (Reference, error) {
	named, err := reference.ParseDockerRef(s)
	if err != nil {
		return Reference{}, fmt.Errorf("image reference %q: %w", s, err)
	}
	// ParseDockerRef drops the tag beside a digest, which messages need.
	if full, err := reference.ParseNormalizedNamed(s); err == nil && !reference.IsNameOnly(full) {
		named = full
	}
	ref := Reference{Repository: named.Name()}
	if tagged, ok := named.(reference.Tagged); ok {
		ref.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		ref.Digest = digested.Digest().String()
	}
	return ref, nil
}

// String returns the reference in full.
func (r Reference) String() string {
	s := r.Repository
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// Name returns the reference as container runtimes name an image: in full, and
// without a tag beside a digest.
func (r Reference) Name() string {
	if r.Digest != "" {
		r.Tag = ""
	}
	return r.String()
}

// Familiar returns the shortest form that means the same, for messages.
func (r Reference) Familiar() string {
	named, err := reference.ParseNormalizedNamed(r.String())
	if err != nil {
		return r.String()
	}
	return reference.FamiliarString(named)
}
