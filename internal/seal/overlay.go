package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/text"
)

// An overlay is a kustomization that is sealed.
type overlay struct {
	sealer
	dir, file string // of the kustomization
	content   []byte
	document  *manifest.Document
	isListed  bool // it applies source.PatchFile

	objects []rendered
	images  []imageEntry
	patch   []byte // nil if there is nothing to patch
}

// target identifies the resource that a patch of an object would change.
func (o *rendered) target() string {
	return strings.Join([]string{o.Of.APIVersion, o.Of.Kind, o.Of.Namespace, o.Of.Name}, "\x00")
}

// overlay seals the kustomization in a folder by a patch.
func (s sealer) overlay(ctx context.Context, dir string, r *Result) error {
	s.renderCommand = "kubectl kustomize " + quote(dir)
	o := overlay{sealer: s, dir: dir, file: source.KustomizationIn(dir)}
	if err := o.load(ctx); err != nil {
		return r.addFailure(ctx, o.file, err)
	}
	if err := o.seal(ctx); err != nil {
		return err
	}
	files, note, err := o.files()
	if err != nil {
		return err
	}
	r.addFolder(o.objects, files, note)
	return nil
}

// load reads and renders the overlay.
func (o *overlay) load(ctx context.Context) error {
	if o.file == o.dir {
		return manifest.FieldError{File: o.dir, Detail: "no folder with a kustomization or chart", Hint: "name one, or seal manifests without --patch"}
	}
	documents, err := source.RenderPatched(ctx, o.dir, nil, nil)
	if err != nil {
		return err
	}
	for _, d := range documents {
		o.objects = append(o.objects, rendered{Rendered: d, sealedBy: "a patch", after: d.Data})
	}
	if o.content, err = source.ReadRegular(o.file, MaxContent); err != nil {
		return err
	}
	o.isListed = source.AppliesPatchFile(o.file)
	o.document, err = onlyDocument(o.file, o.content)
	return err
}

// seal seals the objects and makes the patch. An object that the patch cannot seal is left.
func (o *overlay) seal(ctx context.Context) error {
	if err := o.resolve(ctx, o.objects); err != nil {
		return err
	}
	targets := map[string]int{}
	for i := range o.objects {
		err := o.sealObject(&o.objects[i])
		if err == nil {
			err = o.followEntries(&o.objects[i])
		}
		if err != nil {
			return err
		}
		targets[o.objects[i].target()]++
	}
	for {
		again := false
		o.images = o.imageEntries()
		for i := range o.objects {
			one := &o.objects[i]
			before := len(one.left)
			if err := o.patchObject(one); err != nil {
				return err
			}
			if one.patch != nil && targets[one.target()] > 1 {
				o.leave(one, "", "it is not certain which resource it comes from, since another object may come from the same one")
			}
			again = again || len(one.left) > before
		}
		var err error
		if !again {
			again, err = o.prove(ctx)
		}
		if err != nil || !again {
			return err
		}
	}
}

// patchObject makes the patch of an object that was sealed, without the images that
// the kustomization pins.
func (o *overlay) patchObject(one *rendered) error {
	one.patch = nil
	if bytes.Equal(one.Data, one.after) {
		return nil
	}
	var before, after yaml.Node
	if err := errors.Join(yaml.Unmarshal(one.Data, &before), yaml.Unmarshal(one.after, &after)); err != nil {
		return err
	}
	o.unpin(before.Content[0], after.Content[0])
	change, err := one.strategy.patch("", before.Content[0], after.Content[0])
	switch {
	case err != nil:
		o.leave(one, "", err.Error())
	case change == nil: // only images
	case one.Of.Name == "":
		o.leave(one, "", "it is not known which resource it comes from")
	case field(change, "metadata") != nil:
		o.leave(one, "", "sealing changes more of it than its pod")
	default:
		one.patch = named(one.Of, change)
	}
	return nil
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

// prove renders the overlay with its patch and images, and compares each object with the
// sealed one. An object that differs gets an ordered patch the first time, and is left the
// second time. In both cases again is set, and the caller makes a new patch and proves it.
func (o *overlay) prove(ctx context.Context) (again bool, err error) {
	if o.patch, err = marshalPatches(o.objects); err != nil || o.patch == nil && len(o.images) == 0 {
		return false, err
	}
	_, content, err := o.edit()
	if err != nil {
		return false, err
	}
	result, failure := source.RenderPatched(ctx, o.dir, content, o.patch)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if failure != nil {
		return true, o.leaveRefused(ctx, content, failure)
	}
	wrong := false
	for i := range o.objects {
		one := &o.objects[i]
		switch {
		case len(result) == len(o.objects) && sameObject(result[i].Data, one.after):
		case one.patch == nil:
			wrong = true
		case !one.strategy.ordered:
			one.strategy.ordered, again = true, true
		default:
			o.leave(one, "", "with a patch it is not rendered as it was sealed: another patch or an entry of images changes it again, or Kustomize merges its lists in another way")
			again = true
		}
	}
	if wrong && !again {
		return false, fmt.Errorf("seal %s: with the patch it renders to something else than without, apart from what sealing changes", o.dir)
	}
	return again, nil
}

// leaveRefused leaves the objects whose patches Kustomize refuses, or all if it refuses none
// alone.
func (o *overlay) leaveRefused(ctx context.Context, content []byte, failure error) error {
	refused := map[int]error{}
	for i := range o.objects {
		if o.objects[i].patch == nil {
			continue
		}
		patch, err := marshalPatches(o.objects[i : i+1])
		if err != nil {
			return err
		}
		if _, err := source.RenderPatched(ctx, o.dir, content, patch); err != nil {
			refused[i] = err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for i := range o.objects {
		one := &o.objects[i]
		switch {
		case refused[i] != nil:
			o.leave(one, "", text.Cut(refused[i].Error(), maxAnswer))
		case len(refused) == 0 && one.patch != nil:
			o.leave(one, "", text.Cut(failure.Error(), maxAnswer))
		}
	}
	if o.patch == nil {
		return fmt.Errorf("seal %s: with its images pinned: %w", o.dir, failure)
	}
	return nil
}

// edit returns the edit of the kustomization, and its content after the edit.
func (o *overlay) edit() (manifest.Edit, []byte, error) {
	var ops []manifest.Op
	for _, e := range o.images {
		ops = append(ops, e.ops()...)
	}
	if o.patch != nil && !o.isListed {
		ops = append(ops, manifest.AppendItem(0, "patches", manifest.Fields{{Key: "path", Value: source.PatchFile}}))
	}
	edit, err := o.document.Edit(ops...)
	if err != nil {
		return edit, nil, err
	}
	content, err := manifest.ApplyEdits(o.file, o.content, []manifest.Edit{edit})
	return edit, content, err
}

// patchHeader is the first line of a patch. A file without it is not replaced.
const patchHeader = "# Seals what this kustomization renders. Written by: adamant seal --patch"

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
			out.WriteString(patchHeader + "\n")
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

// files returns the files that sealing the overlay changes, and a note if its patch is not
// needed any more.
func (o *overlay) files() (files []File, note string, err error) {
	name := filepath.Join(o.dir, source.PatchFile)
	was, err := readOwn(name, patchHeader)
	if err != nil {
		return nil, "", err
	}
	switch {
	case o.pinner == nil && o.losesDigest(was):
		return nil, "", losesDigestError(name)
	case o.patch != nil:
		files = []File{{Name: name, whole: o.patch, isNew: !bytes.Equal(was, o.patch)}}
	case was != nil && o.isListed && !leaves(o.objects):
		note = fmt.Sprintf("%s: nothing needs this patch any more: remove it, and its entry under patches in %s", name, o.file)
	}
	edit, _, err := o.edit()
	if err == nil && !edit.IsEmpty() {
		files = append(files, File{Name: o.file, edits: []manifest.Edit{edit}, read: o.content})
	}
	return files, note, err
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
