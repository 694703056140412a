package rollout

import (
	"context"
	"fmt"
	"time"
)

// A Driver runs the instances of one workload. The Loop calls its methods one
// after the other.
type Driver interface {
	// Observe returns the current state of all instances. It returns an error
	// if it cannot find out all of it: a decision on a part may remove the last
	// instance that serves.
	Observe(ctx context.Context) (Observation, error)
	// Execute starts the decision's changes and does not wait for them. The
	// next Observe must show them: an instance that is being removed is Ending,
	// and one that is being created exists. The same decision may come again.
	Execute(ctx context.Context, d Decision) error
}

// A Store keeps the Spec and the State of one workload.
type Store interface {
	// Update calls f with the stored values and stores the state that f returns
	// before it returns itself. Others may change the state between two calls,
	// so f must decide by its arguments alone.
	Update(f func(Spec, State) (State, []Event)) error
}

// A Loop drives one workload: observe, decide, store, execute.
type Loop struct {
	Driver       Driver
	Store        Store
	Changed      <-chan struct{}  // receives when something changed
	Interval     time.Duration    // between two observations during a rollout; 1 s if 0
	IdleInterval time.Duration    // between two observations otherwise; 30 s if 0
	Now          func() time.Time // time.Now if nil
	Report       func(error)      // receives errors, after which the loop tries again; may be nil
}

// Run drives the workload until ctx ends or done returns true for a state. A
// nil done never does.
func (l Loop) Run(ctx context.Context, done func(State) bool) error {
	for {
		state, wake, err := l.step(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && l.Report != nil {
			l.Report(err)
		}
		if err == nil && done != nil && done(state) {
			return nil
		}
		if err := l.wait(ctx, state.Phase.Ended() && err == nil, wake); err != nil {
			return err
		}
	}
}

// step makes one decision and starts executing it. The decision is stored
// first: after a crash in between, the next process finds the new state and
// executes the decision again, which is harmless, whereas an executed decision
// that was not stored would be lost.
func (l Loop) step(ctx context.Context) (State, time.Time, error) {
	o, err := l.Driver.Observe(ctx)
	if err != nil {
		return State{}, time.Time{}, fmt.Errorf("observe: %w", err)
	}
	var state State
	var decision Decision
	err = l.Store.Update(func(spec Spec, before State) (State, []Event) {
		state, decision = Next(spec, before, o, l.now())
		return state, decision.Events
	})
	if err != nil {
		return state, time.Time{}, err
	}
	return state, decision.Wake, l.Driver.Execute(ctx, decision)
}

func (l Loop) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

// wait waits for a change, for the decision's wake-up time or for the interval,
// whichever comes first.
func (l Loop) wait(ctx context.Context, isIdle bool, wake time.Time) error {
	pause := l.IdleInterval
	if pause == 0 {
		pause = 30 * time.Second
	}
	if !isIdle {
		if pause = l.Interval; pause == 0 {
			pause = time.Second
		}
	}
	if !wake.IsZero() {
		pause = min(pause, max(wake.Sub(l.now()), 0))
	}
	t := time.NewTimer(max(pause, 10*time.Millisecond))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
	case <-l.Changed:
	}
	return nil
}
