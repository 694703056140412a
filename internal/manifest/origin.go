package manifest

import "slices"

// An Origin finds the places in the sources of a document that was rendered: resources
// and patches.
type Origin interface {
	// PlaceOf returns where the value at a path of an object comes from, or of a missing
	// one, where it belongs. rendered is its place in the rendered document.
	PlaceOf(o *Resource, path string, rendered Place) Place
}

// SourceOf returns the place of a value at a path of an object: PlaceOf, or of a document
// that was rendered, the place in its sources.
func (d *Document) SourceOf(o *Resource, path string, v Value) Place {
	p := d.PlaceOf(v)
	if d.Origin != nil {
		p = d.Origin.PlaceOf(o, path, p)
		p.RenderedBy = d.RenderedBy
	}
	return p
}

// Follow follows a path in the form of PodSpec.Path as far as it exists, and returns the
// last value and the number of steps that are missing. like has the path: an item of a list
// is the one that has the same name as the item there, or the same place in the list if it
// has none.
func (v Value) Follow(text string, like Value) (last Value, missing int) {
	p, err := parsePath(text)
	if err != nil {
		return v, 1
	}
	for i, s := range p {
		var next Value
		if s.index < 0 {
			next, like = v.Get(s.key), like.Get(s.key)
		} else {
			like = like.item(s.index)
			next = v.same(like, s.index)
		}
		if !next.Exists() {
			return v, len(p) - i
		}
		v = next
	}
	return v, 0
}

func (v Value) item(index int) Value {
	for i, one := range v.Items() {
		if i == index {
			return one
		}
	}
	return Value{}
}

// identities are the fields that distinguish the items of lists, the most exact first.
var identities = []string{"mountPath", "devicePath", "name", "containerPath", "key", "path"}

// same returns the item of a list that stands for the same as one of another list.
func (v Value) same(like Value, index int) Value {
	if !like.Exists() {
		return v.item(index)
	}
	if text := like.Scalar(); text != "" {
		for _, one := range v.Items() {
			if one.Scalar() == text {
				return one
			}
		}
		return Value{}
	}
	at := slices.IndexFunc(identities, func(field string) bool { return like.Get(field).Scalar() != "" })
	if at < 0 {
		return v.item(index)
	}
	want := like.Get(identities[at]).Scalar()
	for _, one := range v.Items() {
		if one.Get(identities[at]).Scalar() == want {
			return one
		}
	}
	return Value{}
}
