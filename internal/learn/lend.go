package learn

import (
	"slices"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// A loan is the volumes that a sealed trial has, by container, only because the
// commands of the load write there. A workload that is sealed for real does not get
// them: its clients run elsewhere.
type loan map[string][]profile.Volume

// loanFor returns the volumes for what only the commands of the load wrote in a
// writable run.
func (s Workload) loanFor(ref trial, roots containerRoots) loan {
	out := loan{}
	for _, name := range s.containers() {
		var load []trace.Trace
		for _, t := range tracesOf(ref.Traces, name) {
			if isExercise(t) {
				load = append(load, t)
			}
		}
		if len(load) == 0 {
			continue
		}
		c := profile.Derive(profile.Input{Name: name, Image: s.image(name), Method: "ptrace", Traces: load, Rootfs: roots[name].Rootfs})
		own := ownTraces(ref.Traces, name)
		out[name] = slices.DeleteFunc(c.Volumes, func(v profile.Volume) bool { return writesTo(own, v.MountPath) })
	}
	return out
}

// writesTo reports whether traces have a write to the root at or below a path.
func writesTo(traces []trace.Trace, path string) bool {
	return slices.ContainsFunc(traces, func(t trace.Trace) bool {
		return slices.ContainsFunc(t.Accesses, func(a trace.Access) bool { return a.Errno == "" && a.Mount == "" && isBelow(a.Path, path) })
	})
}

// with returns a sealed workload with the volumes of a loan, too.
func (s Workload) with(l loan) (Workload, error) {
	p := profile.Profile{APIVersion: document.APIVersion, Kind: document.Profile, Name: s.Name()}
	for _, name := range s.containers() {
		if len(l[name]) > 0 {
			// Without tools of the image, the trial uses Adamant's own, which works in any.
			p.Containers = append(p.Containers, profile.Container{Name: name, Image: s.image(name), Volumes: l[name], CopyTools: new(false)})
		}
	}
	if len(p.Containers) == 0 {
		return s, nil
	}
	return s.sealedBy(p)
}

// repaid returns the traces of a trial with a loan, in which the workload's own
// writes to the borrowed volumes fail, as they do without the loan.
func (l loan) repaid(traces []trace.Trace) []trace.Trace {
	out := slices.Clone(traces)
	for i, t := range out {
		if isExercise(t) {
			continue
		}
		isLent := func(a trace.Access) bool {
			return a.Mount != "" && a.Errno == "" && slices.ContainsFunc(l[t.Container], func(v profile.Volume) bool { return v.MountPath == a.Mount })
		}
		if !slices.ContainsFunc(t.Accesses, isLent) {
			continue
		}
		out[i].Accesses = slices.Clone(t.Accesses)
		for j, a := range out[i].Accesses {
			if isLent(a) {
				out[i].Accesses[j].Errno, out[i].Accesses[j].Mount = "EROFS", ""
			}
		}
	}
	return out
}
