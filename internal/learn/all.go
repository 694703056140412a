package learn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/adamant-sh/adamant/internal/learn/profile"
)

// LearnAll learns workloads one after the other; see Learn. Earlier profiles are
// found by the names of the workloads. With leaveOneOut the volumes of each proven
// profile are marked; see LeaveOneOut. While one is learned, the others run as they
// are if the file has a Service by which they can find each other. It returns what
// was learned also if some workloads could not be learned, with the errors of those.
func LearnAll(ctx context.Context, o Options, workloads []Workload, earlier []profile.Profile, leaveOneOut bool) ([]Lesson, error) {
	o.all, o.forecast = workloads, &forecast{tell: o.Expect}
	o.forecast.expect(trialsEach * len(workloads))
	var lessons []Lesson
	var failed []error
	for _, s := range workloads {
		l, err := Learn(ctx, o, s, profilesOf(earlier, s.Name())...)
		if err == nil && leaveOneOut && l.Proof.Passed {
			var marked Lesson
			if marked, err = LeaveOneOut(ctx, o, s, l); err == nil {
				l = marked
			}
		}
		if l.Profile.Name != "" {
			lessons = append(lessons, l)
		}
		if err != nil {
			failed = append(failed, named(s, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return lessons, errors.Join(failed...)
}

// named returns an error that names its workload.
func named(s Workload, err error) error {
	if strings.Contains(err.Error(), s.Name()) {
		return err
	}
	return fmt.Errorf("%s: %w", s.Name(), err)
}

// ProveAll proves workloads one after the other; see Prove. It returns the proofs
// that could be made also if some could not, with the errors of those.
func ProveAll(ctx context.Context, o Options, workloads []Workload) ([]Proof, error) {
	o.all, o.forecast = workloads, &forecast{tell: o.Expect}
	o.forecast.expect(trialsEach * len(workloads))
	var proofs []Proof
	var failed []error
	for _, s := range workloads {
		p, err := Prove(ctx, o, s)
		if err == nil {
			proofs = append(proofs, p)
		} else {
			failed = append(failed, named(s, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return proofs, errors.Join(failed...)
}

// trialsEach is the number of trials of a workload: writable and sealed.
const trialsEach = 2

// about returns the options to run one workload: the load, with the workloads that
// it is meant for.
func (o Options) about(s Workload) (Options, error) {
	if o.all == nil {
		o.all = []Workload{s}
	}
	var err error
	o.subject = s
	o.pieces, err = o.Load.assign(o.all)
	return o, err
}
