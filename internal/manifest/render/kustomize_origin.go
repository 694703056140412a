package render

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/types"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// A kustomizeOrigin finds the sources of one rendered resource: the file of the resource,
// patches, and images of kustomizations.
type kustomizeOrigin struct {
	k         *kustomize
	file      string // of the resource, absolute; of the kustomization if it was generated
	generated bool
}

// A match is a value in a source.
type match struct {
	place   manifest.Place
	value   manifest.Value
	missing int // steps of the path that the source does not have
}

// PlaceOf implements manifest.Origin. The patch that is applied last and has the value
// counts, then the resource. Of a missing value it is the source that has most of its path.
func (o *kustomizeOrigin) PlaceOf(object *manifest.Resource, path string, rendered manifest.Place) manifest.Place {
	if o.generated {
		return o.generator(object, rendered)
	}
	_, missing := object.Value.Follow(path, object.Value)
	want, _ := object.Value.Follow(path, object.Value)
	base, found := o.resource(object, path)
	best := base
	for _, m := range o.patches(object, path) {
		switch {
		case missing == 0 && m.missing == 0 && equal(m.value, want):
			return m.place
		case !found, missing > 0 && m.missing < best.missing:
			best, found = m, true
		}
	}
	switch {
	case missing == 0 && found && base.missing == 0 && equal(base.value, want):
		return base.place
	case missing == 0 && strings.HasSuffix(path, ".image") && base.missing == 0:
		if place, ok := o.image(base.value.Scalar()); ok {
			return place
		}
	case missing > 0 && found:
		return best.place
	}
	if !found {
		rendered.File, rendered.Line, rendered.Column = o.k.display(o.file), 1, 1
		rendered.RenderedOnly = true
		return rendered
	}
	place := best.place
	place.RenderedOnly = true // some other field of a kustomization has set it
	return place
}

// equal reports whether two scalars have the same text, or both are no scalars.
func equal(a, b manifest.Value) bool {
	if a.IsMapping() || a.IsList() {
		return a.IsMapping() == b.IsMapping() && a.IsList() == b.IsList()
	}
	return a.Scalar() == b.Scalar() && !b.IsMapping() && !b.IsList()
}

// sourceOf returns a file that was read.
func (k *kustomize) sourceOf(file string) *source {
	if s := k.sources[file]; s != nil {
		return s
	}
	content := k.content[file]
	s := newSource(k.display(file), content, 1, content)
	k.sources[file] = s
	return s
}

// resource returns the value in the resource that was rendered.
func (o *kustomizeOrigin) resource(object *manifest.Resource, path string) (match, bool) {
	s, in, of := o.source(object)
	if of == nil {
		return match{}, false
	}
	value, missing := of.Value.Follow(path, object.Value)
	return match{s.place(in, value), value, missing}, true
}

// source returns the resource that was rendered, and the document and file that it is in;
// of is nil if it is not there. Its name can have got a prefix and a suffix.
func (o *kustomizeOrigin) source(object *manifest.Resource) (s *source, in *manifest.Document, of *manifest.Resource) {
	s = o.k.sourceOf(o.file)
	for i := range s.documents {
		for j := range s.documents[i].Objects {
			one := &s.documents[i].Objects[j]
			if one.Kind != object.Kind || !strings.Contains(object.Name, one.Name) {
				continue
			}
			if of == nil || likeness(one, object, of) > 0 {
				in, of = &s.documents[i], one
			}
		}
	}
	return s, in, of
}

// likeness compares how much two resources are like an object that one of them was rendered
// to: by the API version, the length of the name, and the namespace.
func likeness(one, object, other *manifest.Resource) int {
	same := func(a, b string) int {
		if a == b {
			return 1
		}
		return 0
	}
	return cmp.Or(
		same(one.APIVersion, object.APIVersion)-same(other.APIVersion, object.APIVersion),
		len(one.Name)-len(other.Name),
		same(one.Namespace, object.Namespace)-same(other.Namespace, object.Namespace),
	)
}

// Source returns the resource in a file that Kustomize rendered to an object of the
// document.
func (d *Document) Source(object *manifest.Resource) (manifest.Resource, bool) {
	o, ok := d.Origin.(*kustomizeOrigin)
	if !ok || o.generated {
		return manifest.Resource{}, false
	}
	_, _, of := o.source(object)
	if of == nil {
		return manifest.Resource{}, false
	}
	return *of, true
}

// patches returns the values in all patches of the object, those that are applied last
// first.
func (o *kustomizeOrigin) patches(object *manifest.Resource, path string) []match {
	var list []match
	for _, kust := range o.k.kustomizations {
		//lint:ignore SA1019 Kustomize still reads the field
		patches := slices.Concat(kust.PatchesJson6902, kust.Patches)
		//lint:ignore SA1019 Kustomize still reads the field
		for _, p := range kust.PatchesStrategicMerge {
			if strings.Contains(string(p), "\n") {
				patches = append(patches, types.Patch{Patch: string(p)})
			} else {
				patches = append(patches, types.Patch{Path: string(p)})
			}
		}
		for _, p := range slices.Backward(patches) {
			if !selects(p.Target, object) {
				continue
			}
			var s *source
			if p.Path != "" {
				s = o.k.sourceOf(filepath.Join(filepath.Dir(kust.file), p.Path))
			} else {
				s = o.k.inline(&kust, p.Patch)
			}
			if s != nil {
				list = append(list, s.patchOf(object, path, p.Target != nil)...)
			}
		}
	}
	return list
}

func selects(t *types.Selector, object *manifest.Resource) bool {
	return t == nil || t.Kind == "" || t.Kind == object.Kind || strings.ContainsAny(t.Kind, ".*|[(")
}

// inline returns a patch that is written in a kustomization.
func (k *kustomize) inline(kust *kustomization, patch string) *source {
	id := kust.file + "\x00" + patch
	if s, ok := k.sources[id]; ok {
		return s
	}
	var s *source
	for i := range kust.source.documents {
		d := &kust.source.documents[i]
		for _, o := range d.Objects {
			for _, field := range []string{"patches", "patchesJson6902", "patchesStrategicMerge"} {
				for _, one := range o.Value.Get(field).Items() {
					if one.IsMapping() {
						one = one.Get("patch")
					}
					if s != nil || one.Text() != patch {
						continue
					}
					line := d.PlaceOf(one).Line
					if line <= len(kust.source.lines) && isBlock.MatchString(kust.source.lines[line-1]) {
						line++
					}
					s = newSource(k.display(kust.file), k.content[kust.file], line, []byte(patch))
				}
			}
		}
	}
	k.sources[id] = s
	return s
}

// patchOf returns the values that a file of patches has for an object: those of a
// strategic merge, or of the operations of a JSON patch.
func (s *source) patchOf(object *manifest.Resource, path string, targeted bool) []match {
	var list []match
	pointer := pointerOf(path)
	for i := range s.documents {
		d := &s.documents[i]
		for _, one := range d.Objects {
			if at := one.Value.Get("path").Text(); one.Value.Get("op").Exists() && at != "" {
				if m, ok := s.operation(d, one.Value, at, pointer, path, object); ok {
					list = append(list, m)
				}
				continue
			}
			if !targeted && (one.Kind != object.Kind || !strings.Contains(object.Name, one.Name)) {
				continue
			}
			value, missing := one.Value.Follow(path, object.Value)
			list = append(list, match{s.place(d, value), value, missing})
		}
	}
	slices.Reverse(list)
	return list
}

// operation returns the value of an operation of a JSON patch at a path or above it.
func (s *source) operation(d *manifest.Document, op manifest.Value, at, pointer, path string, object *manifest.Resource) (match, bool) {
	value := op.Get("value")
	list, appended := strings.CutSuffix(at, "/-")
	switch rest, below := strings.CutPrefix(pointer, at); {
	case !value.Exists():
	case below && rest == "":
		return match{s.place(d, value), value, 0}, true
	case below && rest[0] == '/':
		parts := strings.Split(rest[1:], "/")
		last, missing := value.Find(parts...)
		return match{s.place(d, last), last, missing}, true
	case appended && strings.HasPrefix(pointer, list+"/"):
		index, rest, _ := strings.Cut(pointer[len(list)+1:], "/")
		if _, err := strconv.Atoi(index); err != nil {
			break
		}
		item, missing := object.Value.Follow(path[:strings.LastIndex(path, "["+index+"]")+len(index)+2], object.Value)
		if missing > 0 || item.Get("name").Scalar() != value.Get("name").Scalar() {
			break
		}
		var parts []string
		if rest != "" {
			parts = strings.Split(rest, "/")
		}
		last, missing := value.Find(parts...)
		return match{s.place(d, last), last, missing}, true
	}
	return match{}, false
}

// pointerOf returns a path as a JSON pointer.
func pointerOf(path string) string {
	return "/" + strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(path)
}

// image returns the entry of images that has changed an image.
func (o *kustomizeOrigin) image(image string) (manifest.Place, bool) {
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	for _, kust := range o.k.kustomizations {
		for i := range kust.source.documents {
			d := &kust.source.documents[i]
			for _, object := range d.Objects {
				for _, field := range []string{"images", "imageTags"} {
					for _, one := range object.Value.Get(field).Items() {
						if one.Get("name").Text() != name {
							continue
						}
						for _, change := range []string{"digest", "newTag", "tagSuffix", "newName"} {
							if v := one.Get(change); v.IsSet() {
								return kust.source.place(d, v), true
							}
						}
					}
				}
			}
		}
	}
	return manifest.Place{}, false
}

// generator returns the entry of a kustomization that generated an object.
func (o *kustomizeOrigin) generator(object *manifest.Resource, rendered manifest.Place) manifest.Place {
	s := o.k.sourceOf(o.file)
	for i := range s.documents {
		d := &s.documents[i]
		for _, kust := range d.Objects {
			for _, field := range []string{"configMapGenerator", "secretGenerator"} {
				for _, one := range kust.Value.Get(field).Items() {
					if name := one.Get("name"); strings.EqualFold(field, object.Kind+"Generator") && name.Text() != "" && strings.Contains(object.Name, name.Text()) {
						return s.place(d, name)
					}
				}
			}
		}
	}
	rendered.File, rendered.Line, rendered.Column, rendered.RenderedOnly = o.k.display(o.file), 1, 1, true
	return rendered
}
