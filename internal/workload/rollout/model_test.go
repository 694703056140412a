package rollout

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seedsVariable is the environment variable with the number of random lives. make model
// runs a million.
const seedsVariable = "ADAMANT_MODEL_SEEDS"

// TestRandomLives checks the invariants over many random sequences of applies of new,
// old and running generations, undos, crashes, kills, failing probes, drift, scaling,
// pauses, lost traffic and clock jumps, in all strategies, and of partitions and orders of StatefulSets. Some time after they stop,
// in any phase, enough instances are ready, and then each rollout ends.
func TestRandomLives(t *testing.T) {
	seeds := 1000
	if v := os.Getenv(seedsVariable); v != "" {
		var err error
		if seeds, err = strconv.Atoi(v); err != nil {
			t.Fatalf("%s: %v", seedsVariable, err)
		}
	}
	workers := runtime.GOMAXPROCS(0)
	for n := range workers {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			for seed := n; seed < seeds; seed += workers {
				live(t, uint64(seed))
			}
		})
	}
}

// TestLivesOfFaults repeats lives in which the run of a million found faults.
func TestLivesOfFaults(t *testing.T) {
	for _, seed := range []uint64{
		355882, 624992, // a StatefulSet whose first new instance waits for a lower one that never gets ready
		406056, // a StatefulSet that is scaled down while one of the others never gets ready
	} {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			live(t, seed)
		})
	}
}

// live is one random life of a workload.
func live(t *testing.T, seed uint64) {
	natures := []nature{good, good, good, slow, crashes, drifts, unmade, badGate}
	r := rand.New(rand.NewPCG(seed, 1))
	specs := strategies(1 + r.IntN(6))
	spec := specs[slices.Sorted(maps.Keys(specs))[r.IntN(len(specs))]]
	spec.Gated = r.IntN(2) == 0
	spec.ByHand = r.IntN(3) == 0
	spec.MinReady = time.Duration(r.IntN(3)) * time.Second
	spec.OnDrift = []OnDrift{Report, Replace}[r.IntN(2)]
	spec.OnInconclusive = []OnInconclusive{"", Wait, Pass, Fail}[r.IntN(4)]
	spec.Budget = Budget{3, time.Minute}
	if spec.Kind == Canary && r.IntN(3) == 0 {
		spec.Steps = []Step{{Share: 1 + r.IntN(60), ByHand: true}}
	}
	s := newSim(t, spec)
	generation := 1
	s.apply(generation, good)
	for range 150 {
		s.disturb(r, &generation, natures)
		s.step()
	}
	fail := func(format string, args ...any) {
		t.Helper()
		s.logTrace(130)
		t.Fatalf("seed %d: %s\nstate %+v\nspec %+v", seed, fmt.Sprintf(format, args...), s.state, s.spec)
	}

	// Nothing else happens. Whatever the phase, the generation that runs has enough
	// instances soon.
	for range 60 {
		s.step()
	}
	if g := s.state.Stable; s.kind[g] == good && s.spec.Kind != Recreate {
		_, least := s.spec.limits()
		for range 20 {
			s.step()
			if n := s.ready(s.all, nil); n < least && s.state.Stable == g {
				fail("a minute later %d instances are ready, at least %d must be: %v", n, least, s.generations())
			}
		}
	}

	s.state, s.blind = s.state.Resume(s.now), ""
	for g := range s.kind {
		if s.kind[g] == drifts {
			s.kind[g] = slow // an image that drifts by itself keeps no number
		}
	}
	if s.spec.Ordinals != nil {
		s.spec.Kind, s.spec.Ordinals = RollingUpdate, &Ordinals{Start: s.spec.Ordinals.Start, Parallel: s.spec.Ordinals.Parallel}
	}
	s.spec.ByHand, s.spec.Steps = false, slices.DeleteFunc(slices.Clone(s.spec.Steps), func(step Step) bool { return step.ByHand })
	generation++
	s.apply(generation, good)
	s.settle()
	if s.state.Phase != Complete || s.state.Stable != generation {
		fail("it did not end")
	}
	if d := cmp.Diff(s.generations(), map[int]int{generation: s.spec.Replicas}); d != "" && s.spec.Replicas > 0 {
		fail("instances (-got +want):\n%s", d)
	}
}

// disturb causes one random event.
func (s *sim) disturb(r *rand.Rand, generation *int, natures []nature) {
	pick := func(do func(*Instance)) {
		if len(s.all) > 0 {
			do(&s.all[r.IntN(len(s.all))])
		}
	}
	switch r.IntN(40) {
	case 0:
		*generation++
		s.apply(*generation, natures[r.IntN(len(natures))])
	case 1:
		pick(func(i *Instance) { i.Ready, i.Crashes, i.Reason = false, i.Crashes+1, "killed" })
	case 2:
		pick(func(i *Instance) { i.Ready = false })
	case 3:
		pick(func(i *Instance) { i.Drift = Drifted })
	case 4:
		pick(func(i *Instance) { i.Ending = true }) // gone, for reasons of its own
	case 5:
		s.spec.Replicas = 1 + r.IntN(6)
	case 6:
		s.state.Paused = true
	case 7, 8:
		s.state = s.state.Resume(s.now)
	case 9:
		s.now = s.now.Add(time.Duration(r.IntN(7200)-600) * time.Second)
	case 10:
		s.fault = "requests failed"
	case 11, 12:
		if s.state.Stable != 0 {
			s.begin(s.state.Stable) // an undo, or an apply of what runs
		}
	case 13:
		s.begin(1 + r.IntN(*generation)) // an older manifest
	case 14:
		g := s.state.Stable
		for n := range s.all {
			if s.all[n].Generation == g {
				s.all[n].Ending = true // all that runs is lost at once
			}
		}
	case 16:
		if s.spec.Ordinals != nil {
			s.spec.Kind = []Kind{RollingUpdate, RollingUpdate, OnDelete}[r.IntN(3)]
			s.spec.Ordinals = &Ordinals{Start: s.spec.Ordinals.Start, Parallel: r.IntN(2) == 0, Partition: r.IntN(4)}
		}
	case 15:
		s.blind = []string{"", "3 of 20 requests"}[r.IntN(2)]
	}
}
