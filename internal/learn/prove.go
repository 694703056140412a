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
	Workload string          `json:"workload"` // "Deployment/web"
	Passed   bool            `json:"passed"`   // nothing failed
	Verdict  profile.Verdict `json:"verdict"`  // "proven", "weak" if nothing failed but something was not seen, or "unproven"

	Reasons  []string          `json:"reasons,omitempty"`  // why it did not pass, the most telling first
	Failures []Failure         `json:"failures,omitempty"` // calls that should not have failed
	Load     []Comparison      `json:"load"`               // the answers to each piece of load
	Restarts []Restart         `json:"restarts,omitempty"` // what followed when the containers were killed
	Widened  int               `json:"widened,omitempty"`  // times the profile was widened before
	Weak     []string          `json:"weak,omitempty"`     // what was not seen
	Logs     map[string]string `json:"logs,omitempty"`     // by container, of a proof that did not pass

	narrow bool // volumes were missing, as far as is known: others may help
}

// A Restart compares what followed when each container of a pod was killed and
// restarted, on a writable root and sealed.
type Restart struct {
	When     string       `json:"when"`           // "under load", "idle", or "at work" for a pod that is meant to end
	Writable string       `json:"writable"`       // "started again", or why not
	Sealed   string       `json:"sealed"`         // "started again", or why not
	Alike    bool         `json:"alike"`          // also the answers to the load
	Kept     []string     `json:"kept,omitempty"` // what the killed containers left in their volumes and may keep them from starting again
	Load     []Comparison `json:"load,omitempty"` // the answers after the restart
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
// writable root, and kills and restarts its containers in both. It passes only if
// it is healthy, the load is answered as before, it comes back after each kill as
// it did before, and no call fails that succeeded when the root was writable.
func Prove(ctx context.Context, o Options, s Workload) (Proof, error) {
	if open := s.unsealed(); len(open) > 0 {
		return Proof{
			Header: document.NewHeader(document.Proof), Workload: s.Name(), Verdict: profile.Unproven,
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
	proof, _, err := o.like(ref).prove(ctx, s, ref, roots)
	return proof, err
}

// like returns the options for another run of the workload, with the load, the
// kills and the retries of the first.
func (o Options) like(first trial) Options {
	o = o.asIn(first)
	o.noKills = o.noKills || first.unkilled
	o.retries = first.Retries
	o.answered = first.answeredAfter()
	if o.repeat = first.repeat; o.repeat == nil {
		o.repeat = []piece{}
	}
	return o
}

// prove runs a sealed workload and compares it with the writable run. If only the load
// fails, and no failed call explains that, the machine may have been too busy: the
// workload is run once more and gets as much time to answer as it has to get ready.
func (o Options) prove(ctx context.Context, s Workload, ref trial, roots containerRoots) (Proof, trial, error) {
	p, t, err := o.proveOnce(ctx, s, ref, roots)
	if err != nil || !o.traces() || !p.mayBeLate(ref, t) {
		return p, t, err
	}
	why := firstLine(p.Reasons[0])
	o.say("%s: %s, and no failed call explains it: running it sealed once more, with more time", s.Name(), why)
	o.patience = orElse(o.Ready, defaultReady)
	p, t, err = o.proveOnce(ctx, s, ref, roots)
	if err == nil && p.Passed {
		p.addWeak("its load failed in a first sealed run, which no failed call explains: " + why)
		p.Verdict = verdictOf(p.Passed, p.Weak)
	}
	return p, t, err
}

// mayBeLate reports whether a proof failed only because of load that was answered with a
// writable root, and that would have been tried again if there had been more time.
func (p Proof) mayBeLate(ref, t trial) bool {
	late := 0
	for i, c := range p.Load {
		switch {
		case c.Alike:
		case i >= len(t.Outcomes), t.Outcomes[i].OK, t.Outcomes[i].final, !ref.Outcomes[i].OK, t.ownFault(t.Outcomes[i]) != "":
			return false
		default:
			late++
		}
	}
	return late > 0 && late == len(p.Reasons)
}

func (o Options) proveOnce(ctx context.Context, s Workload, ref trial, roots containerRoots) (Proof, trial, error) {
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
			reason := c.reason("load ")
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
	for _, trace := range slices.Concat(ref.Traces, t.Traces) {
		p.addWeak(trace.Weak...)
	}
	for _, trace := range t.Traces {
		if !trace.Complete {
			p.Reasons = append(p.Reasons, fmt.Sprintf("container %s: its trace was cut short%s, so a failed call may have been missed", trace.Container, whyCut(t.Traces)))
		}
	}
	if o.traces() && t.Healthy {
		for _, name := range untraced(s.containers(), t.Traces) {
			p.Reasons = append(p.Reasons, fmt.Sprintf("container %s was not traced, so no failed call can have been seen", name))
		}
	}
	if !o.traces() {
		p.addWeak("this runtime does not trace: calls that fail without an effect on health or load are not seen")
	}
	p.addWeak(ref.Weak...)
	p.addWeak(t.Weak...)
	p.narrow = len(p.Reasons) > 0
	if t.Healthy {
		p.compareRestarts(ref, t, roots)
	}
	p.Passed = len(p.Reasons) == 0
	p.Verdict = verdictOf(p.Passed, p.Weak)
	if !p.Passed {
		p.Logs = t.Logs
	}
	return p, t, nil
}

// addWeak adds what was not seen, each line once.
func (p *Proof) addWeak(lines ...string) {
	for _, line := range lines {
		if !slices.Contains(p.Weak, line) {
			p.Weak = append(p.Weak, line)
		}
	}
}

func verdictOf(passed bool, weak []string) profile.Verdict {
	switch {
	case !passed:
		return profile.Unproven
	case len(weak) > 0:
		return profile.Weak
	}
	return profile.Proven
}

// untraced returns the containers whose own program has no trace. The trace of
// a command in the container is not enough.
func untraced(containers []string, traces []trace.Trace) []string {
	return slices.DeleteFunc(slices.Clone(containers), func(name string) bool {
		return slices.ContainsFunc(traces, func(t trace.Trace) bool { return t.Container == name && t.Root == "init" })
	})
}

// reason returns why a piece of load that is not alike fails a proof.
func (c Comparison) reason(prefix string) string {
	return fmt.Sprintf("%s%s: %s when sealed, %s when writable", prefix, c.Load, c.Sealed, c.Writable)
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
