package learn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/text"
)

// maxWidenings bounds how often a profile is widened by the evidence of a failed
// proof. Each time adds at least one volume. The bound is low because more would
// mean that the derivation is wrong, not that the workload is large.
const maxWidenings = 6

// ErrUnfit is returned for a workload that does not work with a writable root
// either, so that nothing can be learned from it.
var ErrUnfit = errors.New("the workload does not work with a writable root either")

// ErrLoad is returned for a workload that is healthy, but does not answer its load
// with a writable root either.
var ErrLoad = errors.New("its load fails, with a writable root too")

// A Lesson is the result of learning a workload.
type Lesson struct {
	Profile profile.Profile
	Proof   Proof // the last one

	writable, sealed trial // for LeaveOneOut
}

// Learn runs a workload with a writable root, derives its profile, and proves
// it: it runs the workload sealed by the profile and widens the profile by the
// failures, until a proof passes or no failure suggests another volume. It
// merges earlier profiles of the same workload into the new one.
func Learn(ctx context.Context, o Options, s Workload, earlier ...profile.Profile) (Lesson, error) {
	o, err := o.about(s)
	if err != nil {
		return Lesson{}, err
	}
	ref, roots, err := o.reference(ctx, s)
	if err != nil {
		return Lesson{}, err
	}
	p, err := o.derive(s, ref, roots)
	if err != nil {
		return Lesson{}, err
	}
	for _, e := range slices.Concat(earlier, o.sharedLike(p)) {
		if p, err = add(p, e, roots); err != nil {
			return Lesson{}, err
		}
	}
	l, err := o.like(ref).proven(ctx, s, p, ref, roots)
	if err != nil {
		return Lesson{}, err
	}
	for i, c := range l.Profile.Containers {
		l.Profile.Containers[i] = profile.MarkDurable(c, profile.Use{
			Volumes: roots[c.Name].volumes, Stateful: s.Object.Kind == "StatefulSet",
		})
	}
	l.record()
	return l, nil
}

// record copies the result of the last proof to the profile. What the profile's
// earlier runs did not see, and what is unsolved, make the proof weak too.
func (l *Lesson) record() {
	p := &l.Profile
	p.Reasons, p.Weak = l.Proof.Reasons, nil
	inContainers := p.NotSeen()
	for _, line := range l.Proof.Weak {
		if !slices.Contains(inContainers, line) {
			p.Weak = append(p.Weak, line)
		}
	}
	l.Proof.addWeak(inContainers...)
	l.Proof.addWeak(p.Unsolved()...)
	l.Proof.Verdict = verdictOf(l.Proof.Passed, l.Proof.Weak)
	p.Verdict = l.Proof.Verdict
}

// proven proves a profile and widens it as long as that makes a difference.
func (o Options) proven(ctx context.Context, s Workload, p profile.Profile, ref trial, roots containerRoots) (Lesson, error) {
	for round := 0; ; round++ {
		sealed, err := s.sealedBy(p)
		if err != nil {
			return Lesson{}, err
		}
		o.say("%s: running it sealed, with %s", s.Name(), text.Count(volumes(p), "volume"))
		proof, t, err := o.prove(ctx, sealed, ref, roots)
		if err != nil {
			return Lesson{}, err
		}
		recordUse(&p, sealed, t)
		proof.Widened = round
		if proof.Passed || !proof.narrow || round == maxWidenings {
			return Lesson{p, proof, ref, t}, nil
		}
		wider := false
		for i := range p.Containers {
			c := &p.Containers[i]
			var changed bool
			*c, changed = profile.Widen(*c, roots[c.Name].Rootfs, proof.of(c.Name))
			wider = wider || changed
		}
		if !wider {
			return Lesson{p, proof, ref, t}, nil
		}
		o.say("%s: %s; widening the profile", s.Name(), proof.Reasons[0])
	}
}

// reference runs the workload with a writable root.
func (o Options) reference(ctx context.Context, s Workload) (trial, containerRoots, error) {
	spec := writable(s.trial("learn"))
	roots, err := o.containerRoots(ctx, spec)
	if err != nil {
		return trial{}, nil, err
	}
	o.say("%s: running it with a writable root", s.Name())
	ref, err := o.try(ctx, spec)
	// A trace that was cut short is an error below: the trial itself was disturbed.
	if err == nil && !ref.passed() && len(ref.Kills) > 0 && truncated(ref.Traces) == "" {
		// It may be unable to repeat its work, which is not the fault of its root.
		why := firstLine(ref.trouble())
		o.say("%s: it does not work after it was killed: running it once more without that", s.Name())
		o.noKills = true
		ref, err = o.try(ctx, spec)
		ref.unkilled = true
		ref.Weak = append(ref.Weak, "after it was killed, it does not work with a writable root either, so its restart is not proven: "+why)
	}
	if err != nil {
		return trial{}, nil, err
	}
	seen := ref.Traces
	if !ref.Healthy {
		seen = slices.DeleteFunc(slices.Clone(seen), neverRan) // its failure says more
	}
	if cut := truncated(seen); cut != "" {
		return trial{}, nil, fmt.Errorf("%s: the trace of container %s was cut short%s; learn it once more", s.Name(), cut, whyCut(seen))
	}
	if !ref.passed() && ref.Healthy {
		return trial{}, nil, fmt.Errorf("%s: %w: %s", s.Name(), ErrLoad, ref.trouble())
	}
	if !ref.passed() {
		return trial{}, nil, fmt.Errorf("%s: %w: %s", s.Name(), ErrUnfit, ref.trouble())
	}
	for _, out := range ref.Outcomes {
		if out.Class == "4" {
			o.say("%s: note: %s was answered %s: is that the load that was meant?", s.Name(), out.Load, out.Result)
		}
	}
	return ref, roots, nil
}

// derive turns one writable run into a profile.
func (o Options) derive(s Workload, ref trial, roots containerRoots) (profile.Profile, error) {
	p := profile.Profile{
		APIVersion: document.APIVersion, Kind: document.Profile, Name: s.Name(), Scope: s.scope(),
		Load: loads(ref.Outcomes), Duration: ref.Took.Round(100 * time.Millisecond).String(), Runs: 1,
	}
	for _, name := range s.containers() {
		root, ok := roots[name]
		if !ok {
			return p, fmt.Errorf("%s: container %s was not looked at", s.Name(), name)
		}
		method := "ptrace"
		traces := ownTraces(ref.Traces, name)
		if !o.traces() {
			method = "upperdir"
		} else if len(untraced([]string{name}, traces)) > 0 {
			return p, fmt.Errorf("%s: container %s ran, but was not traced", s.Name(), name)
		}
		c := profile.Derive(profile.Input{
			Name: name, Image: s.image(name), Digest: root.digest, Method: method,
			Traces: traces, Left: withoutExercise(ref.Left[name], tracesOf(ref.Traces, name)), Rootfs: root.Rootfs,
		})
		if !o.traces() {
			c.Weak = append(c.Weak, "the runtime does not trace: of what was written, only what was left behind is known")
		}
		spec, _ := containerOf(s.Object.Template.Spec, name)
		c.Command, c.Args = spec.Command, spec.Args
		p.Containers = append(p.Containers, c)
	}
	return p, nil
}

// loads returns the pieces of a load.
func loads(outcomes []Outcome) []string {
	var out []string
	for _, o := range outcomes {
		if !slices.Contains(out, o.Load) {
			out = append(out, o.Load)
		}
	}
	return out
}

func tracesOf(all []trace.Trace, container string) []trace.Trace {
	return slices.DeleteFunc(slices.Clone(all), func(t trace.Trace) bool { return t.Container != container })
}

func volumes(p profile.Profile) int {
	n := 0
	for _, c := range p.Containers {
		n += len(c.Volumes)
	}
	return n
}
