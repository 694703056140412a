package rollout

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A fake runs the sim of the other tests in a Loop.
type fake struct {
	*sim
	broken int // looks that fail first
}

func (f *fake) Observe(context.Context) (Observation, error) {
	if f.broken > 0 {
		f.broken--
		return Observation{}, errors.New("the runtime is away")
	}
	f.now = time.Now()
	f.live()
	return f.observe(), nil
}

func (f *fake) Execute(_ context.Context, d Decision) error {
	f.carryOut(d)
	return nil
}

func (f *fake) Update(do func(Spec, State) (State, []Event)) error {
	f.state, _ = do(f.spec, f.state)
	return nil
}

func TestALoopRidesOutWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{sim: newSim(t, rolling(3)), broken: 5}
		f.now = time.Now()
		f.apply(1, good)
		reports := 0
		l := Loop{Driver: f, Store: f, Report: func(error) { reports++ }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := l.Run(ctx, func(s State) bool { return s.Phase == Complete }); err != nil {
			t.Fatal(err)
		}
		if reports != 5 || f.generations()[1] != 3 {
			t.Errorf("%d reports, %v", reports, f.generations())
		}
	})
}

func TestALoopEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{sim: newSim(t, rolling(1))}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("enough"))
		defer cancel()
		if err := (Loop{Driver: f, Store: f}).Run(ctx, nil); err == nil || err.Error() != "enough" {
			t.Errorf("got %v", err)
		}
	})
}
