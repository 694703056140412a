package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// Overlays seals what the kustomizations in folders render to. The files of the result are a
// strategic-merge patch for each, source.PatchFile, and its kustomization, which applies it.
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
	source.Rendered
	sealed

	after []byte // Data as it is sealed, or as it is
	patch *yaml.Node
}

// target identifies the resource that a patch of an object would change.
func (o *rendered) target() string {
	return strings.Join([]string{o.Of.APIVersion, o.Of.Kind, o.Of.Namespace, o.Of.Name}, "\x00")
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
	documents, err := source.RenderPatched(ctx, dir, nil)
	if err != nil {
		return refuse(err)
	}
	r.Summary.Files, r.Summary.Documents = r.Summary.Files+1, r.Summary.Documents+len(documents)
	var all []rendered
	for _, d := range documents {
		one, err := s.rendered(d)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	patch, err := s.patchOf(ctx, dir, all)
	if err != nil {
		return err
	}
	for i := range all {
		r.addDocument(&all[i].Document, all[i].sealed)
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
func (s sealer) rendered(d source.Rendered) (rendered, error) {
	one := rendered{Rendered: d, after: d.Data}
	one.sealed = s.document(&one.Document)
	if one.err != nil || one.edit.IsEmpty() {
		return one, one.err
	}
	var err error
	if one.after, err = manifest.ApplyEdits(d.File, d.Data, []manifest.Edit{one.edit}); err != nil {
		return one, err
	}
	if d.Of.Name == "" {
		one.leave("it is not known which resource it comes from")
		return one, nil
	}
	var before, after yaml.Node
	if err := errors.Join(yaml.Unmarshal(d.Data, &before), yaml.Unmarshal(one.after, &after)); err != nil {
		return one, err
	}
	change := strategic("", before.Content[0], after.Content[0])
	if change == nil || field(change, "metadata") != nil {
		one.leave("sealing changes more of it than its pod")
		return one, nil
	}
	one.patch = named(d.Of, change)
	return one, nil
}

// named returns a change of a resource as a patch, which has its name as it is in its file.
func named(of manifest.Resource, change *yaml.Node) *yaml.Node {
	text := func(s string) *yaml.Node {
		n := &yaml.Node{}
		n.SetString(s)
		return n
	}
	metadata := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("name"), text(of.Name)}}
	if of.Namespace != "" {
		metadata.Content = append(metadata.Content, text("namespace"), text(of.Namespace))
	}
	fields := []*yaml.Node{text("apiVersion"), text(of.APIVersion), text("kind"), text(of.Kind), text("metadata"), metadata}
	return &yaml.Node{Kind: yaml.MappingNode, Content: append(fields, change.Content...)}
}

// leave leaves an object as it is, because a patch cannot seal it.
func (o *rendered) leave(why string) {
	object := &o.Objects[0]
	place := o.SourceOf(object, "", object.Value)
	o.sealed = sealed{
		pods: o.pods, used: o.used, shared: o.shared, workloads: o.workloads, excepted: o.excepted,
		left: append(o.left, manifest.FieldError{
			File: place.File, Line: place.Line, Detail: "not sealed by a patch: " + object.String() + ": " + why,
			Hint: fmt.Sprintf("render it and seal the result: kubectl kustomize %s | adamant seal -", quote(o.RenderedBy)),
		}),
	}
	o.after, o.patch = o.Data, nil
}

// patchOf returns the patch that seals the objects of an overlay, nil if there is nothing to
// seal. What it cannot seal is left.
func (s sealer) patchOf(ctx context.Context, dir string, all []rendered) ([]byte, error) {
	targets := map[string]int{}
	for i := range all {
		targets[all[i].target()]++
	}
	for i := range all {
		if all[i].patch != nil && targets[all[i].target()] > 1 {
			all[i].leave("several objects come from a resource of its name, which a patch cannot tell apart")
		}
	}
	for {
		patch, err := marshalPatches(all)
		if patch == nil || err != nil {
			return nil, err
		}
		result, err := source.RenderPatched(ctx, dir, patch)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failed := func(i int) bool {
			return err != nil || len(result) != len(all) || !sameObject(result[i].Data, all[i].after)
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
	name := filepath.Join(dir, source.PatchFile)
	isListed := source.AppliesPatchFile(kustomization)
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
	edit, err := d.Edit(manifest.AppendItem(0, "patches", manifest.Fields{{Key: "path", Value: source.PatchFile}}))
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
	return nil, fmt.Errorf("%s: not one document that can be edited: add this under patches yourself: - path: %s", kustomization, source.PatchFile)
}
