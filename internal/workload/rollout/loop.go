package rollout

import (
	"context"
	"fmt"
	"time"
)

// A Driver is where instances run. Of one workload, its methods are called one
// after the other.
type Driver interface {
	// Observe says what is true now. What it cannot find out is an error: a
	// decision must not be made on half of the truth.
	Observe(ctx context.Context) (Observation, error)
	// Execute begins what was decided and does not wait for it to be done; what
	// was begun shows in the next Observe: an instance that is to be removed is
	// Ending, one that is to be made is there. The same decision may come again.
	Execute(ctx context.Context, d Decision) error
}

// A Store keeps a workload's Spec and State.
type Store interface {
	// Update calls f with what is kept, and keeps what f returns, before it
	// returns itself. f decides on what it is given alone, since others may
	// change the state in between.
	Update(f func(Spec, State) (State, []Event)) error
}

// A Loop drives one workload.
type Loop struct {
	Driver       Driver
	Store        Store
	Changed      <-chan struct{}  // something changed: look again
	Interval     time.Duration    // between two looks while a rollout is under way; 1 s if 0
	IdleInterval time.Duration    // between two looks otherwise; 30 s if 0
	Now          func() time.Time // time.Now if nil
	Report       func(error)      // takes what went wrong; it is tried again
}

// Run looks and decides until ctx ends, or done, if it is not nil, says that
// the state is what was waited for.
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

// step decides once and begins what was decided. What is decided is kept
// before it is begun, so that whoever goes on after a crash knows of it.
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

// wait waits for a poke, or for as long as nothing can have changed.
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
