package rollout

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A sim simulates a driver: instances become ready after a while, depending on
// the nature of their generation.
type sim struct {
	t     *testing.T
	now   time.Time
	spec  Spec
	state State
	all   []Instance
	next  int
	fails map[int]Failure
	gate  GateResult
	fault string
	blind string // why traffic cannot be judged
	kind  map[int]nature
	// gaveUp is the generation that was being tried when the stable one was asked for.
	gaveUp int
	log    []Event
	trace  []func() string // of the decisions, a line each
}

// A nature is the behavior of a generation's instances.
type nature string

const (
	good    nature = "good"
	slow    nature = "slow"     // never ready
	crashes nature = "crashes"  // again and again
	drifts  nature = "drifts"   // right after its start
	unmade  nature = "unmade"   // cannot be made at all
	badGate nature = "bad gate" // healthy, but a gate says no
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newSim(t *testing.T, spec Spec) *sim {
	if spec.Deadline == 0 {
		spec.Deadline = time.Minute
	}
	return &sim{t: t, now: start, spec: spec, kind: map[int]nature{}, fails: map[int]Failure{}}
}

func rolling(replicas int) Spec {
	return Spec{Replicas: replicas, Kind: RollingUpdate, MaxSurge: intstr.FromString("25%"), MaxUnavailable: intstr.FromString("25%")}
}

func (s *sim) apply(generation int, n nature) {
	s.kind[generation] = n
	s.begin(generation)
}

// begin begins the rollout of a generation that exists, as an undo or an apply of an
// earlier manifest does.
func (s *sim) begin(generation int) {
	if s.gaveUp = 0; generation == s.state.Stable && s.state.Target != generation {
		s.gaveUp = s.state.Target
	}
	s.state = s.state.Begin(generation, s.now)
	s.fails, s.fault, s.gate = map[int]Failure{}, "", GateResult{}
}

// between returns a sim in which generation 1 runs and the rollout of 2 begins.
func between(t *testing.T, spec Spec, second nature) *sim {
	s := newSim(t, spec)
	s.apply(1, good)
	s.settle()
	s.apply(2, second)
	return s
}

// step lets a second pass, makes a decision and executes it.
func (s *sim) step() Decision {
	s.now = s.now.Add(time.Second)
	s.live()
	before := slices.Clone(s.all)
	state, d := Next(s.spec, s.state, s.observe(), s.now)
	s.check(state, before, d)
	s.state = state
	s.log = append(s.log, d.Events...)
	s.carryOut(d)
	return d
}

func (s *sim) observe() Observation {
	return Observation{Instances: slices.Clone(s.all), Failed: s.fails, Gate: s.gate, Fault: s.fault, Unjudged: s.blind}
}

// live updates the instances by their natures.
func (s *sim) live() {
	s.all = slices.DeleteFunc(s.all, func(i Instance) bool { return i.Ending })
	for n := range s.all {
		i := &s.all[n]
		if age := s.now.Sub(i.Created); age >= 0 && age < 2*time.Second { // less than 0 if the clock was set back
			continue
		}
		switch s.kind[i.Generation] {
		case slow:
		case crashes:
			i.Crashes, i.Reason = i.Crashes+1, "exit status 1"
		case drifts:
			i.Drift = Drifted
			fallthrough
		default:
			if !i.Ready {
				i.Ready, i.ReadySince = true, s.now
			}
			if i.Drift == Unchecked {
				i.Drift = Clean
			}
		}
	}
}

func (s *sim) carryOut(d Decision) {
	for _, g := range slices.Sorted(maps.Keys(d.Create)) {
		for range d.Create[g] {
			if s.kind[g] == unmade {
				s.fails[g] = Failure{s.fails[g].Times + 1, "no image"}
				break
			}
			s.next++
			s.all = append(s.all, Instance{ID: fmt.Sprintf("i%d", s.next), Generation: g, Created: s.now})
		}
	}
	for _, o := range slices.Sorted(maps.Keys(d.Ordinal)) {
		g := d.Ordinal[o]
		if s.kind[g] == unmade {
			s.fails[g] = Failure{s.fails[g].Times + 1, "no image"}
			continue
		}
		s.next++
		s.all = append(s.all, Instance{ID: fmt.Sprintf("i%d", s.next), Ordinal: o, Generation: g, Created: s.now})
	}
	for n := range s.all {
		if slices.Contains(d.Remove, s.all[n].ID) {
			s.all[n].Ending = true
		}
	}
	if d.Gate != "" && s.gate.Gate != d.Gate {
		s.gate = GateResult{Gate: d.Gate, Done: true}
		if s.kind[s.state.Target] == badGate {
			s.gate.Reason = "it says no"
		}
	}
}

func (s *sim) ready(list []Instance, is func(Instance) bool) int {
	n := 0
	for _, i := range list {
		if !i.Ending && i.Ready && (is == nil || is(i)) {
			n++
		}
	}
	return n
}

// check checks the invariants of each decision.
func (s *sim) check(state State, before []Instance, d Decision) {
	s.t.Helper()
	now, generations := s.now, s.generations()
	s.trace = append(s.trace, func() string {
		return fmt.Sprintf("%s %s target %d stable %d: %v wanted %v: create %v %v remove %v isolate %v shares %v gate %q", now.Format("15:04:05"), state.Phase, state.Target, state.Stable, generations, state.Wanted, d.Create, d.Ordinal, d.Remove, d.Isolate, d.Shares, d.Gate)
	})
	fail := func(format string, args ...any) {
		s.t.Helper()
		s.logTrace(25)
		s.t.Fatalf("%s\nspec %+v\ninstances %+v", fmt.Sprintf(format, args...), s.spec, before)
	}
	most, least := s.spec.limits()
	had := s.ready(before, nil)
	after := s.ready(before, func(i Instance) bool { return !slices.Contains(d.Remove, i.ID) })
	stops := s.spec.OnDrift == Stop || s.spec.Kind == Recreate
	if after < had && after < min(least, had) && !stops {
		fail("of %d instances that are ready %d would be left, at least %d must be", had, after, least)
	}
	if had > 0 && after == 0 && least > 0 && !stops {
		fail("the last instance that is ready would be removed")
	}
	if s.spec.Ordinals != nil {
		s.checkOrdinals(before, d, fail)
	}
	live := len(before) - s.ending(before) - len(d.Remove)
	for _, n := range d.Create {
		live += n
	}
	bound := max(2*max(most, s.spec.Replicas)+1, most+s.spec.Budget.Count)
	if state.Phase.Ended() || s.spec.Kind == RollingUpdate && state.Phase == Progressing && state.Target != state.Stable {
		bound = max(most+s.spec.Budget.Count, len(before))
	}
	if len(d.Create) > 0 && live > bound {
		fail("there would be %d instances, more than %d", live, bound)
	}
	for g := range d.Create {
		isOther := func(i Instance) bool { return i.Generation != g && !slices.Contains(d.Remove, i.ID) }
		if s.spec.Kind == Recreate && (len(d.Create) > 1 || slices.ContainsFunc(before, isOther)) {
			fail("an instance of generation %d would run beside one of another", g)
		}
	}
	total := 0
	for g, share := range d.Shares {
		total += share
		serves := s.ready(before, func(i Instance) bool { return i.Generation == g })
		if share > 0 && serves == 0 && had > 0 {
			fail("generation %d gets %d%% of the traffic and has nobody that serves", g, share)
		}
	}
	if total != 100 && state.Target != 0 {
		fail("the shares %v add up to %d", d.Shares, total)
	}
	if g, most := s.tried(state), s.share(state); g != 0 && d.Shares[g] > most {
		runs := s.ready(before, func(i Instance) bool {
			return i.Generation == state.Stable && !slices.Contains(d.Remove, i.ID) && !slices.Contains(d.Isolate, i.ID)
		})
		if runs > 0 {
			fail("generation %d is being tried and gets %d%% of the traffic, more than %d%%", g, d.Shares[g], most)
		}
	}
	if state.Phase == RollingBack && state.Target == state.From {
		fail("it goes back to the generation that was aborted")
	}
}

// logTrace prints the last decisions.
func (s *sim) logTrace(last int) {
	s.t.Helper()
	for _, line := range s.trace[max(0, len(s.trace)-last):] {
		s.t.Log(line())
	}
}

// tried returns the generation that is or was being tried while the stable one runs, 0
// if there is none.
func (s *sim) tried(state State) int {
	switch {
	case state.Stable == 0 || state.Phase != Progressing:
		return 0
	case state.Target != state.Stable:
		return state.Target
	}
	return s.gaveUp
}

// share returns the most traffic that the generation that is being tried may get, in
// percent.
func (s *sim) share(state State) int {
	switch {
	case s.spec.Kind == Canary && state.Step < len(s.spec.Steps):
		return s.spec.Steps[state.Step].Share
	case s.spec.Kind == BlueGreen && state.Switched.IsZero():
		return 0
	}
	return 100
}

func (s *sim) ending(list []Instance) int {
	n := 0
	for _, i := range list {
		if i.Ending {
			n++
		}
	}
	return n
}

// settle lets time pass until the rollout has ended, and a little longer.
func (s *sim) settle() {
	s.t.Helper()
	for range 600 {
		if s.step(); s.state.Phase.Ended() {
			for range 30 {
				s.step()
			}
			return
		}
	}
	s.logTrace(5)
	s.t.Fatalf("it never ended: %+v", s.state)
}

func (s *sim) generations() map[int]int {
	got := map[int]int{}
	for _, i := range s.all {
		if !i.Ending {
			got[i.Generation]++
		}
	}
	return got
}

func strategies(n int) map[string]Spec {
	r := rolling(n)
	one := r
	one.MaxSurge, one.MaxUnavailable = intstr.FromInt32(0), intstr.FromInt32(1)
	careful := r
	careful.MaxSurge, careful.MaxUnavailable = intstr.FromInt32(1), intstr.FromInt32(0)
	recreate := r
	recreate.Kind = Recreate
	blue := r
	blue.Kind, blue.Hold = BlueGreen, 5*time.Second
	canary := r
	canary.Kind, canary.Steps = Canary, []Step{{Share: 1, Pause: 3 * time.Second}, {Share: 50, Pause: 3 * time.Second}}
	stateful := one
	stateful.Ordinals = &Ordinals{Start: 1}
	parallel := stateful
	parallel.Ordinals, parallel.MaxUnavailable = &Ordinals{Parallel: true}, intstr.FromInt32(2)
	return map[string]Spec{
		"rolling": r, "no surge": one, "one by one": careful, "recreate": recreate, "blue/green": blue, "canary": canary,
		"stateful": stateful, "stateful, parallel": parallel,
	}
}

func TestAGenerationReplacesAnother(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10} {
		for name, spec := range strategies(n) {
			for _, gated := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %d instances, gated %v", name, n, gated), func(t *testing.T) {
					spec.Gated = gated
					s := newSim(t, spec)
					for g := 1; g <= 3; g++ {
						s.apply(g, good)
						s.settle()
						if s.state.Phase != Complete || s.state.Stable != g {
							t.Fatalf("generation %d: %+v", g, s.state)
						}
						if d := cmp.Diff(s.generations(), map[int]int{g: n}); d != "" {
							t.Fatalf("generation %d (-got +want):\n%s", g, d)
						}
					}
				})
			}
		}
	}
}

func TestABrokenGenerationGoesBack(t *testing.T) {
	for _, bad := range []nature{slow, crashes, drifts, unmade, badGate} {
		for name, spec := range strategies(3) {
			t.Run(fmt.Sprintf("%s, %s", bad, name), func(t *testing.T) {
				spec.Gated, spec.OnDrift, spec.Budget = true, Replace, Budget{2, time.Hour}
				s := between(t, spec, bad)
				s.settle()
				if s.state.Phase != RolledBack || s.state.Target != 1 || s.state.From != 2 || s.state.Reason == "" {
					t.Fatalf("got %+v", s.state)
				}
				if d := cmp.Diff(s.generations(), map[int]int{1: 3}); d != "" {
					t.Errorf("instances (-got +want):\n%s", d)
				}
			})
		}
	}
}

func TestTheFirstGenerationHasNothingToGoBackTo(t *testing.T) {
	s := newSim(t, rolling(2))
	s.apply(1, crashes)
	s.settle()
	if s.state.Phase != Failed || s.state.Target != 1 {
		t.Fatalf("got %+v", s.state)
	}
	s.apply(2, good)
	s.settle()
	if s.state.Phase != Complete || s.state.Stable != 2 {
		t.Fatalf("after a good one: %+v", s.state)
	}
}

func TestACanaryWaitsToBeResumed(t *testing.T) {
	spec := rolling(4)
	spec.Kind, spec.Steps = Canary, []Step{{Share: 25, ByHand: true}}
	s := between(t, spec, good)
	var d Decision
	for range 300 {
		d = s.step()
	}
	if s.state.Phase != Progressing || s.generations()[2] != 1 {
		t.Fatalf("it did not wait: %+v, %v", s.state, s.generations())
	}
	if diff := cmp.Diff(d.Shares, map[int]int{1: 75, 2: 25}); diff != "" {
		t.Errorf("shares (-got +want):\n%s", diff)
	}
	s.state = s.state.Resume(s.now)
	s.settle()
	if s.state.Phase != Complete {
		t.Fatalf("got %+v", s.state)
	}
}

func TestARollbackSkipsTheCanarysPauses(t *testing.T) {
	spec := rolling(4)
	spec.Kind, spec.Steps = Canary, []Step{{Share: 50, Pause: time.Minute}}
	s := between(t, spec, good)
	for range 10 {
		s.step()
	}
	s.fault = "1 of 10 requests failed"
	began := s.now
	s.settle()
	if took := s.now.Sub(began) - 30*time.Second; s.state.Phase != RolledBack || took > 20*time.Second {
		t.Fatalf("after %s: %+v", took, s.state)
	}
}

func TestDriftIsReplacedWithinItsBudget(t *testing.T) {
	spec := rolling(3)
	spec.OnDrift, spec.Budget = Replace, Budget{2, time.Hour}
	s := newSim(t, spec)
	s.apply(1, good)
	s.settle()
	drift := func() string {
		s.all[0].Drift = Drifted
		id := s.all[0].ID
		for range 20 {
			s.step()
		}
		return id
	}
	stays := func(id string) bool {
		return slices.ContainsFunc(s.all, func(i Instance) bool { return i.ID == id })
	}
	if id := drift(); stays(id) {
		t.Error("the first one was not replaced")
	}
	if id := drift(); stays(id) {
		t.Error("the second one was not replaced")
	}
	if id := drift(); !stays(id) {
		t.Error("a third one was replaced, beyond the budget")
	}
	said := 0
	for _, e := range s.log {
		if e.Reason == "DriftBudget" {
			said++
		}
	}
	if said != 1 {
		t.Errorf("that the budget is spent was said %d times", said)
	}
	s.now = s.now.Add(2 * time.Hour)
	s.all[0].Drift = Clean
	if id := drift(); stays(id) {
		t.Error("with the time over, one was not replaced")
	}
	if len(s.generations()) != 1 || s.generations()[1] != 3 {
		t.Errorf("got %v", s.generations())
	}
}

func TestStopKeepsADriftedInstanceAway(t *testing.T) {
	spec := rolling(3)
	spec.OnDrift, spec.Budget = Stop, Budget{3, time.Hour}
	s := newSim(t, spec)
	s.apply(1, good)
	s.settle()
	s.all[0].Drift = Drifted
	for range 20 {
		s.step()
	}
	if d := cmp.Diff(s.generations(), map[int]int{1: 2}); d != "" {
		t.Errorf("instances (-got +want):\n%s", d)
	}
}

func TestPausedByHandNothingIsReplaced(t *testing.T) {
	s := newSim(t, rolling(3))
	s.apply(1, good)
	s.settle()
	s.state.Paused = true
	s.apply(2, good)
	for range 300 {
		s.step()
	}
	if d := cmp.Diff(s.generations(), map[int]int{1: 3}); d != "" {
		t.Fatalf("instances (-got +want):\n%s", d)
	}
	s.state = s.state.Resume(s.now)
	s.settle()
	if s.state.Phase != Complete || s.state.Stable != 2 {
		t.Fatalf("got %+v", s.state)
	}
}
