package seal

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// imageEntries calls f for each entry of images in a kustomization, with the index of its
// object and its path. Kustomize treats an empty field as missing.
func imageEntries(d *manifest.Document, f func(object int, path string, entry manifest.Value)) {
	if !source.IsKustomization(d.File) {
		return
	}
	for i := range d.Objects {
		for k, entry := range d.Objects[i].Value.Get("images").Items() {
			if entry.Get("digest").Scalar() == "" {
				f(i, fmt.Sprintf("images[%d]", k), entry)
			}
		}
	}
}

// kustomizedImages returns the images to which a kustomization gives a tag. The digest of one
// is a field of its entry, and replaces any in the resources.
func kustomizedImages(d *manifest.Document) []imageField {
	var all []imageField
	imageEntries(d, func(object int, path string, entry manifest.Value) {
		if tag := entry.Get("newTag"); tag.Scalar() != "" {
			name := cmp.Or(entry.Get("newName").Scalar(), entry.Get("name").Scalar())
			all = append(all, imageField{object: object, path: path + ".digest", value: tag, in: entry, reference: name + ":" + tag.Scalar()})
		}
	})
	return all
}

// renamedImages returns the names of images to which a kustomization gives another name
// without a tag. The digests of their tags would be those of the old name.
func renamedImages(d *manifest.Document) []string {
	var names []string
	imageEntries(d, func(_ int, _ string, entry manifest.Value) {
		if entry.Get("newName").Scalar() != "" && entry.Get("newTag").Scalar() == "" {
			names = append(names, entry.Get("name").Scalar())
		}
	})
	return names
}

// patch names the images of a patch of an overlay, which are not edited.
func (s sealer) patch(d *manifest.Document) sealed {
	one := documentSealer{sealer: s, document: d}
	for _, f := range imageFields(d) {
		if f.reference != "" && !hasDigest(f.reference) {
			one.leaveUnpinned(f, "image "+f.shown()+" is not pinned: it is in a patch of an overlay", "write its digest there, or under images in the kustomization")
		}
	}
	return one.sealed
}

// kustomization pins the images of a kustomization for the platforms in use: which pods get
// them is known only when it is rendered.
func (s sealer) kustomization(d *manifest.Document) sealed {
	one := documentSealer{sealer: s, document: d}
	var pins []pin
	for _, f := range kustomizedImages(d) {
		reference, refused := s.pinner.pin(f)
		if refused != nil {
			one.leaveUnpinned(f, "image "+f.shown()+" is not pinned: "+refused.why, refused.hint)
			continue
		}
		digest := strings.TrimPrefix(reference, f.reference+"@")
		pins = append(pins, pin{f, []manifest.Op{manifest.SetField(f.object, f.path, digest)}})
	}
	one.finish(pins)
	return one.sealed
}
