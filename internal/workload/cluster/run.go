package cluster

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// run begins a rollout and drives it to its end.
func (w *workload) run(ctx context.Context, begin func(context.Context) error) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	// Deferred functions run in reverse order: the gates are canceled before
	// they are waited for.
	defer w.gates.Wait()
	defer cancel(nil)
	w.ctx, w.stop = ctx, func(err error) { cancel(err) }
	r := Result{Namespace: w.namespace, Name: w.name}
	if err := begin(ctx); err != nil {
		if errors.Is(err, errOvertaken) {
			r.Phase, r.Reason = Overtaken, err.Error()
			return r, nil
		}
		return r, errors.Join(err, timedOut(ctx), w.left())
	}
	var last rollout.State
	loop := rollout.Loop{Driver: w, Store: w, Interval: cmp.Or(w.opts.Interval, 500*time.Millisecond), Report: w.report}
	err := loop.Run(ctx, func(s rollout.State) bool {
		last = s
		w.progress()
		return s.Phase.Ended() || s.Paused && w.isHeld
	})
	r.Phase, r.Reason, r.Generation = last.Phase, last.Reason, last.Target
	switch {
	case errors.Is(err, errOvertaken), errors.Is(err, errTakenOver):
		r.Phase, r.Reason = Overtaken, err.Error()
		return r, nil
	case err != nil:
		return r, errors.Join(err, w.left())
	case !last.Phase.Ended():
		r.Paused = true
		return r, nil
	}
	r.Unchecked = w.unchecked(last.Target)
	return r, nil
}

// progress passes the status on if it has changed.
func (w *workload) progress() {
	if w.opts.Progress == nil {
		return
	}
	if s, err := w.status(w.observed); err == nil && s != w.shown {
		w.shown = s
		w.opts.Progress(s)
	}
}

// timedOut returns errTimeout if ctx ended for that, which the errors of requests do
// not tell.
func timedOut(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, errTimeout) {
		return err
	}
	return nil
}

// unchecked returns the pods of a generation that may have drifted and were not
// compared.
func (w *workload) unchecked(n int) []string {
	var names []string
	rs := ofGeneration(w.observed.sets, n)
	if rs == nil {
		return nil
	}
	for _, p := range w.observed.pods[rs.UID] {
		if d := w.drift(w.ctx, p); d == rollout.Unchecked || d == rollout.Unknown {
			names = append(names, p.Name)
		}
	}
	return names
}
