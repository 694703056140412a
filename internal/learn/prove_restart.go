package learn

import (
	"fmt"
	"strings"
)

const startedAgain = "started again"

// outcome returns the result of a restart in a few words.
func (r restart) outcome() string {
	if r.Failure == "" {
		return startedAgain
	}
	return r.Failure
}

// compareRestarts adds the restarts of two trials to a proof, and what it follows
// from their differences. A workload that does not come back with a writable root
// either proves nothing.
func (p *Proof) compareRestarts(ref, t trial, roots containerRoots) {
	p.compareRepeated(ref, t)
	for i, r := range ref.Restarts {
		if i >= len(t.Restarts) {
			return // an earlier one is the reason
		}
		sealed := t.Restarts[i]
		both := Restart{When: r.When, Writable: r.outcome(), Sealed: sealed.outcome(), Alike: true}
		switch {
		case r.Failure != "":
			p.addWeak(fmt.Sprintf("after it was killed %s, it does not start again with a writable root either, so its restart is not proven: %s", r.When, firstLine(r.Failure)))
		case sealed.Failure != "":
			both.Alike = false
			both.Kept = suspects(sealed.Kept, roots[sealed.Container].Rootfs, t.Logs[sealed.Container])
			p.Reasons = append(p.Reasons, sealed.reason(both.Kept))
		default:
			both.Load = compare(r.Outcomes, sealed.Outcomes)
			for j := range both.Load {
				c := &both.Load[j]
				switch {
				case c.Alike, !ref.repeats(j):
				case !r.Outcomes[j].isAsGood(ref.Again[j]):
					p.addWeak(fmt.Sprintf("load %s: %s with a writable root after a restart %s, so it was not compared", c.Load, c.Writable, r.When))
				default:
					both.Alike = false
					p.Reasons = append(p.Reasons, c.reason("after a restart "+r.When+": load "))
				}
			}
		}
		p.Restarts = append(p.Restarts, both)
		if r.Failure != "" || sealed.Failure != "" {
			return
		}
	}
}

// compareRepeated compares the second round of the load. What cannot be repeated
// with a writable root cannot be compared after a restart.
func (p *Proof) compareRepeated(ref, t trial) {
	if len(ref.Repeated) == 0 || len(t.Repeated) == 0 {
		return
	}
	for i, c := range compare(ref.Repeated, t.Repeated) {
		switch {
		case !ref.repeats(i):
			p.addWeak(fmt.Sprintf("load %s works only once (%s the second time), so it was not compared after a restart", c.Load, c.Writable))
		case !c.Alike:
			p.Reasons = append(p.Reasons, c.reason("the second time: load "))
		}
	}
}

// repeats reports whether piece i of the load had the same answer twice. The
// output of commands is not compared.
func (t trial) repeats(i int) bool {
	return i >= len(t.Repeated) || i >= len(t.Again) || t.Repeated[i].isAsGood(t.Again[i])
}

// reason returns why a restart fails a proof. kept are paths that may explain it.
func (r restart) reason(kept []string) string {
	text := fmt.Sprintf("after it was killed %s, container %s does not start again: %s", r.When, r.Container, r.Failure)
	if len(kept) > 0 {
		text += fmt.Sprintf("\n    left by the run that was killed, in volumes that outlive a restart, where a writable root is new: %s", strings.Join(kept, ", "))
	} else {
		text += "\n    its volumes outlive a restart, where a writable root is new"
	}
	return text + "\n    it cannot be sealed in this way, unless it removes or accepts at its start what it left"
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
