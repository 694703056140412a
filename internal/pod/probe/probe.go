// Package probe asks a program whether it works, by HTTP, TCP, gRPC or a
// command, when and as often as a kubelet would, and counts what it hears.
//
// It decides nothing: what follows from a verdict is the caller's business. It
// knows neither manifests nor a container runtime.
package probe

import (
	"context"
	"time"
)

// A Result is the outcome of asking once.
type Result struct {
	OK      bool
	Unknown bool   // nobody could ask; it counts for nothing
	Output  string // what was seen, cut to MaxOutput bytes
}

// maxOutput bounds the output of a Result, in bytes. It is the kubelet's.
const maxOutput = 10 << 10

// A Handler asks once. That it gets no answer is a failure like any other.
type Handler interface {
	Probe(ctx context.Context) Result
}

// A Schedule is when to ask and how many answers of a kind it takes to
// believe them. Zero values are those of the Kubernetes API.
type Schedule struct {
	InitialDelay     time.Duration // after the container's start
	Period           time.Duration // 10 s if 0
	Timeout          time.Duration // of each time, 1 s if 0
	SuccessThreshold int           // 1 if 0
	FailureThreshold int           // 3 if 0

	// Eager has it asked more often at first: after 100 ms, then after twice
	// that, until the first success or a whole period. A failure that comes of
	// this counts for nothing. With more than one success wanted it is not done.
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

// A Verdict is what is believed after some answer.
type Verdict struct {
	OK      bool   // believed, after as many answers as the threshold wants
	Changed bool   // this answer changed what is believed; also true of the first belief
	Known   bool   // any threshold was reached yet
	Last    Result // this answer
	Row     int    // how many answers in a row were like this one
}

// Run asks until ctx ends: first at started plus the initial delay, then every
// period, never twice at a time. While all is well it asks on whole seconds, so
// that this machine wakes up once for all probes. It tells each verdict to
// report, which returns whether to go on.
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
			return // the answer is about the end, not about the program
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

// soon is when an eager schedule asks again the first time.
const soon = 100 * time.Millisecond

// A pace computes when to ask.
type pace struct {
	Schedule
	due   time.Time     // an answer counts from then on, whatever it is
	extra time.Duration // until an eager schedule asks again
}

// counts reports whether an answer counts, and anchors the period to it.
func (p *pace) counts(began time.Time, r Result) bool {
	if began.Before(p.due) && !r.OK {
		return false
	}
	p.due = began.Add(p.Period)
	return !r.Unknown
}

// next is when to ask again.
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

// A counter turns single answers into verdicts.
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
