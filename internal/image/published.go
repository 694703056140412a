package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// A Published is what a registry has under a name: an index of images, or one image.
type Published struct {
	Digest  string // "sha256:<hex>", computed from what the registry sent
	IsIndex bool
	Images  []PublishedImage // those that name their platform
}

// A PublishedImage is an image for one platform.
type PublishedImage struct {
	Digest   string
	Platform Platform
}

// Runs reports whether there is an image that runs on a platform.
func (p Published) Runs(on Platform) bool {
	return slices.ContainsFunc(p.Images, func(i PublishedImage) bool { return on.runs(i.Platform) })
}

// Find returns the image with a digest.
func (p Published) Find(digest string) (PublishedImage, bool) {
	i := slices.IndexFunc(p.Images, func(i PublishedImage) bool { return i.Digest == digest })
	if i < 0 {
		return PublishedImage{}, false
	}
	return p.Images[i], true
}

// maxPlatformsShown bounds the text of Platforms.
const maxPlatformsShown = 20

// Platforms returns the platforms of the images on one line, for messages.
func (p Published) Platforms() string {
	var names []string
	for _, i := range p.Images {
		if s := i.Platform.String(); !slices.Contains(names, s) {
			names = append(names, s)
		}
		if len(names) > maxPlatformsShown {
			names[maxPlatformsShown] = "…"
			break
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Resolve asks a registry what it has under a reference, with the user's docker credentials.
// It reads no layer. An answer that takes longer than requestTimeout, or is larger than a
// document may be, is an error.
func Resolve(ctx context.Context, ref Reference) (Published, error) {
	at, err := name.ParseReference(ref.Name())
	if err != nil {
		return Published{}, err
	}
	got, err := remote.Get(at, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithTransport(documents{remote.DefaultTransport}))
	if err != nil {
		return Published{}, explain(err)
	}
	p := Published{Digest: got.Digest.String(), IsIndex: got.MediaType.IsIndex()}
	switch {
	case p.IsIndex:
		p.Images, err = imagesOfIndex(got)
	case got.MediaType.IsImage():
		p.Images, err = imagesOfManifest(got)
	default:
		err = fmt.Errorf("the registry has %.100q there, and no image", got.MediaType)
	}
	return p, explain(err)
}

func imagesOfIndex(got *remote.Descriptor) ([]PublishedImage, error) {
	index, err := v1.ParseIndexManifest(bytes.NewReader(got.Manifest))
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	var images []PublishedImage
	for _, d := range index.Manifests {
		// Attestations are for the platform unknown/unknown.
		if d.Platform == nil || d.Platform.OS == "unknown" || !d.MediaType.IsImage() {
			continue
		}
		images = append(images, PublishedImage{d.Digest.String(), NewPlatform(d.Platform.OS, d.Platform.Architecture, d.Platform.Variant)})
	}
	return images, nil
}

// imagesOfManifest reads the platform of an image that is in no index from its configuration.
func imagesOfManifest(got *remote.Descriptor) ([]PublishedImage, error) {
	img, err := got.Image()
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if config.OS == "" || config.Architecture == "" {
		return nil, nil // an artifact that is no container image, such as a chart
	}
	return []PublishedImage{{got.Digest.String(), NewPlatform(config.OS, config.Architecture, config.Variant)}}, nil
}

// explain adds the reason to errors whose text does not have it.
func explain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s: %w", requestTimeout, err)
	}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the registry refuses it to this user (docker login and podman login add credentials): %w", err)
	case http.StatusNotFound:
		return fmt.Errorf("the registry does not have it: %w", err)
	}
	return err
}

// requestTimeout limits each request to a registry.
const requestTimeout = 30 * time.Second

// documents is a transport for documents, all of which are small. It reads each as a whole
// and refuses one that is beyond the limits before it is parsed.
type documents struct{ below http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (d documents) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), requestTimeout)
	defer cancel()
	response, err := d.below.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, &LimitError{Limit: "bytes of a document", Value: maxDocument}
	}
	if err := checkValues(data); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(data))
	return response, nil
}
