package learn

import (
	"context"

	"github.com/adamant-sh/adamant/internal/learn/profile"
)

// LearnAll learns workloads one after the other; see Learn. Earlier profiles are
// found by the names of the workloads. With leaveOneOut the volumes of each proven
// profile are marked; see LeaveOneOut.
func LearnAll(ctx context.Context, o Options, workloads []Workload, earlier []profile.Profile, leaveOneOut bool) ([]Lesson, error) {
	o.all = workloads
	var lessons []Lesson
	for _, s := range workloads {
		l, err := Learn(ctx, o, s, profilesOf(earlier, s.Name())...)
		if err != nil {
			return nil, err
		}
		if leaveOneOut && l.Proof.Passed {
			if l, err = LeaveOneOut(ctx, o, s, l); err != nil {
				return nil, err
			}
		}
		lessons = append(lessons, l)
	}
	return lessons, nil
}

// ProveAll proves workloads one after the other; see Prove.
func ProveAll(ctx context.Context, o Options, workloads []Workload) ([]Proof, error) {
	o.all = workloads
	var proofs []Proof
	for _, s := range workloads {
		p, err := Prove(ctx, o, s)
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, p)
	}
	return proofs, nil
}

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
