package profile

import (
	"fmt"
	"slices"
	"time"
)

// A Verdict is the result of the last proof of a profile.
type Verdict string

// The verdicts. A profile without one was written by hand, or before profiles
// had verdicts: whether it was ever proven is unknown.
const (
	Proven   Verdict = "proven"   // exercised, and nothing failed when it was sealed
	Weak     Verdict = "weak"     // nothing failed, but something was not seen
	Unproven Verdict = "unproven" // a proof failed
)

// ImageScope is the scope of a profile that was learned from an image alone.
const ImageScope = "image"

// NotSeen returns what was not seen while the workload was learned and proven, of
// all its containers. Nothing in it is unsolved.
func (p Profile) NotSeen() []string {
	out := slices.Clone(p.Weak)
	for _, c := range p.Containers {
		for _, w := range c.Weak {
			if !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out
}

// Unsolved returns a line for each write that no volume can allow.
func (p Profile) Unsolved() []string {
	var out []string
	for _, c := range p.Containers {
		for _, w := range c.Unsolved {
			line := fmt.Sprintf("container %s: %s", c.Name, w)
			if w.Reason != "" {
				line += ": " + w.Reason
			}
			out = append(out, line)
		}
	}
	return out
}

// checkVerdict refuses a verdict, scope or duration that Marshal would not write.
func (p Profile) checkVerdict() error {
	switch p.Verdict {
	case "", Proven, Weak, Unproven:
	default:
		return fmt.Errorf("verdict: %q is none of %s, %s and %s", p.Verdict, Proven, Weak, Unproven)
	}
	if p.Scope != "" && p.Scope != ImageScope {
		return fmt.Errorf("scope: %q is neither empty nor %s", p.Scope, ImageScope)
	}
	if d, err := p.duration(); err != nil || d < 0 {
		return fmt.Errorf("duration: %q is no duration such as 1m30s", p.Duration)
	}
	return nil
}

func (p Profile) duration() (time.Duration, error) {
	if p.Duration == "" {
		return 0, nil
	}
	return time.ParseDuration(p.Duration)
}

// addDurations returns the sum of two durations, of which an empty or invalid
// one counts as nothing.
func addDurations(a, b Profile) string {
	x, _ := a.duration()
	y, _ := b.duration()
	if x+y == 0 {
		return ""
	}
	return (x + y).String()
}

// once marks writes as seen in one run.
func once(writes []Write) []Write {
	for i := range writes {
		writes[i].Seen = 1
	}
	return writes
}
