package render

import (
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// A chartOrigin finds the sources of a document of a chart.
type chartOrigin struct {
	chart  *chart
	file   string     // the template
	charts []subchart // that the template is in, the chart itself first
	known  bool       // file is the template
	lines  []string   // of the document
	marks  []mark     // of the lines; nil if they are not known
}

// A subchart is a chart by the name that it has in the values of the one around it.
type subchart struct {
	name   string
	folder string // in the chart, "" for the chart itself
}

// fileOf returns the name of the file of the chart that Helm names as the source of a
// document, and the charts that it is in. A file in an archive is not known.
func (c *chart) fileOf(source string) (name string, charts []subchart, known bool) {
	_, rest, _ := strings.Cut(path.Clean(source), "/")
	charts = []subchart{{}}
	folder := ""
	for {
		below, ok := strings.CutPrefix(rest, "charts/")
		if !ok {
			break
		}
		alias, inside, _ := strings.Cut(below, "/")
		next, ok := c.subchartFolder(folder, alias)
		if !ok {
			return ChartFile, charts, false
		}
		folder, rest = next, inside
		charts = append(charts, subchart{alias, folder})
	}
	name = path.Join(folder, rest)
	if _, ok := c.content[name]; ok {
		return name, charts, true
	}
	return ChartFile, charts, false
}

// subchartFolder returns the folder of a subchart by its name or alias.
func (c *chart) subchartFolder(parent, alias string) (string, bool) {
	direct := path.Join(parent, "charts", alias)
	if _, ok := c.content[path.Join(direct, ChartFile)]; ok {
		return direct, true
	}
	name := alias
	for _, one := range c.value(path.Join(parent, ChartFile), "dependencies").Items() {
		if one.Get("alias").Text() == alias {
			name = one.Get("name").Text()
		}
	}
	for _, file := range c.names {
		folder := path.Dir(file)
		if path.Base(file) == ChartFile && path.Dir(folder) == path.Join(parent, "charts") && c.value(file, "name").Text() == name {
			return folder, true
		}
	}
	return "", false
}

// value returns a value at the root of a file.
func (c *chart) value(file, field string) manifest.Value {
	for _, d := range c.sourceOf(file).documents {
		for _, o := range d.Objects {
			return o.Value.Get(field)
		}
	}
	return manifest.Value{}
}

// sourceOf returns a file of the chart.
func (c *chart) sourceOf(file string) *source {
	if s := c.sources[file]; s != nil {
		return s
	}
	s := newSource(c.display(file), c.content[file], 1, c.content[file])
	c.sources[file] = s
	return s
}

// PlaceOf implements manifest.Origin: the value that causes a field, or else the line of the
// template.
func (o *chartOrigin) PlaceOf(object *manifest.Resource, at string, rendered manifest.Place) manifest.Place {
	o.chart.mu.Lock()
	defer o.chart.mu.Unlock()
	line := rendered.Line
	if _, missing := object.Value.Follow(at, object.Value); missing > 0 && !strings.ContainsAny(at, ".[") {
		line = o.nameLine(line) // of the object: its first line has the version of its kind
	}
	c, ok := o.cause(line)
	if !ok {
		return o.nowhere(rendered)
	}
	if place, ok := o.placeInValues(object, at, c); ok {
		return place
	}
	place := o.chart.placeIn(c)
	place.RenderedOnly = c.guessed
	return place
}

// nameLine returns the line with the name of the object that begins at a line.
func (o *chartOrigin) nameLine(line int) int {
	metadata := false
	for n := max(line, 1); n <= len(o.lines); n++ {
		text := o.lines[n-1]
		switch indented := strings.HasPrefix(text, " "); {
		case strings.HasPrefix(text, "---"):
			return line
		case !indented && strings.TrimSpace(text) != "" && !strings.HasPrefix(text, "#"):
			metadata = strings.HasPrefix(text, "metadata:")
		case indented && metadata && keyOf(text) == "name":
			return n
		}
	}
	return line
}

// nowhere returns the template, or the line of Chart.yaml with the archive that it is in.
func (o *chartOrigin) nowhere(rendered manifest.Place) manifest.Place {
	rendered.File, rendered.Line, rendered.Column, rendered.RenderedOnly = o.chart.display(o.file), 1, 1, true
	return rendered
}

// maxExcerpt bounds the excerpt of a line, in bytes.
const maxExcerpt = 200

// placeIn returns the place of a line of a template, from its first character that is no
// space to its last one.
func (c *chart) placeIn(of cause) manifest.Place {
	line := strings.TrimRight(c.linesOf(of.file)[of.line-1], " \t\r")
	excerpt := line
	if len(line) > maxExcerpt {
		cut := maxExcerpt
		for cut > 0 && !utf8.RuneStart(line[cut]) {
			cut--
		}
		line = line[:cut]
		excerpt = line + "…"
	}
	before := len(line) - len(strings.TrimLeft(line, " \t"))
	return manifest.Place{
		File: c.display(of.file), Line: of.line, Column: before + 1,
		Excerpt: excerpt, Before: before, Width: utf8.RuneCountInString(line[before:]),
	}
}

// steps returns the places at which a path can be cut, the end first.
func steps(at string) []int {
	cuts := []int{len(at)}
	for i, char := range slices.Backward([]byte(at)) {
		if char == '.' || char == '[' {
			cuts = append(cuts, i)
		}
	}
	return append(cuts, 0)
}
