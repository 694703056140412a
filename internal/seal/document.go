package seal

import (
	"errors"
	"fmt"
	"strings"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
)

// A place is a container in a document.
type place struct {
	object int
	path   string // in the object: "spec.containers[0]"
}

// documentSealer seals one document.
type documentSealer struct {
	sealer
	document *manifest.Document
	sealed

	objects    map[*manifest.Resource]int
	containers map[place]manifest.Value
	leave      map[place]bool // containers that stay as they are
	planned    map[place]bool // containers with a plan
	ops        []manifest.Op
}

// index finds the containers of the document.
func (s *documentSealer) index() {
	for i := range s.document.Objects {
		o := &s.document.Objects[i]
		s.objects[o] = i
		for _, p := range o.Pods {
			for _, list := range manifest.ContainerLists() {
				for k, c := range p.Value.Get(list).Items() {
					at := place{i, fmt.Sprintf("%s.%s[%d]", p.Path, list, k)}
					s.containers[at] = c
					s.leave[at] = policy.IsWindows(p.Value)
				}
			}
		}
	}
}

func (s *documentSealer) run() {
	d := s.document
	s.index()
	var configs []*policy.Config
	if configs, s.err = s.configsOf(d); s.err != nil {
		return
	}
	result := s.checker.Check(d, configs...)
	if result.Omitted > 0 {
		s.left = append(s.left, manifest.FieldError{File: d.File, Line: d.Line, Detail: "not sealed: more containers than can be sealed in one document"})
		return
	}
	s.pods = result.Pods
	for _, f := range result.Ignored {
		s.except(f)
	}
	file, err := d.Editable()
	if err != nil {
		s.refuse(err)
		return
	}
	if s.planAll(file); s.err != nil {
		return
	}
	s.setAll(result.Findings)
	s.finish(s.pinAll(file, configs))
}

// refuse notes that nothing in the document is sealed.
func (s *documentSealer) refuse(err error) {
	var list manifest.Errors
	if !errors.As(err, &list) {
		list = manifest.Errors{{File: s.document.File, Line: s.document.Line, Detail: err.Error()}}
	}
	for _, e := range list {
		if s.document.RenderedBy != "" {
			e.Line, e.Column = 0, 0
		}
		e.Detail = "not sealed: " + e.Detail
		s.left = append(s.left, e)
	}
}

// except notes a container that stays writable by an exception.
func (s *documentSealer) except(f policy.Ignored) {
	s.leave[s.placeOf(f.Finding)] = true
	s.excepted = append(s.excepted, exceptionOf(f))
}

func exceptionOf(f policy.Ignored) Exception {
	return Exception{
		Place: Place{File: f.Place.File, Line: f.Place.Line}, Object: name(f.Object), Container: f.Container,
		Until: f.By.Until, Owner: f.By.Owner, Reason: f.By.Reason, rule: f.Rule,
	}
}

func (s *documentSealer) placeOf(f policy.Finding) place {
	return place{s.objects[f.Resource()], f.In}
}

// planAll seals the containers that have a profile.
func (s *documentSealer) planAll(file manifest.File) {
	shaped, errs := file.Shaped()
	unknown, fit := s.undecoded(s.Fitter, shaped, errs)
	s.used, s.shared = append(s.used, fit.Used...), append(s.shared, fit.Shared...)
	for _, e := range unknown {
		e.Detail = "not sealed by a profile: " + e.Detail
		s.left = append(s.left, e)
	}
	for _, w := range shaped {
		one := learn.Workload{File: file, Object: w}
		s.workloads = append(s.workloads, one)
		places := placesOf(w)
		fit, err := s.Fitter.Fit(one, func(container string) bool { return s.leave[places[container]] })
		if err != nil {
			s.err = err
			return
		}
		s.notes, s.used, s.shared = append(s.notes, fit.Notes...), append(s.used, fit.Used...), append(s.shared, fit.Shared...)
		if len(fit.Plans) == 0 {
			continue
		}
		opts := s.CopyUp
		opts.Note = func(e manifest.FieldError) { s.notes = append(s.notes, s.inDocument(e).Error()) }
		ops, err := manifest.Sealing(w, fit.Plans, opts)
		if err != nil {
			s.err = s.inFile(err)
			return
		}
		s.ops = append(s.ops, ops...)
		for _, p := range fit.Plans {
			s.planned[places[p.Container]] = true
		}
		s.notes = append(s.notes, fit.VolumeNotes(one)...)
	}
}

// inFile returns an error with the line in the file.
func (s *documentSealer) inFile(err error) error {
	var e manifest.FieldError
	if errors.As(err, &e) {
		return s.inDocument(e)
	}
	return err
}

// inDocument returns an error or note with the line in the file. Lines of a rendered document
// are none of a file.
func (s *documentSealer) inDocument(e manifest.FieldError) manifest.FieldError {
	if s.document.RenderedBy != "" {
		e.Line, e.Column = 0, 0
		return e
	}
	return s.document.InFile(e)
}

// placesOf returns the places of a workload's containers by their names.
func placesOf(w manifest.Workload) map[string]place {
	places := map[string]place{}
	for i, c := range w.Template.Spec.InitContainers {
		places[c.Name] = place{w.ObjectIndex(), w.Path(fmt.Sprintf("spec.initContainers[%d]", i))}
	}
	for i, c := range w.Template.Spec.Containers {
		places[c.Name] = place{w.ObjectIndex(), w.Path(fmt.Sprintf("spec.containers[%d]", i))}
	}
	return places
}

// setAll makes the root of each container read-only that a finding is about.
func (s *documentSealer) setAll(findings []policy.Finding) {
	learns := map[string]int{} // index in toLearn by pod
	for _, f := range findings {
		at := s.placeOf(f)
		s.sealedContainers++
		if s.planned[at] {
			continue
		}
		s.ops = append(s.ops, manifest.SetField(at.object, at.path+".securityContext.readOnlyRootFilesystem", true))
		pod := fmt.Sprint(at.object, at.path[:strings.LastIndexByte(at.path, '.')])
		i, known := learns[pod]
		if !known {
			i = len(s.toLearn)
			learns[pod] = i
			o := &s.document.Objects[at.object]
			s.toLearn = append(s.toLearn, ToLearn{
				Place:  Place{File: f.Place.File, Line: s.document.SourceOf(o, "", o.Value).Line},
				Object: name(f.Object), kind: f.Object.Kind, renderedBy: s.document.RenderedBy, renderCommand: s.renderCommand,
			})
		}
		s.toLearn[i].add(f.Container, s.containers[at].Get("image").Text())
	}
	for i := range s.toLearn {
		s.toLearn[i].Command = s.toLearn[i].command()
	}
}

func name(o policy.Object) string {
	return manifest.Resource{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}.String()
}
