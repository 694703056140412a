package render

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// ChartFile is the name of the file that makes its folder a chart of Helm.
const ChartFile = "Chart.yaml"

// ValuesFile is the name of the file of values that seals a chart, in the folder of the chart.
const ValuesFile = "adamant-values.yaml"

// ChartOptions configures how charts are rendered. Its zero value renders as helm template
// does without flags.
type ChartOptions struct {
	Values    []string // names of files, the last one counts most
	Set       []string // key=value, as for helm template --set
	Release   string   // "release-name" if it is empty
	Namespace string   // "default" if it is empty

	KubeVersion string // of the cluster; that of helm's own library if it is empty
}

// Helm renders the chart in a folder. It runs helm on a copy, and refuses a chart with links
// that leave its folder. Result.Read has the files of the chart also if rendering fails.
func (h *HelmProgram) Helm(ctx context.Context, dir string, options ChartOptions) (result Result, err error) {
	c, err := newChart(dir, options)
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(c.temp)
	err = c.copy(ctx)
	if err == nil && !c.isLibrary() {
		result.Documents, err = h.render(ctx, c)
	}
	for _, name := range c.names {
		if belongs(name) {
			result.Read = append(result.Read, filepath.Join(c.root, filepath.FromSlash(name)))
		}
	}
	switch {
	case ctx.Err() != nil:
		return result, ctx.Err()
	case err != nil:
		return result, c.wrong(err)
	}
	return result, nil
}

// newChart returns the chart in a folder with a temporary folder for its copy, which the
// caller removes.
func newChart(dir string, options ChartOptions) (*chart, error) {
	c := &chart{dir: dir, options: options, content: map[string][]byte{}, sources: map[string]*source{}, lines: map[string][]string{}, printed: map[string]map[int][][]string{}}
	root, err := filepath.Abs(dir)
	if err == nil {
		c.root, err = filepath.EvalSymlinks(root)
	}
	if err == nil {
		c.temp, err = os.MkdirTemp("", "adamant-chart-")
	}
	return c, err
}

// render renders the copy of a chart.
func (h *HelmProgram) render(ctx context.Context, c *chart) ([]Document, error) {
	rendered, err := h.template(ctx, c)
	if err != nil {
		return nil, err
	}
	parts := splitRendered(rendered)
	marks := h.marks(ctx, c, parts)
	var list []Document
	for i, p := range parts {
		list = append(list, c.document(p, marks[i]))
	}
	if len(list) == 0 {
		return nil, wrongf("--values FILE or --set KEY=VALUE may enable some", "it renders to no object")
	}
	return list, nil
}

// marks returns the marks of the lines of rendered documents. Without them less is known
// about their causes, so a copy that cannot be rendered is no error.
func (h *HelmProgram) marks(ctx context.Context, c *chart, parts []part) [][]mark {
	without := map[string]bool{} // templates that fail with marks
	for helpers := true; ctx.Err() == nil && len(without) < maxUnmarked; {
		c.all = nil
		if err := c.writeMarked(helpers, without); err != nil {
			break
		}
		rendered, err := h.template(ctx, c)
		if err == nil {
			return c.assign(parts, splitRendered(rendered))
		}
		name := ""
		if m := failedTemplate.FindStringSubmatch(err.Error()); m != nil {
			name, _, _ = c.fileOf(m[1])
		}
		switch {
		case isTemplate(name) && !without[name]:
			without[name] = true
		case helpers:
			helpers = false
		default:
			return make([][]mark, len(parts))
		}
	}
	return make([][]mark, len(parts))
}

// maxUnmarked bounds the templates that are left without marks, each of which costs another
// rendering.
const maxUnmarked = 5

// failedTemplate matches the template in an error of Helm.
var failedTemplate = regexp.MustCompile(`([^\s:"(]+/templates/[^\s:")]+)`)

// writeMarked writes templates with marks to the copy.
func (c *chart) writeMarked(helpers bool, without map[string]bool) error {
	for _, name := range c.names {
		if content, ok := c.content[name]; ok && isTemplate(name) {
			if !without[name] {
				content = c.mark(name, content, helpers)
			}
			if err := c.write(c.temp, name, content); err != nil {
				return err
			}
		}
	}
	return nil
}

// A chart is a folder that is rendered.
type chart struct {
	dir     string // as it was named
	root    string // absolute, without links
	temp    string // folder for the copy
	options ChartOptions

	names   []string          // of the files in the folder, with slashes, in order
	content map[string][]byte // of files, by their name
	values  [][]byte          // the files of options
	sources map[string]*source

	// For the places of findings, which several goroutines look for.
	mu      sync.Mutex
	all     []mark
	lines   map[string][]string           // of files
	printed map[string]map[int][][]string // paths of values by file and line
	calls   *analysis
}

// display returns the name of a file of the chart as the user would write it.
func (c *chart) display(name string) string {
	return filepath.Join(c.dir, filepath.FromSlash(name))
}

// belongs reports whether a file is a part of a chart. Others in the folder can be read by
// templates, but are manifests on their own if they look like some.
func belongs(name string) bool {
	first, _, below := strings.Cut(name, "/")
	if below {
		return first == "templates" || first == "crds" || first == "charts" || first == "ci"
	}
	switch name {
	case ChartFile, ValuesFile, "Chart.lock", "requirements.yaml", "requirements.lock", ".helmignore":
		return true
	}
	return strings.HasPrefix(name, "values")
}

// isLibrary reports whether the chart has only templates for others, so that Helm does not
// render it.
func (c *chart) isLibrary() bool {
	s := newSource(ChartFile, nil, 1, c.content[ChartFile])
	for _, d := range s.documents {
		for _, o := range d.Objects {
			if o.Value.Get("type").Text() == "library" {
				return true
			}
		}
	}
	return false
}

// A part is a document in what Helm printed.
type part struct {
	source string // "chart/templates/web.yaml": the name of the chart, and a file in it
	data   []byte
}

// separator is before each document that Helm prints.
const separator = "---\n# Source: "

// splitRendered returns the documents of the output of helm template.
func splitRendered(data []byte) []part {
	var parts []part
	data = append([]byte("\n"), data...)
	for _, one := range bytes.Split(data, []byte("\n"+separator))[1:] {
		name, rest, _ := bytes.Cut(one, []byte("\n"))
		if len(bytes.TrimSpace(rest)) > 0 {
			parts = append(parts, part{string(name), rest})
		}
	}
	return parts
}

// document returns a rendered document, of which lines have marks.
func (c *chart) document(p part, marks []mark) Document {
	o := &chartOrigin{chart: c, marks: marks, lines: strings.Split(string(p.data), "\n")}
	o.file, o.charts, o.known = c.fileOf(p.source)
	return Document{File: c.display(o.file), Data: p.data, Origin: o}
}

// inTemplate matches the place in an error of Helm.
var inTemplate = regexp.MustCompile(`([^\s:"(]+/templates/[^\s:"]+):(\d+)`)

// wrong returns why the chart cannot be rendered, at the place that the error names.
func (c *chart) wrong(err error) error {
	e, ok := err.(manifest.FieldError)
	if !ok {
		e = manifest.FieldError{Detail: err.Error()}
	}
	if e.File == "" {
		e.File = ChartFile
		if m := inTemplate.FindStringSubmatch(e.Detail); m != nil {
			if name, _, known := c.fileOf(m[1]); known {
				e.File = name
				e.Line, _ = strconv.Atoi(m[2])
			}
		}
	}
	e.File = c.display(e.File)
	return e
}

func wrongf(hint, format string, args ...any) manifest.FieldError {
	return manifest.FieldError{Detail: fmt.Sprintf(format, args...), Hint: hint}
}
