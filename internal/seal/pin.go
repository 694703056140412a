package seal

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// Pinning configures how images are pinned by their digests.
type Pinning struct {
	Platforms []image.Platform // of the nodes; linux/amd64 if empty
	// Resolve returns what a registry has under a reference. It is called once for each
	// different reference, several times at once.
	Resolve func(context.Context, image.Reference) (image.Published, error)
}

// Limits of pinning.
const (
	maxResolving = 8      // references at a time
	maxImages    = 10_000 // different references
	maxAnswer    = 300    // characters that are shown of what a registry answers
)

// A pinner knows what registries have, and pins images by that.
type pinner struct {
	Pinning
	images   policy.Checker // with the rule image-not-pinned
	policies policy.Checker // with the rule pull-policy
	resolved map[string]resolution
	renamed  map[string]bool // names of images; see renamedImages
}

type resolution struct {
	published image.Published
	err       error
}

// newPinner returns a pinner, or nil without a configuration.
func newPinner(p *Pinning, today string) *pinner {
	if p == nil {
		return nil
	}
	own := &pinner{
		Pinning: *p, resolved: map[string]resolution{}, renamed: map[string]bool{},
		images:   policy.Checker{Rules: only(policy.ImageNotPinned), Today: today},
		policies: policy.Checker{Rules: only(policy.PullPolicy), Today: today},
	}
	if len(own.Platforms) == 0 {
		own.Platforms = []image.Platform{image.NewPlatform("linux", "amd64", "")}
	}
	return own
}

// A lookup is the references of a document that have to be resolved.
type lookup struct {
	references []string
	renamed    []string
	err        error
}

// resolveAll resolves the images of all documents at paths. The documents are read for
// nothing else and are not kept, so that their number is not limited by memory.
func (s sealer) resolveAll(ctx context.Context, paths []string, stdin io.Reader) error {
	all := references([]imageField{{reference: s.CopyUp.Image}})
	known := map[string]bool{s.CopyUp.Image: true}
	_, err := source.EachAsWritten(ctx, paths, stdin, s.lookup, func(_ *manifest.Document, l lookup) error {
		for _, name := range l.renamed {
			s.pinner.renamed[name] = true
		}
		for _, reference := range l.references {
			if !known[reference] && len(all) < maxImages {
				known[reference], all = true, append(all, reference)
			}
		}
		return l.err
	})
	if err != nil {
		return err
	}
	return s.pinner.resolve(ctx, all)
}

// lookup returns the references of a document's images, except of those with an exception.
func (s sealer) lookup(d *manifest.Document) lookup {
	if d.PatchOf != "" || !d.HasPods() {
		return lookup{references: references(kustomizedImages(d)), renamed: renamedImages(d)}
	}
	configs, err := s.configsOf(d)
	if err != nil {
		return lookup{err: err}
	}
	excepted := exceptedPaths(s.pinner.images.Check(d, configs...))
	fields := slices.DeleteFunc(imageFields(d), func(f imageField) bool { return excepted[f.fieldPath(d)] })
	return lookup{references: references(fields)}
}

// references returns the tags that have to be resolved for images.
func references(fields []imageField) []string {
	var all []string
	for _, f := range fields {
		if ref, err := image.ParseReference(f.reference); err == nil && ref.Tag != "" {
			all = append(all, withoutDigest(ref).String())
		}
	}
	return all
}

// withoutDigest returns the reference of the tag alone.
func withoutDigest(ref image.Reference) image.Reference {
	ref.Digest = ""
	return ref
}

// resolve resolves references. What fails is known for each reference; the error is that of
// ctx.
func (p *pinner) resolve(ctx context.Context, references []string) error {
	results := make([]resolution, len(references))
	var group errgroup.Group
	group.SetLimit(maxResolving)
	for i, reference := range references {
		group.Go(func() error {
			ref, err := image.ParseReference(reference)
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				results[i].published, err = p.Resolve(ctx, ref)
			}
			results[i].err = err
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, reference := range references {
		p.resolved[reference] = results[i]
	}
	return nil
}

// of returns what the registry has under a tag.
func (p *pinner) of(ref image.Reference) (image.Published, error) {
	r, known := p.resolved[withoutDigest(ref).String()]
	if !known {
		return image.Published{}, fmt.Errorf("it was not looked up: there are more than %d different images, or the file was changed meanwhile", maxImages)
	}
	return r.published, r.err
}

// A refusal is why an image is not pinned, and what to do.
type refusal struct{ why, hint string }

// pin returns the reference of an image with its digest.
func (p *pinner) pin(f imageField) (string, *refusal) {
	if strings.ContainsAny(f.reference, "${}") {
		return "", &refusal{"it has a placeholder", "fill it in first, and pin the result"}
	}
	ref, err := image.ParseReference(f.reference)
	if err != nil {
		return "", &refusal{text.Cut(err.Error(), maxAnswer), "write HOST/NAME:TAG"}
	}
	published, err := p.of(ref)
	if err != nil {
		return "", &refusal{text.Cut(err.Error(), maxAnswer), "correct its name or tag, or seal again where the registry can be reached"}
	}
	platforms := platformsOf(f.pod, p.Platforms)
	if len(platforms) == 0 {
		return "", &refusal{"the pod allows none of the platforms in use, or demands too many", "name its platforms with --platform"}
	}
	for _, platform := range platforms {
		if !published.Runs(platform) {
			return "", missing(platform, published)
		}
	}
	return f.reference + "@" + published.Digest, nil
}

// missing refuses an image that one of the nodes could not run.
func missing(platform image.Platform, published image.Published) *refusal {
	format := "its index has no image for %s; it has those for %s"
	if !published.IsIndex {
		format = "it has no image for %s; it is one image, for %s"
	}
	return &refusal{
		fmt.Sprintf(format, text.Cut(platform.String(), maxAnswer), text.Cut(published.Platforms(), maxAnswer)),
		"publish it for that platform, or name the platforms of the nodes with --platform",
	}
}

// doubt returns what someone has to know about the digest of an image that is already
// pinned, or "".
func (p *pinner) doubt(f imageField) string {
	ref, err := image.ParseReference(f.reference)
	if err != nil || ref.Tag == "" {
		return ""
	}
	published, err := p.of(ref)
	if err != nil {
		return fmt.Sprintf("image %s stays; it is not known whether its digest is that of an index: %s", f.shown(), text.Cut(err.Error(), maxAnswer))
	}
	one, found := published.Find(ref.Digest)
	if !published.IsIndex || !found {
		return ""
	}
	return fmt.Sprintf("image %s is pinned to the image for %s alone; the digest of the index, for %s, is %s",
		f.shown(), one.Platform, text.Cut(published.Platforms(), maxAnswer), published.Digest)
}
