package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/render"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// Overlays seals what the kustomizations in folders render to. The files of the result are a
// strategic-merge patch for each, render.PatchFile, and its kustomization, which applies it.
// No other file is changed, so that others can use the same resources as they are.
//
// With its patch a kustomization renders to just what sealing its objects makes of them;
// that is compared object by object. What a patch cannot seal is left.
func Overlays(ctx context.Context, dirs []string, opts Options) (*Result, error) {
	s := newSealer(opts)
	r := newResult()
	for _, dir := range dirs {
		if err := s.overlay(ctx, dir, r); err != nil {
			return nil, err
		}
	}
	return r, r.finish(dirs, opts)
}

// A rendered is an object of an overlay, and how it is sealed.
type rendered struct {
	document manifest.Document
	before   []byte
	after    []byte // sealed, or as before
	patch    *yaml.Node
	one      sealed

	named string // how a patch names it; empty if that is not known
}

// overlay seals one overlay.
func (s sealer) overlay(ctx context.Context, dir string, r *Result) error {
	kustomization := source.KustomizationIn(dir)
	refuse := func(err error) error {
		var e manifest.FieldError
		if !errors.As(err, &e) {
			e = manifest.FieldError{File: kustomization, Detail: err.Error()}
		}
		r.NotUnderstood = append(r.NotUnderstood, e)
		return ctx.Err()
	}
	if kustomization == dir {
		return refuse(manifest.FieldError{File: dir, Detail: "no folder with a kustomization", Hint: "name one, or seal manifests without --patch"})
	}
	result, err := render.Patched(ctx, dir, nil)
	if err != nil {
		return refuse(err)
	}
	r.Summary.Files, r.Summary.Documents = r.Summary.Files+1, r.Summary.Documents+len(result.Documents)
	var all []rendered
	for i := range result.Documents {
		for _, d := range source.ReadRendered(&result.Documents[i], dir) {
			one, err := s.rendered(d, &result.Documents[i])
			if err != nil {
				return err
			}
			all = append(all, one)
		}
	}
	patch, err := s.patchOf(ctx, dir, all)
	if err != nil {
		return err
	}
	for i := range all {
		r.addDocument(&all[i].document, all[i].one)
	}
	files, note, err := overlayFiles(dir, kustomization, patch)
	if err != nil {
		return err
	}
	if note != "" {
		r.Notes = append(r.Notes, note)
	}
	r.Items = append(r.Items, files...)
	return nil
}

// rendered seals a rendered document.
func (s sealer) rendered(d manifest.Document, from *render.Document) (rendered, error) {
	d.Offset, d.Exact = 0, true
	one := rendered{document: d, before: from.Data, after: from.Data}
	var of manifest.Resource
	if len(d.Objects) == 1 {
		var ok bool
		if of, ok = from.Source(&d.Objects[0]); ok {
			one.named = strings.Join([]string{of.APIVersion, of.Kind, of.Namespace, of.Name}, "\x00")
		}
	}
	one.one = s.document(&d)
	if one.one.err != nil || one.one.edit.IsEmpty() {
		return one, one.one.err
	}
	var err error
	if one.after, err = manifest.ApplyEdits(d.File, from.Data, []manifest.Edit{one.one.edit}); err != nil {
		return one, err
	}
	if one.named == "" {
		one.leave("it is not known which resource it comes from")
		return one, nil
	}
	var before, after yaml.Node
	if err := errors.Join(yaml.Unmarshal(one.before, &before), yaml.Unmarshal(one.after, &after)); err != nil {
		return one, err
	}
	one.patch = strategic("", before.Content[0], after.Content[0])
	one.patch.Content = append(identity(of), one.patch.Content...)
	return one, nil
}

// identity returns the fields that name a resource, as it is in its file.
func identity(of manifest.Resource) []*yaml.Node {
	text := func(s string) *yaml.Node {
		n := &yaml.Node{}
		n.SetString(s)
		return n
	}
	metadata := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("name"), text(of.Name)}}
	if of.Namespace != "" {
		metadata.Content = append(metadata.Content, text("namespace"), text(of.Namespace))
	}
	return []*yaml.Node{text("apiVersion"), text(of.APIVersion), text("kind"), text(of.Kind), text("metadata"), metadata}
}

// leave leaves an object as it is, because a patch cannot seal it.
func (o *rendered) leave(why string) {
	d := &o.document
	hint := fmt.Sprintf("render it and seal the result: kubectl kustomize %s | adamant seal -", quote(d.RenderedBy))
	place := d.SourceOf(&d.Objects[0], "", d.Objects[0].Value)
	o.one = sealed{
		pods: o.one.pods, used: o.one.used, shared: o.one.shared, workloads: o.one.workloads, excepted: o.one.excepted,
		left: append(o.one.left, manifest.FieldError{File: place.File, Line: place.Line, Detail: "not sealed by a patch: " + d.Objects[0].String() + ": " + why, Hint: hint}),
	}
	o.after, o.patch = o.before, nil
}

// patchOf returns the patch that seals the objects of an overlay, nil if there is nothing to
// seal. What it cannot seal is left.
func (s sealer) patchOf(ctx context.Context, dir string, all []rendered) ([]byte, error) {
	names := map[string]int{}
	for i := range all {
		names[all[i].named]++
	}
	for i := range all {
		if all[i].patch != nil && names[all[i].named] > 1 {
			all[i].leave("several objects come from a resource of its name, which a patch cannot tell apart")
		}
	}
	for {
		patch, err := marshalPatches(all)
		if patch == nil || err != nil {
			return nil, err
		}
		result, err := render.Patched(ctx, dir, patch)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failed := func(i int) bool {
			return err != nil || len(result.Documents) != len(all) || !sameObject(result.Documents[i].Data, all[i].after)
		}
		left, wrong := false, false
		for i := range all {
			switch {
			case !failed(i):
			case all[i].patch != nil:
				why := "with a patch, Kustomize would change more of it than sealing does"
				if err != nil {
					why = err.Error()
				}
				all[i].leave(why)
				left = true
			default:
				wrong = true
			}
		}
		if !left && wrong {
			return nil, fmt.Errorf("seal %s: with the patch it renders to something else than without, apart from what sealing changes", dir)
		}
		if !left {
			return patch, nil
		}
	}
}

// patchHeader is the first line of a patch. A file without it is not replaced.
const patchHeader = "# Seals what this kustomization renders. Written by: adamant seal --patch\n"

// marshalPatches returns the patches of objects as the content of a file, or nil if there
// are none.
func marshalPatches(all []rendered) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	for i := range all {
		if all[i].patch == nil {
			continue
		}
		if out.Len() == 0 {
			out.WriteString(patchHeader)
		}
		if err := encoder.Encode(all[i].patch); err != nil {
			return nil, err
		}
	}
	if out.Len() == 0 {
		return nil, nil
	}
	return out.Bytes(), encoder.Close()
}

// overlayFiles returns the files of an overlay that its patch changes.
func overlayFiles(dir, kustomization string, patch []byte) (files []File, note string, err error) {
	name := filepath.Join(dir, render.PatchFile)
	isListed := slices.ContainsFunc(render.Patches(kustomization), func(p string) bool { return filepath.Clean(p) == render.PatchFile })
	was, err := source.ReadRegular(name, MaxContent)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err != nil:
		return nil, "", err
	case !bytes.HasPrefix(was, []byte(patchHeader)):
		return nil, "", fmt.Errorf("%s: not written by adamant seal --patch, so it is not replaced: move it, or give it %q as its first line", name, patchHeader[:len(patchHeader)-1])
	}
	if patch == nil {
		if was != nil || isListed {
			note = fmt.Sprintf("%s: nothing needs this patch any more: remove it, and its entry under patches in %s", name, kustomization)
		}
		return nil, note, nil
	}
	files = []File{{Name: name, whole: patch, isNew: !bytes.Equal(was, patch)}}
	if isListed {
		return files, "", nil
	}
	content, err := source.ReadRegular(kustomization, MaxContent)
	if err != nil {
		return nil, "", err
	}
	d, err := onlyDocument(kustomization, content)
	if err != nil {
		return nil, "", err
	}
	edit, err := d.Edit(manifest.AppendItem(0, "patches", manifest.Fields{{Key: "path", Value: render.PatchFile}}))
	if err != nil {
		return nil, "", err
	}
	return append(files, File{Name: kustomization, edits: []manifest.Edit{edit}}), "", nil
}

// onlyDocument returns the document of a kustomization.
func onlyDocument(kustomization string, content []byte) (*manifest.Document, error) {
	splitter := manifest.NewSplitter(bytes.NewReader(content))
	chunk, err := splitter.Next()
	if err == nil {
		documents := manifest.ReadDocuments(kustomization, chunk.Line, chunk.Data)
		_, more := splitter.Next()
		if d := &documents[0]; errors.Is(more, io.EOF) && len(documents) == 1 && len(d.Objects) == 1 {
			d.Offset, d.Exact = chunk.Offset, chunk.Exact
			return d, nil
		}
	}
	return nil, fmt.Errorf("%s: not one document that can be edited: add this under patches yourself: - path: %s", kustomization, render.PatchFile)
}
