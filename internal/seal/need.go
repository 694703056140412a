package seal

import (
	"errors"
	"fmt"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
)

// Needed is what the containers of a document need by their profiles.
type Needed struct {
	Needs policy.Needs
	Unfit manifest.Errors // profiles that are of a workload and must not be used for it
	Notes []string
	Used  []profile.Profile // that are of its workloads

	Workloads []learn.Workload // with a profile or without
}

// Needs returns what the containers of a document need by their profiles: what Files would
// add to them. Containers that it would leave as they are need nothing. configs are the
// exceptions for the document.
func Needs(d *manifest.Document, fitter learn.Fitter, today string, configs ...*policy.Config) Needed {
	n := Needed{Needs: policy.Needs{}}
	if !d.HasPods() {
		return n
	}
	file, err := d.Editable()
	if err != nil { // of several documents in one, none can be sealed either
		n.Unfit = manifest.Errors{{File: d.File, Line: d.Line, Detail: fmt.Sprintf("its volumes were not compared with profiles: %v", err)}}
		return n
	}
	s := newDocumentSealer(sealer{}, d)
	s.index()
	for _, f := range (policy.Checker{Rules: only(policy.RootNotReadOnly), Today: today}).Check(d, configs...).Ignored {
		s.leave[s.placeOf(f.Finding)] = true
	}
	shaped, errs := file.Shaped()
	unknown, fit := s.undecoded(fitter, shaped, errs)
	n.use(fitter, fit)
	for _, e := range unknown {
		e.Detail = "its volumes were not compared with a profile: " + e.Detail
		n.Unfit = append(n.Unfit, e)
	}
	for _, w := range shaped {
		s.need(fitter, learn.Workload{File: file, Object: w}, &n)
	}
	return n
}

// use notes the profiles of a workload.
func (n *Needed) use(fitter learn.Fitter, fit learn.Fitting) {
	for _, i := range fit.Used {
		n.Used = append(n.Used, fitter.Profiles[i])
	}
	for _, i := range fit.Shared {
		n.Used = append(n.Used, fitter.Shared[i])
	}
}

// undecoded returns the errors of the pods that could not be decoded if a profile may be of
// one of them, and those profiles. Without one, nothing is known to be left out.
func (s *documentSealer) undecoded(fitter learn.Fitter, shaped []manifest.Workload, errs manifest.Errors) (manifest.Errors, learn.Fitting) {
	var fit learn.Fitting
	var first manifest.Place
	decoded := map[int]int{} // pods by object
	for _, w := range shaped {
		decoded[w.ObjectIndex()]++
	}
	images := map[int][]string{}
	for _, f := range imageFields(s.document) {
		images[f.object] = append(images[f.object], f.value.Scalar())
	}
	for i := range s.document.Objects {
		o := &s.document.Objects[i]
		if len(errs) > 0 && decoded[i] < len(o.Pods) || decoded[i] == 0 && len(o.Pods) > 0 {
			first = s.document.PlaceOf(o.Value)
			more := fitter.MayBeOf(o.Kind+"/"+o.Name, images[i])
			fit.Used, fit.Shared = append(fit.Used, more.Used...), append(fit.Shared, more.Shared...)
		}
	}
	if len(fit.Used)+len(fit.Shared) == 0 {
		return nil, fit
	}
	if len(errs) == 0 {
		return manifest.Errors{{File: first.File, Line: first.Line, Column: first.Column, Detail: "its pod cannot be decoded", Hint: "quote names such as n, y, on and off, which are booleans"}}, fit
	}
	var all manifest.Errors
	for _, e := range errs {
		all = append(all, s.document.InFile(e))
	}
	return all, fit
}

// need adds what the containers of a workload need.
func (s *documentSealer) need(fitter learn.Fitter, w learn.Workload, n *Needed) {
	n.Workloads = append(n.Workloads, w)
	places := placesOf(w.Object)
	fit, err := fitter.Fit(w, func(container string) bool { return s.leave[places[container]] })
	n.use(fitter, fit)
	var needs map[string]policy.Need
	if err == nil {
		needs, err = fit.Needs(w)
	}
	if err != nil {
		n.Unfit = append(n.Unfit, s.unfit(w, err))
		return
	}
	n.Notes = append(n.Notes, fit.Notes...)
	for name, need := range needs {
		at := places[name]
		o := &s.document.Objects[at.object]
		if n.Needs[o] == nil {
			n.Needs[o] = map[string]policy.Need{}
		}
		n.Needs[o][at.path] = need
	}
}

// unfit returns a problem at the containers of a workload whose profile must not be used.
func (s *documentSealer) unfit(w learn.Workload, err error) manifest.FieldError {
	at := w.Object.Path("spec.containers")
	o := &s.document.Objects[w.Object.ObjectIndex()]
	v, _ := o.Value.Follow(at, manifest.Value{})
	p := s.document.SourceOf(o, at, v)
	hint := "learn it anew: adamant learn " + p.File
	if ambiguous, ok := errors.AsType[*learn.AmbiguousImageError](err); ok {
		hint = ambiguous.Mend()
	}
	return manifest.FieldError{
		File: p.File, Line: p.Line, Column: p.Column, Path: at,
		Detail: fmt.Sprintf("its volumes were not compared with its profile: %v", err), Hint: hint,
	}
}
