package render

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// A hit is a value in a file of values.
type hit struct {
	source   *source
	document *manifest.Document
	value    manifest.Value
	key      string // in the file: image.tag
}

func (h hit) place() manifest.Place {
	p := h.source.place(h.document, h.value)
	p.ValuesKey = h.key
	return p
}

// values returns the values at a path below Values, in the order in which they count: of
// the files on the command line, of the chart, and of the subcharts that the template is in.
func (o *chartOrigin) values(at []string) []hit {
	var names []string
	for _, s := range o.charts[1:] {
		names = append(names, s.name)
	}
	full := func(from int) []string {
		if len(at) > 0 && at[0] == "global" {
			return at
		}
		return append(slices.Clone(names[from:]), at...)
	}
	var hits []hit
	for i := range slices.Backward(o.chart.options.Values) {
		hits = append(hits, find(o.chart.given(i), full(0))...)
	}
	for i, s := range o.charts {
		hits = append(hits, find(o.chart.sourceOf(path.Join(s.folder, "values.yaml")), full(i))...)
	}
	return hits
}

// given returns a file of values of the command line.
func (c *chart) given(i int) *source {
	id := c.valuesFile(i)
	if s := c.sources[id]; s != nil {
		return s
	}
	s := newSource(c.options.Values[i], c.values[i], 1, c.values[i])
	c.sources[id] = s
	return s
}

// find returns the values at a path, in which "*" is any key or item.
func find(s *source, at []string) []hit {
	var hits []hit
	for i := range s.documents {
		for _, o := range s.documents[i].Objects {
			hits = append(hits, below(hit{s, &s.documents[i], o.Value, ""}, at)...)
		}
	}
	return hits
}

func below(from hit, at []string) []hit {
	if len(at) == 0 {
		return []hit{from}
	}
	var hits []hit
	in := func(key string, v manifest.Value) {
		if len(hits) < maxFields {
			next := from
			next.value, next.key = v, strings.TrimPrefix(from.key+"."+key, ".")
			hits = append(hits, below(next, at[1:])...)
		}
	}
	if at[0] != "*" {
		if v := from.value.Get(at[0]); v.Exists() {
			in(at[0], v)
		}
		return hits
	}
	for key, v := range from.value.Entries() {
		in(key, v)
	}
	for i, v := range from.value.Items() {
		in(strconv.Itoa(i), v)
	}
	return hits
}

// placeInValues returns the place of the value that a line of a template prints at a path.
func (o *chartOrigin) placeInValues(object *manifest.Resource, at string, c cause) (manifest.Place, bool) {
	want, missing := object.Value.Follow(at, object.Value)
	for range missing {
		at = at[:steps(at)[1]]
	}
	var hits []hit
	to := c.to
	if want.IsMapping() {
		to += 2 // the values of a mapping are often printed below its key
	}
	for line := c.from; line <= to; line++ {
		for _, p := range o.chart.analyse(c.file)[line] {
			if len(p) > 1 && p[0] == "Values" {
				hits = append(hits, o.values(p[1:])...)
			}
		}
	}
	for _, h := range hits {
		if found, ok := h.holding(object, at, want); ok {
			return found.place(), true
		}
	}
	if strings.HasSuffix(at, ".image") && missing == 0 {
		return imageIn(hits, want.Scalar())
	}
	if missing == 0 && want.Scalar() != "" {
		for _, h := range hits {
			if text := h.value.Scalar(); len(text) > 1 && strings.Contains(want.Scalar(), text) {
				return h.place(), true
			}
		}
	}
	return manifest.Place{}, false
}

// holding returns the value at the end of a path, if the end begins at a hit and the value
// is what was rendered.
func (h hit) holding(object *manifest.Resource, at string, want manifest.Value) (hit, bool) {
	for _, cut := range steps(at) {
		like, missing := object.Value.Follow(at[:cut], object.Value)
		if missing > 0 {
			continue
		}
		rest := strings.TrimPrefix(at[cut:], ".")
		found, missing := h.value.Follow(rest, like)
		if missing > 0 || !alike(found, want) {
			continue
		}
		h.value = found
		if rest != "" {
			h.key = strings.TrimPrefix(h.key+"."+rest, ".")
		}
		return h, true
	}
	return h, false
}

// alike reports whether a value can have been rendered to another one.
func alike(from, to manifest.Value) bool {
	switch {
	case to.IsMapping():
		same := from.IsMapping()
		entries := 0
		for key, v := range from.Entries() {
			entries++
			same = same && to.Get(key).Scalar() == v.Scalar()
		}
		return same && entries > 0
	case to.IsList():
		return false // items can have been added
	}
	return !from.IsMapping() && !from.IsList() && from.Exists() && from.Scalar() == to.Scalar()
}

// imageIn returns the part of an image that decides whether it is pinned: the tag, or else
// what else is in it.
func imageIn(hits []hit, image string) (manifest.Place, bool) {
	for _, key := range []string{"tag", "imageTag", "digest", "version", "repository", "image", "name"} {
		for _, h := range hits {
			v := h.value
			if in := v.Get(key); in.Exists() {
				h.value, h.key = in, h.key+"."+key
			} else if last := h.key[strings.LastIndexByte(h.key, '.')+1:]; last != key && !strings.HasSuffix(strings.ToLower(last), key) {
				continue
			}
			if h.value.IsMapping() || h.value.IsList() || !strings.Contains(image, h.value.Scalar()) || key != "tag" && h.value.Scalar() == "" {
				continue
			}
			return h.place(), true
		}
	}
	return manifest.Place{}, false
}
