package waves

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// fakeGroup is a Group whose servers end in given states.
type fakeGroup struct {
	mu    sync.Mutex
	begun []int
	early map[string]change.State // ends of earlier changes, by id
	ends  []change.State          // by server; a server without a stage is not reached
	look  Inspection
}

func (s *fakeGroup) Change(_ context.Context, i int, job change.Job) (change.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = append(s.begun, i)
	if s.ends[i].Stage == "" {
		return change.State{}, errors.New("no route to host")
	}
	st := s.ends[i]
	st.ID = job.ID
	return st, nil
}

func (s *fakeGroup) Follow(_ context.Context, _ int, id string) (change.State, error) {
	st, ok := s.early[id]
	if !ok {
		return change.State{}, errors.New("no route to host")
	}
	return st, nil
}

func (s *fakeGroup) Revert(_ context.Context, i int, id, why string) (change.State, error) {
	st := s.ends[i]
	st.ID, st.Stage, st.Undo = id, change.Reverted, &change.Undo{Why: why}
	return st, nil
}

func (s *fakeGroup) Boot(context.Context, int, string) (change.Boot, error) {
	return change.Boot{}, errors.New("no boot")
}

func (s *fakeGroup) Compare(context.Context, []int) (Inspection, error) { return s.look, nil }

var (
	fine     = change.State{Stage: change.Confirmed, Count: 1}
	half     = change.State{Stage: change.Confirmed, Count: 1, Failed: true, Cause: "it broke"}
	refused  = change.State{Stage: change.Refused, Failed: true, Cause: "busy"}
	reverted = change.State{Stage: change.Reverted, Count: 1, Undo: &change.Undo{Why: "nobody confirmed it"}}
	killed   = change.State{Stage: change.Interrupted, Failed: true}
	same     = change.State{Stage: change.Unchanged}
	away     = change.State{}
)

func record(n int) *Record {
	r := &Record{ID: "r"}
	for i := range n {
		r.Results = append(r.Results, Result{Server: fmt.Sprint("s", i)})
	}
	return r
}

func saved() error { return nil }

func TestOutcomesAreKeptApart(t *testing.T) {
	f := &fakeGroup{ends: []change.State{fine, half, refused, reverted, killed, same, away}}
	r := record(len(f.ends))
	o := Options{Batches: Batches{{Percent: 100}}, Parallel: 3}
	if err := Run(t.Context(), f, change.Job{}, o, r, saved); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		Outcome
		fine bool
	}{{Changed, true}, {HalfChanged, false}, {Unchanged, false}, {RolledBack, false}, {HalfChanged, false}, {Unchanged, true}, {Unreachable, false}} {
		if got := r.Results[i]; got.Outcome != want.Outcome || got.Succeeded() != want.fine {
			t.Errorf("server %d: got %s, fine %t; want %s, %t", i, got.Outcome, got.Succeeded(), want.Outcome, want.fine)
		}
	}
	if r.Worst() != HalfChanged {
		t.Errorf("the worst is %q", r.Worst())
	}
}

func TestHalfChangedIsTakenBackWhereAsked(t *testing.T) {
	f := &fakeGroup{ends: []change.State{half}}
	r := record(1)
	if err := Run(t.Context(), f, change.Job{}, Options{Revert: true}, r, saved); err != nil {
		t.Fatal(err)
	}
	if got := r.Results[0]; got.Outcome != RolledBack || !got.Failed {
		t.Errorf("got %+v", got)
	}
}

// For all results of servers: no wave begins after too many failures, every server
// is changed at most once, and each has an outcome.
func TestWavesEndWithTooManyFailures(t *testing.T) {
	states := []change.State{fine, fine, fine, half, refused, reverted, killed, same, away}
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := 1 + rnd.IntN(12)
		f := &fakeGroup{}
		for range n {
			f.ends = append(f.ends, states[rnd.IntN(len(states))])
		}
		o := Options{Batches: Batches{{Count: 1 + rnd.IntN(3)}, {Percent: 1 + rnd.IntN(60)}}, MaxFailures: Share{Count: rnd.IntN(3)}, Parallel: 1 + rnd.IntN(4)}
		r := record(n)
		if err := Run(t.Context(), f, change.Job{}, o, r, saved); err != nil {
			t.Fatal(err)
		}
		failed, begun := 0, 0
		for _, wave := range o.Batches.Waves(n) {
			over := failed > o.MaxFailures.Count
			for _, i := range wave {
				res := r.Results[i]
				if over != (res.Outcome == NotBegun) {
					t.Fatalf("seed %d: server %d is %s after %d failures", seed, i, res.Outcome, failed)
				}
				if !over {
					begun++
				}
			}
			for _, i := range wave {
				if r.Results[i].Failed {
					failed++
				}
			}
		}
		if begun != len(f.begun) {
			t.Fatalf("seed %d: %d changes for %d servers", seed, len(f.begun), begun)
		}
	}
}

func TestAttributeCauses(t *testing.T) {
	records := []Record{
		{Number: 1, By: "ada", Results: []Result{
			{Server: "a", Outcome: Changed, Change: change.State{ID: "1", Facts: []compare.FactChange{{Section: facts.Package, Key: "web", Before: "1", After: "2"}}}},
			{Server: "c", Outcome: Unchanged, Failed: true, Cause: "libweb is held", Change: change.State{ID: "3"}},
		}},
		{Number: 2, By: "bob", Reason: "a trial", Results: []Result{
			{Server: "b", Outcome: Changed, Change: change.State{ID: "2", Files: []compare.FileChange{{Path: "/etc/x", After: "mine"}}}},
		}},
	}
	c := compare.Comparison{
		Servers: []string{"a", "b", "c"},
		Differences: []compare.Difference{
			{Section: facts.Package, Key: "web", Values: map[string]string{"a": "2", "b": "2", "c": "1"}, Odd: []string{"c"}},
			{Section: compare.File, Key: "/etc/x", Values: map[string]string{"b": "mine"}, Odd: []string{"b"}},
			{Section: compare.File, Key: "/etc/y", Values: map[string]string{"b": "else"}, Odd: []string{"b"}},
		},
		Causes: []compare.Cause{
			{Kind: compare.ByPackage, Odd: []string{"c"}, Facts: []string{"package web"}},
			{Kind: compare.ByHand, Odd: []string{"b"}, Files: []string{"/etc/x"}},
			{Kind: compare.ByHand, Odd: []string{"b"}, Files: []string{"/etc/y"}},
		},
	}
	AttributeCauses(&c, records)
	for i, want := range []string{
		"failed update: run 1 by ada, unchanged: libweb is held", "intended change: run 2 by bob, a trial", "edited by hand: no run of update did it",
	} {
		if got := c.Causes[i].Why; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A failed update is why a server deviates, even if the majority failed.
func TestFailureOfTheMajority(t *testing.T) {
	web := func(before, after string) change.State {
		return change.State{ID: "1", Facts: []compare.FactChange{{Section: facts.Package, Key: "web", Before: before, After: after}}}
	}
	records := []Record{{Number: 4, By: "ada", Reason: "the new shop", Results: []Result{
		{Server: "a", Outcome: Changed, Change: web("1", "2")},
		{Server: "b", Outcome: RolledBack, Failed: true, Cause: "nobody confirmed it", Change: change.State{ID: "2"}},
		{Server: "c", Outcome: HalfChanged, Failed: true, Cause: "the disk is full", Change: web("1", "2 (half installed)")},
	}}}
	for name, test := range map[string]struct {
		values map[string]string
		odd    []string
		want   string
	}{
		"the majority failed": {map[string]string{"a": "2", "b": "1", "c": "1"}, []string{"a"},
			"failed update: run 4 by ada failed on most: b, c (rolled back: nobody confirmed it), and succeeded on a"},
		"half changed":    {map[string]string{"a": "1", "b": "1", "c": "2 (half installed)"}, []string{"c"}, "failed update: run 4 by ada, half changed: the disk is full"},
		"split":           {map[string]string{"a": "2", "b": "1", "c": "2 (half installed)"}, nil, "failed update: run 4 by ada, rolled back: nobody confirmed it"},
		"changed by hand": {map[string]string{"a": "3", "b": "1", "c": "1"}, []string{"a"}, "no run of update did it"},
	} {
		t.Run(name, func(t *testing.T) {
			c := compare.Comparison{
				Servers:     []string{"a", "b", "c"},
				Differences: []compare.Difference{{Section: facts.Package, Key: "web", Values: test.values, Odd: test.odd, Split: test.odd == nil}},
				Causes:      []compare.Cause{{Kind: compare.ByPackage, Odd: test.odd, Facts: []string{"package web"}}},
			}
			AttributeCauses(&c, records)
			if got := c.Causes[0].Why; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Something that could not be checked is reported and never counts as right.
func TestUnseenIsNotFine(t *testing.T) {
	unread := []facts.Unknown{{Path: "/etc/x", Reason: "input/output error"}, {Path: "/etc/y"}}
	blind := fine
	blind.Unknowns = unread
	for _, c := range []struct {
		name, want string
		end        change.State
		comparison compare.Comparison
	}{
		{"all seen", "", fine, compare.Comparison{}},
		{"change", "s0 has what may have changed and could not be read: /etc/x, input/output error and 1 more", blind, compare.Comparison{}},
		{"comparison", "s0 has what could not be read: /etc/x, input/output error and 1 more", fine, compare.Comparison{Unknowns: map[string][]facts.Unknown{"s0": unread}}},
		{"unreached", "s0 was not compared: gone", fine, compare.Comparison{Unreached: map[string]string{"s0": "gone"}}},
		{"another", "s1 was not compared: gone", fine, compare.Comparison{Unreached: map[string]string{"s1": "gone"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := record(1)
			r.Others = []string{"s1"}
			r.Results[0].Outcome, r.Results[0].Change = Changed, c.end
			if err := summarize(t.Context(), &fakeGroup{look: Inspection{Comparison: c.comparison}}, change.Job{}, r); err != nil {
				t.Fatal(err)
			}
			if r.Incomplete != (c.want != "") || !strings.HasSuffix(r.Statement, c.want) {
				t.Errorf("got %t, %q; want %q", r.Incomplete, r.Statement, c.want)
			}
		})
	}
}

// startGroup is a Group that checks that a change was recorded before it begins.
type startGroup struct {
	fakeGroup
	t     *testing.T
	saved map[string]bool // ids
}

func (b *startGroup) Change(ctx context.Context, i int, job change.Job) (change.State, error) {
	if !b.saved[job.ID] {
		b.t.Errorf("change %s began before that was written down", job.ID)
	}
	return b.fakeGroup.Change(ctx, i, job)
}

func TestWhatBeginsIsWrittenDownBefore(t *testing.T) {
	f := &startGroup{fakeGroup{ends: []change.State{fine, away, half}}, t, map[string]bool{}}
	r := record(3)
	save := func() error {
		for _, res := range r.Results {
			f.saved[res.Change.ID] = true
		}
		return nil
	}
	if err := Run(t.Context(), f, change.Job{}, Options{MaxFailures: Share{Percent: 100}}, r, save); err != nil {
		t.Fatal(err)
	}
	if r.Results[1].CanUndo() {
		t.Error("one on which nothing began can be undone")
	}
	full := errors.New("no space left on device")
	f, r = &startGroup{fakeGroup{ends: []change.State{fine}}, t, nil}, record(1)
	if err := Run(t.Context(), f, change.Job{}, Options{}, r, func() error { return full }); !errors.Is(err, full) || len(f.begun) > 0 {
		t.Errorf("got %v, begun %v", err, f.begun)
	}
}

// A resumed run asks servers for the end of an earlier change before it changes them
// again: one that succeeded is not changed twice, and one that is not reached not at all.
func TestResumeAsksFirst(t *testing.T) {
	f := &fakeGroup{ends: []change.State{fine, fine, fine, fine}, early: map[string]change.State{
		"done": fine, "reverted": reverted, "never begun": {},
	}}
	r := record(len(f.ends))
	o := Options{
		Batches: Batches{{Percent: 100}}, MaxFailures: Share{Count: 4},
		Earlier: map[string]string{"s0": "done", "s1": "reverted", "s2": "never begun", "s3": "lost"},
	}
	if err := Run(t.Context(), f, change.Job{}, o, r, saved); err != nil {
		t.Fatal(err)
	}
	slices.Sort(f.begun)
	if diff := cmp.Diff(f.begun, []int{1, 2}); diff != "" {
		t.Error(diff)
	}
	var got []Outcome
	for _, res := range r.Results {
		got = append(got, res.Outcome)
	}
	if diff := cmp.Diff(got, []Outcome{Changed, Changed, Changed, Unreachable}); diff != "" {
		t.Error(diff)
	}
}
