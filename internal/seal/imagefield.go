package seal

import (
	"fmt"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// An imageField is a field of a document that holds the reference of an image.
type imageField struct {
	object    int
	path      string // in the object: "spec.containers[0].image"
	value     manifest.Value
	in        manifest.Value // the container or volume
	inPath    string         // as Finding.In: of the container, or of the pod of a volume
	name      string         // "container web"
	pod       manifest.Value
	reference string
}

// imageFields returns the images of all containers and image volumes of a document.
func imageFields(d *manifest.Document) []imageField {
	var all []imageField
	for i := range d.Objects {
		for _, p := range d.Objects[i].Pods {
			all = append(all, imagesOfPod(i, p)...)
		}
	}
	for i := range all {
		all[i].reference = all[i].value.Scalar()
	}
	return all
}

func imagesOfPod(object int, p manifest.PodSpec) []imageField {
	var all []imageField
	for _, list := range manifest.ContainerLists() {
		for i, c := range p.Value.Get(list).Items() {
			at := fmt.Sprintf("%s.%s[%d]", p.Path, list, i)
			all = append(all, imageField{object: object, path: at + ".image", value: c.Get("image"), in: c, inPath: at, name: "container " + c.Get("name").Scalar(), pod: p.Value})
		}
	}
	for i, v := range p.Value.Get("volumes").Items() {
		if !v.Get("image").IsSet() {
			continue
		}
		at := fmt.Sprintf("%s.volumes[%d].image.reference", p.Path, i)
		all = append(all, imageField{object: object, path: at, value: v.Get("image", "reference"), in: v, inPath: p.Path, name: "volume " + v.Get("name").Scalar(), pod: p.Value})
	}
	return all
}

// place returns the place of the image, or of the container or volume that has none.
func (f imageField) place(d *manifest.Document) manifest.Place {
	if f.value.Exists() {
		return d.PlaceOf(f.value)
	}
	return d.PlaceOf(f.in)
}

// shown returns the reference for messages.
func (f imageField) shown() string { return text.Cut(f.reference, maxAnswer) }

// A fieldPath is a field of an object.
type fieldPath struct {
	object *manifest.Resource
	path   string
}

func (f imageField) fieldPath(d *manifest.Document) fieldPath {
	return fieldPath{&d.Objects[f.object], f.path}
}

func pathOf(f policy.Finding) fieldPath { return fieldPath{f.Resource(), f.Path} }

// exceptedPaths returns the fields of findings that exceptions ignore.
func exceptedPaths(r policy.Result) map[fieldPath]bool {
	excepted := map[fieldPath]bool{}
	for _, f := range r.Ignored {
		excepted[pathOf(f.Finding)] = true
	}
	return excepted
}

// nameOf returns a reference without its tag and digest, as kustomize compares it.
func nameOf(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	if colon := strings.LastIndexByte(reference, ':'); colon > strings.LastIndexByte(reference, '/') {
		reference = reference[:colon]
	}
	return reference
}

// hasDigest reports whether a reference has a digest, which may be invalid.
func hasDigest(reference string) bool { return strings.Contains(reference, "@") }
