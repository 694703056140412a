package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// Folders seals what the kustomizations and charts in folders render to. The files of the
// result are a strategic-merge patch for each kustomization, source.PatchFile, and the
// kustomization, which applies it; and for each chart a file of values, source.ValuesFile. No
// other file is changed, so that others can use the same resources and charts as they are.
//
// With its file a folder renders to the sealed objects, apart from those that are left: all
// are compared one by one.
func Folders(ctx context.Context, dirs []string, opts Options) (*Result, error) {
	s := newSealer(opts)
	r := newResult()
	known := map[string]bool{}
	for _, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			if known[real] {
				continue
			}
			known[real] = true
		}
		seal := s.overlay
		if source.IsChart(dir) && source.KustomizationIn(dir) == dir {
			seal = s.chart
		}
		if err := seal(ctx, dir, r); err != nil {
			return nil, err
		}
	}
	return r, r.finish(dirs, opts)
}

// A rendered is an object of an overlay or chart, and how it is sealed.
type rendered struct {
	source.Rendered
	sealed

	sealedBy string // "a patch"
	after    []byte // Data as it is sealed, or as it is

	strategy strategy   // of overlays
	patch    *yaml.Node // of overlays
}

// sealObject seals an object as if it was a document of a file.
func (s sealer) sealObject(one *rendered) error {
	one.sealed = s.document(&one.Document)
	if one.err != nil || one.edit.IsEmpty() {
		return one.err
	}
	var err error
	one.after, err = manifest.ApplyEdits(one.File, one.Data, []manifest.Edit{one.edit})
	return err
}

// leave leaves an object as it is, because the patch or the values cannot seal it. at is the
// path of a container in it, or empty.
func (s sealer) leave(one *rendered, at string, why string) {
	object := &one.Objects[0]
	value, _ := object.Value.Follow(at, object.Value)
	place := one.SourceOf(object, at, value)
	one.sealed = sealed{
		pods: one.pods, used: one.used, shared: one.shared, workloads: one.workloads,
		excepted: one.excepted, notPinned: one.notPinned,
		left: append(one.left, manifest.FieldError{
			File: place.File, Line: place.Line, Detail: "not sealed by " + one.sealedBy + ": " + object.String() + ": " + why,
			Hint: fmt.Sprintf("render it and seal the result: %s | adamant seal -", s.renderCommand),
		}),
	}
	one.after, one.patch = one.Data, nil
}

// resolve resolves the images of objects, if they are pinned.
func (s sealer) resolve(ctx context.Context, objects []rendered) error {
	if s.pinner == nil {
		return nil
	}
	all := references([]imageField{{reference: s.CopyUp.Image}})
	for i := range objects {
		l := s.lookup(&objects[i].Document)
		if l.err != nil {
			return l.err
		}
		all = append(all, l.references...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return s.pinner.resolve(ctx, all[:min(len(all), maxImages)])
}

// addFailure adds why a folder cannot be rendered. The error is that of ctx.
func (r *Result) addFailure(ctx context.Context, file string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var e manifest.FieldError
	if !errors.As(err, &e) {
		e = manifest.FieldError{File: file, Detail: err.Error()}
	}
	r.NotUnderstood = append(r.NotUnderstood, e)
	return nil
}

// addFolder adds the objects that a folder was rendered to, and the files that seal them.
func (r *Result) addFolder(objects []rendered, files []File, note string) {
	r.Summary.Files, r.Summary.Documents = r.Summary.Files+1, r.Summary.Documents+len(objects)
	for i := range objects {
		r.addDocument(&objects[i].Document, objects[i].sealed)
	}
	if note != "" {
		r.Notes = append(r.Notes, note)
	}
	r.Items = append(r.Items, files...)
}

// leaves reports whether an object is not sealed, or perhaps by the file that there is.
func leaves(objects []rendered) bool {
	return slices.ContainsFunc(objects, func(one rendered) bool { return len(one.left) > 0 })
}

// readOwn reads a file that seal --patch wrote and replaces. It returns nil if the file does
// not exist, and an error if its first line is not header, because somebody else wrote it.
func readOwn(name, header string) ([]byte, error) {
	content, err := source.ReadRegular(name, MaxContent)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	line, _, _ := bytes.Cut(content, []byte("\n"))
	if string(bytes.TrimSuffix(line, []byte("\r"))) != header {
		return nil, fmt.Errorf("%s: not written by adamant seal --patch, so it is not replaced: "+
			"move it, or give it %q as its first line", name, header)
	}
	return content, nil
}

func losesDigestError(name string) error {
	return fmt.Errorf("%s: it has digests of images, which would be lost: give --pin, too", name)
}
