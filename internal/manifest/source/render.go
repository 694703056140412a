package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/render"
)

// IsKustomization reports whether a file is a kustomization, by its name.
func IsKustomization(file string) bool { return render.IsKustomization(filepath.Base(file)) }

// PatchFile is the file of the patch that seals what a kustomization renders, in its folder.
const PatchFile = render.PatchFile

// AppliesPatchFile reports whether a kustomization has PatchFile among its patches.
func AppliesPatchFile(kustomization string) bool {
	return slices.ContainsFunc(render.Patches(kustomization), func(p string) bool { return filepath.Clean(p) == PatchFile })
}

// A Rendered is a document to which a kustomization or chart was rendered.
type Rendered struct {
	manifest.Document
	Data []byte            // of the document
	Of   manifest.Resource // in a file, that was rendered to it; without a name if it is not known, and for charts
}

// RenderPatched renders the kustomization in a folder with a strategic-merge patch in place
// of PatchFile, or without that if patch is nil. The kustomization has the content, or that of
// its file if it is nil.
func RenderPatched(ctx context.Context, dir string, content, patch []byte) ([]Rendered, error) {
	result, err := render.Patched(ctx, dir, content, patch)
	if err != nil {
		return nil, err
	}
	var list []Rendered
	for i := range result.Documents {
		from := &result.Documents[i]
		for _, d := range readRendered(from, dir) {
			d.Offset, d.Exact = 0, true // Kustomize writes one document for an object
			one := Rendered{Document: d, Data: from.Data}
			if len(d.Objects) == 1 {
				one.Of, _ = from.Source(&d.Objects[0])
			}
			list = append(list, one)
		}
	}
	return list, nil
}

// readRendered reads what was rendered from the folder by.
func readRendered(r *render.Document, by string) []manifest.Document {
	return readLines(r, 1, r.Data, by)
}

// readLines reads the documents in data, a part of a rendered text that begins at line.
func readLines(r *render.Document, line int, data []byte, by string) []manifest.Document {
	documents := manifest.ReadDocuments(r.File, line, data)
	for i := range documents {
		d := &documents[i]
		d.RenderedBy, d.Origin = by, r.Origin
		for _, errs := range []manifest.Errors{d.NotUnderstood, d.Ambiguous} {
			for j := range errs {
				e := &errs[j]
				p := manifest.Place{File: r.File, Line: e.Line, Column: e.Column}
				if len(d.Objects) > 0 {
					p = r.Origin.PlaceOf(&d.Objects[0], e.Path, p)
				} else {
					p.RenderedOnly = true
				}
				if p.RenderedOnly {
					p.Line, p.Column = 0, 0
					e.Detail += ", in what was rendered"
				}
				e.File, e.Line, e.Column = p.File, p.Line, p.Column
			}
		}
	}
	return documents
}

// render renders the charts and overlays in a folder and in those below it, and reports
// whether any were rendered. A kustomization that another one in the folder uses is not
// rendered on its own, and neither is a chart that is in another one.
func (p *pipeline[T]) render(root string) (bool, error) {
	var dirs, charts []string
	err := filepath.WalkDir(strings.TrimSuffix(root, "/")+"/", func(name string, d fs.DirEntry, err error) error {
		switch {
		case p.ctx.Err() != nil:
			return p.ctx.Err()
		case err != nil:
			return nil // the walk for manifests names it
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.Name() == render.ChartFile && !d.IsDir():
			charts = append(charts, filepath.Dir(filepath.Clean(name)))
		case render.IsKustomization(d.Name()) && !d.IsDir():
			if dir := filepath.Dir(filepath.Clean(name)); len(dirs) == 0 || dirs[len(dirs)-1] != dir {
				dirs = append(dirs, dir)
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if p.asWritten {
		p.findPatches(dirs)
		return false, nil
	}
	for _, dir := range charts {
		if p.inputs[filepath.Join(absolute(dir), render.ChartFile)] {
			continue
		}
		if err := p.chart(dir); err != nil {
			return false, err
		}
	}
	return len(dirs)+len(charts) > 0, p.renderAll(dirs)
}

// chart renders a chart.
func (p *pipeline[T]) chart(dir string) error {
	result, err := p.helm.Helm(p.ctx, dir, p.charts)
	if p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	p.addInputs(result)
	if err != nil {
		var field manifest.FieldError
		if !errors.As(err, &field) {
			field = manifest.FieldError{File: filepath.Join(dir, render.ChartFile), Detail: err.Error()}
		}
		return p.refuse(field.File, field)
	}
	p.rendered++
	return p.submitAll(result, dir)
}

// addInputs counts the files that something was rendered from.
func (p *pipeline[T]) addInputs(r render.Result) {
	for _, name := range r.Read {
		if !p.inputs[name] {
			p.inputs[name] = true
			p.files++
		}
	}
}

// submitAll submits the documents of a chart or overlay.
func (p *pipeline[T]) submitAll(r render.Result, dir string) error {
	for i := range r.Documents {
		if err := p.submit(&job[T]{rendered: &r.Documents[i], renderedBy: dir}); err != nil {
			return err
		}
	}
	return nil
}

// findPatches notes the patches of overlays.
func (p *pipeline[T]) findPatches(dirs []string) {
	for _, dir := range dirs {
		name := KustomizationIn(dir)
		for _, patch := range render.Patches(name) {
			p.patches[absolute(filepath.Join(dir, patch))] = name
		}
	}
}

// An overlay is a rendered folder.
type overlay struct {
	dir    string
	result render.Result
	err    error
}

func (p *pipeline[T]) renderAll(dirs []string) error {
	var overlays []overlay
	uses := map[string]int{} // of kustomizations, by rendered overlays
	for _, dir := range dirs {
		o := overlay{dir: dir}
		if o.result, o.err = render.Kustomize(p.ctx, dir); p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		overlays = append(overlays, o)
		read := map[string]bool{}
		for _, name := range o.result.Read {
			if render.IsKustomization(filepath.Base(name)) && o.err == nil && !read[name] {
				read[name] = true
				uses[filepath.Dir(name)]++
			}
		}
	}
	for _, o := range overlays {
		p.addInputs(o.result)
		own := 0
		if o.err == nil {
			own = 1
		}
		if uses[absolute(o.dir)] > own {
			continue // a base or component
		}
		if o.err != nil {
			var field manifest.FieldError
			if !errors.As(o.err, &field) {
				field = manifest.FieldError{File: KustomizationIn(o.dir), Detail: o.err.Error()}
			}
			if err := p.refuse(field.File, field); err != nil {
				return err
			}
			continue
		}
		if err := p.submitAll(o.result, o.dir); err != nil {
			return err
		}
	}
	return nil
}

// KustomizationIn returns the name of the kustomization in a folder, or the name of the
// folder if it has no kustomization.
func KustomizationIn(dir string) string {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if render.IsKustomization(e.Name()) {
			return filepath.Join(dir, e.Name())
		}
	}
	return dir
}

// isInput reports whether a file was rendered.
func (p *pipeline[T]) isInput(name string) bool {
	return len(p.inputs) > 0 && p.inputs[absolute(name)]
}

// absolute returns the path of a file without links, as package render names what it read.
func absolute(name string) string {
	abs, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	return abs
}
