package seal

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
)

// An imageEntry is the item of images in a kustomization that pins an image.
type imageEntry struct {
	name, tag, digest string // tag is empty if the image has none
	path              string // of the item; empty for a new one
}

func (e imageEntry) ops() []manifest.Op {
	fields := manifest.Fields{}
	if e.tag != "" {
		fields = append(fields, manifest.Field{Key: "newTag", Value: e.tag})
	}
	fields = append(fields, manifest.Field{Key: "digest", Value: e.digest})
	if e.path == "" {
		return []manifest.Op{manifest.AppendItem(0, "images", append(manifest.Fields{{Key: "name", Value: e.name}}, fields...))}
	}
	var ops []manifest.Op
	for _, f := range fields {
		ops = append(ops, manifest.SetField(0, e.path+"."+f.Key, f.Value))
	}
	return ops
}

// imageEntries returns the entries that pin the images of containers. An entry is for all
// images of its name, so it needs all of them to have the same tag and to be pinned. Others
// get their digest by the patch, and so do those of volumes, which only some releases of
// Kustomize change by entries.
func (o *overlay) imageEntries() []imageEntry {
	if o.pinner == nil {
		return nil
	}
	tags, count := map[string]map[string]bool{}, map[string]int{} // references by name; images by reference that are not pinned
	ofVolumes := map[string]bool{}                                // names
	for i := range o.objects {
		one := &o.objects[i]
		for _, f := range imageFields(&one.Document) {
			name := nameOf(f.reference)
			ofVolumes[name] = ofVolumes[name] || !strings.HasSuffix(f.path, ".image")
			if tags[name] == nil {
				tags[name] = map[string]bool{}
			}
			tags[name][f.reference] = true
			count[f.reference]++
		}
		for _, reference := range one.pinned {
			count[reference]--
		}
	}
	var entries []imageEntry
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		for reference := range tags[name] {
			ref, err := image.ParseReference(reference)
			if len(tags[name]) > 1 || count[reference] != 0 || ofVolumes[name] || err != nil {
				continue
			}
			if published, err := o.pinner.of(ref); err == nil && !hasDigest(reference) {
				tag := strings.TrimPrefix(strings.TrimPrefix(reference, name), ":")
				entries = append(entries, imageEntry{name: name, tag: tag, digest: published.Digest, path: o.entryOf(name)})
			}
		}
	}
	return entries
}

// followEntries sets the pull policies of an object that contradict the digests under images.
// Without the patch they are rendered as in the file of the resource, even if an earlier patch
// has changed them.
func (o *overlay) followEntries(one *rendered) error {
	pinned := map[string]bool{}
	for _, entry := range o.document.Objects[0].Value.Get("images").Items() {
		if entry.Get("digest").Scalar() != "" {
			pinned[cmp.Or(entry.Get("newName").Scalar(), entry.Get("name").Scalar())] = true
		}
	}
	if len(pinned) == 0 || !one.HasPods() {
		return nil
	}
	configs, err := o.configsOf(&one.Document)
	if err != nil {
		return err
	}
	documents := manifest.ReadDocuments(one.File, 1, one.after)
	d := &documents[0]
	d.Offset, d.Exact = 0, true
	images := map[string]string{} // by path of the container
	for _, f := range imageFields(d) {
		images[f.inPath] = f.reference
	}
	var ops []manifest.Op
	for _, f := range (policy.Checker{Rules: only(policy.PullPolicy), Today: o.Today}).Check(d, configs...).Findings {
		if reference := images[f.In]; hasDigest(reference) && pinned[nameOf(reference)] {
			ops = append(ops, manifest.SetField(0, f.Path, "IfNotPresent"))
		}
	}
	if len(ops) == 0 {
		return nil
	}
	edit, err := d.Edit(ops...)
	if err == nil {
		one.after, err = manifest.ApplyEdits(one.File, one.after, []manifest.Edit{edit})
	}
	return err
}

// losesDigest reports whether an earlier patch pins an image that is rendered without a digest,
// and the patch does not.
func (o *overlay) losesDigest(earlier []byte) bool {
	now := patchedImages(o.patch)
	lost := patchedImages(earlier)
	for i := range o.objects {
		one := &o.objects[i]
		for _, f := range imageFields(&one.Document) {
			at := imageOf{kind: one.Of.Kind, namespace: one.Of.Namespace, name: one.Of.Name, in: f.name}
			if lost[at] && !now[at] && !hasDigest(f.reference) {
				return true
			}
		}
	}
	return false
}

// imageOf identifies an image in a patch.
type imageOf struct{ kind, namespace, name, in string }

// patchedImages returns the images to which a patch gives a digest.
func patchedImages(patch []byte) map[imageOf]bool {
	all := map[imageOf]bool{}
	for _, d := range manifest.ReadDocuments(source.PatchFile, 1, patch) {
		for _, f := range imageFields(&d) {
			if of := d.Objects[f.object]; hasDigest(f.reference) {
				all[imageOf{of.Kind, of.Namespace, of.Name, f.name}] = true
			}
		}
	}
	return all
}

// entryOf returns the path of the item of images that gives an image its name or tag, or "".
func (o *overlay) entryOf(name string) string {
	path := ""
	for k, entry := range o.document.Objects[0].Value.Get("images").Items() {
		if cmp.Or(entry.Get("newName").Scalar(), entry.Get("name").Scalar()) == name {
			path = fmt.Sprintf("images[%d]", k)
		}
	}
	return path
}

// unpin gives the images of a sealed object that entries pin the reference that they had.
func (o *overlay) unpin(before, after *yaml.Node) {
	switch {
	case before.Kind != after.Kind:
	case after.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(after.Content); i += 2 {
			key, value := after.Content[i].Value, after.Content[i+1]
			was := field(before, key)
			if was == nil {
				continue
			}
			if key == "image" && was.Kind == yaml.ScalarNode && o.pins(was.Value) && strings.HasPrefix(value.Value, was.Value+"@") {
				after.Content[i+1] = was
				continue
			}
			if list := mergeKeys[key]; list != "" && was.Kind == yaml.SequenceNode {
				o.unpinItems(list, was, value)
				continue
			}
			o.unpin(was, value)
		}
	case after.Kind == yaml.SequenceNode:
		for i := range min(len(before.Content), len(after.Content)) {
			o.unpin(before.Content[i], after.Content[i])
		}
	}
}

func (o *overlay) unpinItems(key string, before, after *yaml.Node) {
	for _, item := range after.Content {
		if was := itemOf(before, key, field(item, key)); was != nil {
			o.unpin(was, item)
		}
	}
}

// pins reports whether an entry pins an image.
func (o *overlay) pins(reference string) bool {
	return slices.ContainsFunc(o.images, func(e imageEntry) bool { return e.name == nameOf(reference) })
}
