package conformance

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// limit is the time limit of a scenario.
const limit = 2 * time.Minute

// Run runs all scenarios, each in its own world. They run in parallel if
// newWorld calls t.Parallel.
func Run(t *testing.T, newWorld func(t *testing.T) World) {
	for _, s := range []struct {
		name string
		run  func(*scene)
	}{
		{"a new version replaces the old one", replaces},
		{"a crashing version goes back", goesBack(Crashes, "crashed")},
		{"a version that is never ready goes back", goesBack(NeverReady, "no progress")},
		{"a version whose gates let pass replaces the old one", passes},
		{"a version whose gate command fails goes back", goesBack(CommandRefuses, "exit status 3: refused")},
		{"a version whose gate page fails goes back", goesBack(PageRefuses, "status 50")},
		{"after going back the next version is taken", takesTheNext},
		{"after a kill the same version goes on", goesOn},
		{"after a kill a crashing version still goes back", goesOnBack},
		{"a first version that crashes has failed", failsAtFirst},
	} {
		t.Run(s.name, func(t *testing.T) {
			world := newWorld(t) // may wait, if scenarios run in parallel
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			s.run(&scene{t, ctx, world})
		})
	}
}

// A scene is a scenario in a world.
type scene struct {
	t     *testing.T
	ctx   context.Context
	world World
}

func replaces(s *scene) {
	s.establish("v1")
	defer s.watch()()
	s.apply("v2", Good)
	s.ends(rollout.Complete)
	s.runs("v2")
}

func passes(s *scene) {
	s.establish("v1")
	defer s.watch()()
	s.apply("v2", Passes)
	s.ends(rollout.Complete)
	s.runs("v2")
}

func goesBack(n Nature, reason string) func(*scene) {
	return func(s *scene) {
		s.establish("v1")
		defer s.watch()()
		s.apply("v2", n)
		if got := s.ends(rollout.RolledBack); !strings.Contains(got.Reason, reason) {
			s.t.Errorf("the reason is %q: want it to say %q", got.Reason, reason)
		}
		s.runs("v1")
	}
}

func takesTheNext(s *scene) {
	s.establish("v1")
	s.apply("v2", Crashes)
	s.ends(rollout.RolledBack)
	defer s.watch()()
	s.apply("v3", Good)
	s.ends(rollout.Complete)
	s.runs("v3")
}

func goesOn(s *scene) {
	s.establish("v1")
	defer s.watch()()
	s.apply("v2", Good)
	s.killOnce("v2")
	s.apply("v2", Good)
	s.ends(rollout.Complete)
	s.runs("v2")
}

func goesOnBack(s *scene) {
	s.establish("v1")
	defer s.watch()()
	s.apply("v2", Crashes)
	s.killOnce("v2")
	s.resume()
	s.ends(rollout.RolledBack)
	s.runs("v1")
}

func failsAtFirst(s *scene) {
	s.apply("v1", Crashes)
	if got := s.ends(rollout.Failed); !strings.Contains(got.Reason, "crashed") {
		s.t.Errorf("the reason is %q: want it to say that it crashed", got.Reason)
	}
}

// establish rolls out a first version.
func (s *scene) establish(version string) {
	s.t.Helper()
	s.apply(version, Good)
	s.ends(rollout.Complete)
	s.runs(version)
}

func (s *scene) apply(version string, n Nature) {
	s.t.Helper()
	if err := s.world.Apply(s.ctx, version, n); err != nil {
		s.t.Fatalf("apply %s: %v", version, err)
	}
}

// ends waits for the end of the rollout and requires its phase.
func (s *scene) ends(want rollout.Phase) rollout.State {
	s.t.Helper()
	state, err := s.world.Wait(s.ctx)
	if err != nil {
		s.t.Fatalf("wait: %v", err)
	}
	if state.Phase != want {
		s.t.Fatalf("the rollout ended as %s, %q: want %s", state.Phase, state.Reason, want)
	}
	return state
}

// runs requires that all instances are of one version.
func (s *scene) runs(version string) {
	s.t.Helper()
	got, err := s.world.Instances(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{version: Spec().Replicas}, got); d != "" {
		s.t.Errorf("instances by version (-want +got):\n%s", d)
	}
}

// killOnce kills the driver as soon as an instance of a version exists.
func (s *scene) killOnce(version string) {
	s.t.Helper()
	for {
		got, err := s.world.Instances(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		if got[version] > 0 {
			s.world.Kill()
			return
		}
		s.pause()
	}
}

func (s *scene) resume() {
	s.t.Helper()
	if err := s.world.Resume(s.ctx); err != nil {
		s.t.Fatalf("resume: %v", err)
	}
}

// watch counts the ready instances until stop is called, which fails the test
// if there were ever too few.
func (s *scene) watch() (stop func()) {
	least, failed := Spec().Replicas, error(nil)
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			n, err := s.world.Ready(ctx)
			if err == nil {
				least = min(least, n)
			} else if ctx.Err() == nil {
				failed = err
			}
			s.pause()
		}
	}()
	return func() {
		cancel()
		<-done
		if failed != nil {
			s.t.Errorf("count ready instances: %v", failed)
		}
		if least < Spec().Replicas {
			s.t.Errorf("only %d instances were ready for a while: want %d at any time", least, Spec().Replicas)
		}
	}
}

// pause waits between two checks.
func (s *scene) pause() {
	select {
	case <-s.ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
}
