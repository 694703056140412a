// Package probe runs probes by HTTP, TCP, gRPC or a command, on the schedule of a
// kubelet, and applies success and failure thresholds to their results.
//
// The caller decides what follows from a verdict. The package does not depend on
// manifests or on a container runtime.
package probe

import (
	"context"
	"time"
)

// A Result is the result of one probe.
type Result struct {
	OK      bool
	Unknown bool   // the probe could not be run; the result does not count
	Output  string // response, output or error, of at most maxOutput bytes
}

// maxOutput bounds the output of a Result, in bytes. It is the kubelet's.
const maxOutput = 10 << 10

// A Handler runs one probe. Getting no response is a failure.
type Handler interface {
	Probe(ctx context.Context) Result
}

// A Schedule is the schedule and the thresholds of a probe. Zero values mean the
// defaults of the Kubernetes API.
type Schedule struct {
	InitialDelay     time.Duration // after the container's start
	Period           time.Duration // 10 s if 0
	Timeout          time.Duration // of each probe; 1 s if 0
	SuccessThreshold int           // 1 if 0
	FailureThreshold int           // 3 if 0

	// Eager adds probes before the first success: 100 ms after a probe, then
	// after twice that, until a whole period has passed. A failure of an added
	// probe does not count. Eager has no effect if SuccessThreshold is above 1.
	Eager bool
}

func (s Schedule) withDefaults() Schedule {
	orDefault(&s.Period, 10*time.Second)
	orDefault(&s.Timeout, time.Second)
	orDefault(&s.SuccessThreshold, 1)
	orDefault(&s.FailureThreshold, 3)
	s.Eager = s.Eager && s.SuccessThreshold == 1
	return s
}

func orDefault[T ~int | ~int64](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// A Verdict is the state of a probe after a result.
type Verdict struct {
	OK      bool   // the success threshold was reached last
	Changed bool   // this result changed OK or Known
	Known   bool   // a threshold has been reached
	Last    Result // this result
	Row     int    // number of equal results in a row, with this one
}

// Run runs probes until ctx ends or report returns false: first at started plus
// the initial delay, then every period. Probes do not overlap. While the probe
// succeeds it runs on whole seconds, so that the machine wakes up once for all
// probes. report is called with each verdict.
func Run(ctx context.Context, h Handler, s Schedule, started time.Time, report func(Verdict) bool) {
	s = s.withDefaults()
	next := time.NewTimer(time.Until(started.Add(s.InitialDelay)))
	defer next.Stop()
	var c counter
	p := pace{Schedule: s, extra: soon}
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		began := time.Now()
		result := ask(ctx, h, s.Timeout)
		if ctx.Err() != nil {
			return // the probe may have failed because ctx ended
		}
		well := false
		if p.counts(began, result) {
			v := c.count(result, s)
			if !report(v) {
				return
			}
			well = v.OK && result.OK && !v.Changed
		}
		next.Reset(max(0, time.Until(p.next(began, c, well))))
	}
}

// soon is the delay before the first added probe of an eager schedule.
const soon = 100 * time.Millisecond

// A pace computes the times of probes.
type pace struct {
	Schedule
	due   time.Time     // of the next regular probe
	extra time.Duration // delay before the next added probe
}

// counts reports whether the result of a probe counts. If it does, the next period
// begins with this probe.
func (p *pace) counts(began time.Time, r Result) bool {
	if began.Before(p.due) && !r.OK {
		return false
	}
	p.due = began.Add(p.Period)
	return !r.Unknown
}

// next returns the time of the next probe.
func (p *pace) next(began time.Time, c counter, well bool) time.Time {
	if well {
		p.due = began.Add(p.Period).Round(time.Second)
	}
	if !p.Eager || c.known && c.ok {
		return p.due
	}
	at := began.Add(p.extra)
	p.extra *= 2
	if at.After(p.due) {
		return p.due
	}
	return at
}

func ask(ctx context.Context, h Handler, timeout time.Duration) Result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := h.Probe(ctx)
	r.Output = r.Output[:min(len(r.Output), maxOutput)]
	return r
}

// A counter computes verdicts from results.
type counter struct {
	last  bool
	row   int
	known bool
	ok    bool
}

func (c *counter) count(r Result, s Schedule) Verdict {
	if c.row > 0 && c.last == r.OK {
		c.row++
	} else {
		c.row = 1
	}
	c.last = r.OK
	threshold := s.FailureThreshold
	if r.OK {
		threshold = s.SuccessThreshold
	}
	changed := false
	if c.row >= threshold {
		changed = !c.known || c.ok != r.OK
		c.known, c.ok = true, r.OK
	}
	return Verdict{OK: c.known && c.ok, Known: c.known, Changed: changed, Last: r, Row: c.row}
}
