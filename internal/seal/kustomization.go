package seal

import (
	"fmt"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// kustomizedImages returns the images to which a kustomization gives a tag. The digest of one
// is a field of its entry, beside the tag, and takes the place of any in the resources.
func kustomizedImages(d *manifest.Document) []imageField {
	if !source.IsKustomization(d.File) {
		return nil
	}
	var all []imageField
	for i := range d.Objects {
		for k, entry := range d.Objects[i].Value.Get("images").Items() {
			name, tag := entry.Get("newName"), entry.Get("newTag")
			if !name.IsSet() {
				name = entry.Get("name")
			}
			if !tag.IsSet() || entry.Get("digest").IsSet() {
				continue
			}
			all = append(all, imageField{
				object: i, path: fmt.Sprintf("images[%d].digest", k), value: tag, in: entry, reference: name.Scalar() + ":" + tag.Scalar(),
			})
		}
	}
	return all
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
