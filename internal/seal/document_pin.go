package seal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// A pin is an image that gets its digest.
type pin struct {
	imageField
	ops []manifest.Op // of the image and, if it contradicts the digest, of the pull policy
}

// pinAll returns the pins of the document's images, and notes those that stay as they are.
func (s *documentSealer) pinAll(file manifest.File, configs []*policy.Config) []pin {
	if s.pinner == nil {
		return nil
	}
	result := s.pinner.images.Check(s.document, configs...)
	if result.Omitted > 0 {
		s.notPinned = append(s.notPinned, manifest.FieldError{File: s.document.File, Line: s.document.Line, Detail: "no image is pinned: more images than can be pinned in one document"})
		return nil
	}
	for _, f := range result.Ignored {
		s.excepted = append(s.excepted, exceptionOf(f))
	}
	excepted := exceptedPaths(result)
	findings := map[fieldPath]policy.Finding{}
	for _, f := range result.Findings {
		findings[pathOf(f)] = f
	}
	var pins []pin
	for _, f := range imageFields(s.document) {
		at := f.fieldPath(s.document)
		finding, isFound := findings[at]
		switch {
		case excepted[at]:
		case f.reference == "":
			s.noteAt(f, f.name+" has no image to pin: what adds the image has to pin it")
		case !isFound:
			if doubt := s.pinner.doubt(f); doubt != "" {
				s.noteAt(f, doubt)
			}
		default:
			pins = s.pinOne(pins, f, finding)
		}
	}
	s.followPins(file, pins, configs)
	s.pinAdded(pins)
	return pins
}

// pinAdded pins the images of what sealing adds: init containers and image volumes have the
// image of a container, or the one with the tool.
func (s *documentSealer) pinAdded(pins []pin) {
	added := addedPins{digests: map[string]string{}, follows: map[string]bool{}, seen: map[string]bool{}}
	for _, p := range pins {
		added.digests[p.reference] = p.ops[0].Value.(string)
		added.follows[p.reference] = added.follows[p.reference] || len(p.ops) > 1
	}
	tool := s.CopyUp.Image
	var refused *refusal
	if tool != "" && !hasDigest(tool) && added.digests[tool] == "" {
		var reference string
		if reference, refused = s.pinner.pin(imageField{reference: tool}); refused == nil {
			added.digests[tool] = reference
		}
	}
	for i := range s.ops {
		s.ops[i].Value = added.in(s.ops[i].Value)
	}
	if refused != nil && added.seen[tool] {
		s.notPinned = append(s.notPinned, manifest.FieldError{
			File: s.document.File, Line: s.document.Line,
			Detail: "the image with the copy-up tool, " + text.Cut(tool, maxAnswer) + ", is not pinned: " + refused.why, Hint: refused.hint,
		})
	}
}

// addedPins are the references of images with their digests, those whose pull policy
// contradicts that, and those that were seen in ops.
type addedPins struct {
	digests       map[string]string
	follows, seen map[string]bool
}

// in returns the value of an op with its images pinned.
func (a addedPins) in(value any) any {
	switch v := value.(type) {
	case []any:
		v = slices.Clone(v)
		for i := range v {
			v[i] = a.in(v[i])
		}
		return v
	case manifest.Fields:
		v = slices.Clone(v)
		follows := false
		for i := range v {
			f := &v[i]
			reference, _ := f.Value.(string)
			isImage := reference != "" && (f.Key == "image" || f.Key == "reference")
			digest, isPinned := a.digests[reference]
			switch {
			case isImage:
				a.seen[reference] = true
				if isPinned {
					f.Value, follows = digest, a.follows[reference]
				}
			case follows && (f.Key == "imagePullPolicy" || f.Key == "pullPolicy"):
				f.Value = "IfNotPresent"
			default:
				f.Value = a.in(f.Value)
			}
		}
		return v
	}
	return value
}

// pinOne adds the pin of an image that the rule image-not-pinned finds.
func (s *documentSealer) pinOne(pins []pin, f imageField, finding policy.Finding) []pin {
	if hasDigest(f.reference) {
		s.leaveUnpinned(f, text.Cut(finding.Message, maxAnswer), "remove the digest, and seal again")
		return pins
	}
	if s.pinner.renamed[nameOf(f.reference)] {
		s.leaveUnpinned(f, "image "+f.shown()+" is not pinned: a kustomization gives it another name", "set newTag there, so that its digest is written there, too")
		return pins
	}
	reference, refused := s.pinner.pin(f)
	if refused != nil {
		s.leaveUnpinned(f, "image "+f.shown()+" is not pinned: "+refused.why, refused.hint)
		return pins
	}
	return append(pins, pin{f, []manifest.Op{manifest.SetField(f.object, f.path, reference)}})
}

// leaveUnpinned notes an image that stays as it is.
func (s *documentSealer) leaveUnpinned(f imageField, detail, hint string) {
	at := f.place(s.document)
	s.notPinned = append(s.notPinned, manifest.FieldError{File: at.File, Line: at.Line, Column: at.Column, Path: f.path, Detail: detail, Hint: hint})
}

func (s *documentSealer) noteAt(f imageField, note string) {
	at := f.place(s.document)
	s.notes = append(s.notes, text.Escape(fmt.Sprintf("%s:%d: %s", at.File, at.Line, note)))
}

// followPins adds the ops for the pull policies that contradict a digest. Whether one does
// is decided by the rule pull-policy, with its exceptions, in the document with the digests.
func (s *documentSealer) followPins(file manifest.File, pins []pin, configs []*policy.Config) {
	if !slices.ContainsFunc(pins, func(p pin) bool { return p.in.Get("imagePullPolicy").IsSet() }) {
		return
	}
	edited, err := file.Apply(opsOf(pins)...)
	if err != nil {
		return // it is reported with the edit of the document
	}
	byContainer := map[place]int{}
	for i, p := range pins {
		byContainer[place{p.object, p.inPath}] = i
	}
	for _, d := range manifest.ReadDocuments(s.document.File, s.document.Line, edited) {
		objects := map[*manifest.Resource]int{}
		for i := range d.Objects {
			objects[&d.Objects[i]] = i
		}
		for _, f := range s.pinner.policies.Check(&d, configs...).Findings {
			object := objects[f.Resource()]
			if i, isPinned := byContainer[place{object, f.In}]; isPinned {
				pins[i].ops = append(pins[i].ops, manifest.SetField(object, f.Path, "IfNotPresent"))
			}
		}
	}
}

func opsOf(pins []pin) []manifest.Op {
	var ops []manifest.Op
	for _, p := range pins {
		ops = append(ops, p.ops...)
	}
	return ops
}

// finish edits the document. An image that cannot be edited keeps nothing else from being
// edited, and neither does a container that cannot be sealed.
func (s *documentSealer) finish(pins []pin) {
	if len(s.ops)+len(pins) == 0 {
		return
	}
	edit, err := s.document.Edit(inOrder(s.ops, opsOf(pins))...)
	if err != nil && len(pins) > 0 {
		pins = s.editable(pins, err)
		edit, err = s.document.Edit(inOrder(s.ops, opsOf(pins))...)
	}
	if err != nil && len(s.ops) > 0 {
		s.refuse(err)
		s.sealedContainers, s.toLearn = 0, nil
		edit, err = s.document.Edit(opsOf(pins)...)
	}
	if err != nil {
		s.leaveAll(pins, err)
		return
	}
	s.edit = edit
	for _, p := range pins {
		s.pinned = append(s.pinned, p.reference)
	}
}

// inOrder joins lists of ops for one document. An op that adds an item at the front of a list
// comes last, because it changes the indexes in the paths of the others.
func inOrder(lists ...[]manifest.Op) []manifest.Op {
	ops := slices.Concat(lists...)
	slices.SortStableFunc(ops, func(a, b manifest.Op) int {
		last := func(op manifest.Op) int {
			if op.Action == manifest.Prepend {
				return 1
			}
			return 0
		}
		return last(a) - last(b)
	})
	return ops
}

// editBudget bounds the size of a document in bytes times its images, because each edit of
// an image takes as long as reading the document.
const editBudget = 64 << 20

// editable returns the pins that can be edited. err is the error of editing all of them.
func (s *documentSealer) editable(pins []pin, err error) []pin {
	if s.document.Size() > editBudget/len(pins) {
		s.leaveAll(pins, err)
		return nil
	}
	var all []pin
	for _, p := range pins {
		if _, err := s.document.Edit(p.ops...); err != nil {
			s.leaveAll([]pin{p}, err)
			continue
		}
		all = append(all, p)
	}
	return all
}

// leaveAll notes images whose field cannot be edited.
func (s *documentSealer) leaveAll(pins []pin, err error) {
	why := refusal{err.Error(), ""}
	var list manifest.Errors
	if errors.As(err, &list) && len(list) > 0 {
		why = refusal{list[0].Detail, list[0].Hint}
	}
	for _, p := range pins {
		s.leaveUnpinned(p.imageField, "image "+p.shown()+" is not pinned: "+why.why, why.hint)
	}
}
