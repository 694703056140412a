package learn

import (
	"context"
	"fmt"
	"slices"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// A Proof is the verdict on a sealed workload, with its evidence.
type Proof struct {
	document.Header
	Workload string `json:"workload"` // "Deployment/web"
	Passed   bool   `json:"passed"`

	Reasons  []string          `json:"reasons,omitempty"`  // why it did not pass, the most telling first
	Failures []Failure         `json:"failures,omitempty"` // calls that should not have failed
	Load     []Comparison      `json:"load"`               // the answers to each piece of load
	Widened  int               `json:"widened,omitempty"`  // times the profile was widened before
	Weak     []string          `json:"weak,omitempty"`     // why writes or failures may be missing
	Logs     map[string]string `json:"logs,omitempty"`     // by container, of a proof that did not pass
}

// A Failure is a call that failed in a container.
type Failure struct {
	Container string `json:"container"`
	profile.Failure
}

// A Comparison compares one piece of load on a writable root and sealed.
type Comparison struct {
	Load     string `json:"load"`
	Writable string `json:"writable"`
	Sealed   string `json:"sealed"`
	Alike    bool   `json:"alike"`
}

// Prove runs a sealed workload under load, after the same workload with a
// writable root. It passes only if it is healthy, the load is answered as
// before, and no call fails that succeeded when the root was writable.
func Prove(ctx context.Context, o Options, s Workload) (Proof, error) {
	if open := s.unsealed(); len(open) > 0 {
		return Proof{
			Header: document.NewHeader(document.Proof), Workload: s.Name(),
			Reasons: []string{fmt.Sprintf("container %s can write its root: seal it first", open[0])},
		}, nil
	}
	o, err := o.about(s)
	if err != nil {
		return Proof{}, err
	}
	ref, roots, err := o.reference(ctx, s)
	if err != nil {
		return Proof{}, err
	}
	o.say("%s: running it sealed", s.Name())
	proof, _, err := o.asIn(ref).prove(ctx, s, ref, roots)
	return proof, err
}

func (o Options) prove(ctx context.Context, s Workload, ref trial, roots containerRoots) (Proof, trial, error) {
	lent := s.loanFor(ref, roots)
	borrower, err := s.with(lent)
	if err != nil {
		return Proof{}, trial{}, err
	}
	t, err := o.try(ctx, borrower.trial("prove"))
	if err != nil {
		return Proof{}, t, err
	}
	t.Traces, t.lent = lent.repaid(t.Traces), lent
	p := Proof{Header: document.NewHeader(document.Proof), Workload: s.Name(), Load: compare(ref.Outcomes, t.Outcomes)}
	if !t.Healthy {
		p.Reasons = append(p.Reasons, "not healthy: "+t.Failure)
	}
	for i, c := range p.Load {
		if t.Healthy && !c.Alike {
			reason := fmt.Sprintf("load %s: %s when sealed, %s when writable", c.Load, c.Sealed, c.Writable)
			if i < len(t.Outcomes) {
				reason += t.ownFault(t.Outcomes[i])
			}
			p.Reasons = append(p.Reasons, reason)
		}
	}
	for _, name := range s.containers() {
		for _, f := range profile.Compare(ownTraces(ref.Traces, name), ownTraces(t.Traces, name), roots[name].Rootfs) {
			p.Failures = append(p.Failures, Failure{name, f})
			if !f.Mild {
				p.Reasons = append(p.Reasons, fmt.Sprintf("container %s: %s %s failed: %s (%s)", name, f.Op, f.Path, f.Errno, f.Reason))
			}
		}
	}
	for _, trace := range t.Traces {
		p.Weak = append(p.Weak, trace.Weak...)
		if !trace.Complete {
			p.Reasons = append(p.Reasons, fmt.Sprintf("container %s: its trace was cut short, so a failed call may have been missed", trace.Container))
		}
	}
	if o.traces() && t.Healthy {
		for _, name := range untraced(s.containers(), t.Traces) {
			p.Reasons = append(p.Reasons, fmt.Sprintf("container %s was not traced, so no failed call can have been seen", name))
		}
	}
	if !o.traces() {
		p.Weak = append(p.Weak, "this runtime does not trace: calls that fail without an effect on health or load are not seen")
	}
	p.Passed = len(p.Reasons) == 0
	if !p.Passed {
		p.Logs = t.Logs
	}
	return p, t, nil
}

// untraced returns the containers whose own program has no trace. The trace of
// a command in the container is not enough.
func untraced(containers []string, traces []trace.Trace) []string {
	return slices.DeleteFunc(slices.Clone(containers), func(name string) bool {
		return slices.ContainsFunc(traces, func(t trace.Trace) bool { return t.Container == name && t.Root == "init" })
	})
}

// of returns the failures in one container.
func (p Proof) of(container string) []profile.Failure {
	var out []profile.Failure
	for _, f := range p.Failures {
		if f.Container == container {
			out = append(out, f.Failure)
		}
	}
	return out
}

// compare matches the load of two runs, which made the same requests in the
// same order. A run that ended early has no answers for the rest.
func compare(writable, sealed []Outcome) []Comparison {
	out := make([]Comparison, len(writable))
	for i, w := range writable {
		out[i] = Comparison{Load: w.Load, Writable: w.Result, Sealed: "not asked"}
		if i < len(sealed) {
			out[i].Sealed, out[i].Writable, out[i].Alike = sealed[i].against(w)
		}
	}
	return out
}
