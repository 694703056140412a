package batch

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func number(n int) *int { return &n }

// A world is a machine on which the pods of a Job exist.
type world struct {
	t         *testing.T
	spec      JobSpec
	state     JobState // as it is stored
	pods      map[string]*Pod
	index     map[string]int
	suspended bool
	now       time.Time
	named     int
	last      JobDecision

	succeeded, failed int // pods that ended while they were active
}

func newWorld(t *testing.T, spec JobSpec) *world {
	if spec.BackOff == 0 {
		spec.BackOff = firstBackOff
	}
	return &world{t: t, spec: spec, pods: map[string]*Pod{}, index: map[string]int{}, now: start}
}

// step makes one decision and executes the first n changes of it, all if n is negative:
// a process that is killed leaves the others.
func (w *world) step(n int) {
	w.t.Helper()
	var pods []Pod
	for _, name := range slices.Sorted(maps.Keys(w.pods)) {
		pods = append(pods, *w.pods[name])
	}
	w.state, w.last = NextPods(w.spec, w.state, pods, w.suspended, w.now, func(index int) string {
		w.named++
		return fmt.Sprintf("p%04d", w.named)
	})
	for _, name := range w.last.Remove {
		if n == 0 {
			return
		}
		n--
		w.pods[name].Leaving = true
	}
	for _, p := range w.last.Create {
		if n == 0 {
			return
		}
		n--
		w.pods[p.Name], w.index[p.Name] = &Pod{Name: p.Name}, p.Index
	}
}

func (w *world) end(name string, result Result, exits ...Exit) {
	p := w.pods[name]
	p.Result, p.Ended, p.Exits, p.Reason = result, w.now, exits, "container main ended with exit code 1"
}

// live returns the names of the pods that have not ended.
func (w *world) live() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(w.pods)), func(name string) bool { return w.pods[name].Result != "" })
}

// gone removes the pods that are leaving.
func (w *world) gone() {
	maps.DeleteFunc(w.pods, func(_ string, p *Pod) bool { return p.Leaving })
}

// endAll ends all live pods with a result and makes decisions until nothing changes.
func (w *world) endAll(result Result, exits ...Exit) {
	w.t.Helper()
	for _, name := range w.live() {
		w.end(name, result, exits...)
	}
	w.step(-1)
	w.gone()
}

func reasons(events []Event) string {
	var list []string
	for _, e := range events {
		list = append(list, e.Reason)
	}
	return strings.Join(list, " ")
}

func TestJobRetriesWithBackOffUpToItsLimit(t *testing.T) {
	w := newWorld(t, JobSpec{Completions: number(1), Parallelism: 1, BackoffLimit: 6})
	w.step(-1)
	var delays []time.Duration
	for range 6 {
		w.endAll(PodFailed)
		delays = append(delays, w.last.Wake.Sub(w.now))
		if len(w.live()) != 0 {
			t.Fatalf("a pod was created before the back-off of %s was over", delays[len(delays)-1])
		}
		w.now = w.last.Wake
		w.step(-1)
		if len(w.live()) != 1 {
			t.Fatalf("after a back-off of %s there are %d pods", delays[len(delays)-1], len(w.live()))
		}
	}
	want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second}
	if diff := cmp.Diff(delays, want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	w.endAll(PodFailed)
	if w.state.Phase != Failed || w.state.Reason != "BackoffLimitExceeded" || w.state.Failed != 7 {
		t.Errorf("got %+v", w.state)
	}
	if want := "Job has reached the specified backoff limit: pod p0007: container main ended with exit code 1"; w.state.Message != want {
		t.Errorf("got %q, want %q", w.state.Message, want)
	}
	if got := w.spec.delay(100); got != 6*time.Minute {
		t.Errorf("the longest delay is %s", got)
	}
}

func TestJobEnds(t *testing.T) {
	exit := Exit{"main", 3}
	tests := map[string]struct {
		spec    JobSpec
		do      func(*world)
		phase   Phase
		reason  string
		done    int
		failed  int
		created int
	}{
		"three completions, two at a time": {
			spec:  JobSpec{Completions: number(3), Parallelism: 2},
			do:    func(w *world) { w.endAll(PodSucceeded); w.endAll(PodSucceeded) },
			phase: Complete, done: 3, created: 3,
		},
		"no completions": {
			spec: JobSpec{Completions: number(0), Parallelism: 2}, do: func(*world) {}, phase: Complete,
		},
		"no parallelism": {
			spec: JobSpec{Completions: number(1)}, do: func(*world) {}, phase: Running,
		},
		"a work queue is done when one succeeded and the others ended": {
			spec: JobSpec{Parallelism: 3, BackoffLimit: 6},
			do: func(w *world) {
				w.end(w.live()[0], PodSucceeded)
				w.step(-1)
				if w.state.Phase != Running || len(w.last.Remove) > 0 {
					w.t.Errorf("while two run: got %+v, %+v", w.state, w.last)
				}
				w.end(w.live()[0], PodFailed)
				w.endAll(PodSucceeded)
			},
			phase: Complete, done: 2, failed: 1, created: 3,
		},
		"backoffLimit 0": {
			spec: JobSpec{Completions: number(1), Parallelism: 1}, do: func(w *world) { w.endAll(PodFailed) },
			phase: Failed, reason: "BackoffLimitExceeded", failed: 1, created: 1,
		},
		"restarts in the pod count": {
			spec: JobSpec{Completions: number(1), Parallelism: 1, BackoffLimit: 2, OnFailure: true},
			do: func(w *world) {
				w.pods[w.live()[0]].Restarts = 1
				w.step(-1)
				if w.state.Phase != Running {
					w.t.Errorf("after one restart: got %+v", w.state)
				}
				w.pods[w.live()[0]].Restarts = 2
				w.step(-1)
			},
			phase: Failed, reason: "BackoffLimitExceeded", created: 1,
		},
		"a deadline": {
			spec: JobSpec{Completions: number(1), Parallelism: 1, BackoffLimit: 6, Deadline: time.Minute},
			do: func(w *world) {
				if want := start.Add(time.Minute); !w.last.Wake.Equal(want) {
					w.t.Errorf("wakes at %s, want %s", w.last.Wake, want)
				}
				w.now = w.now.Add(time.Minute)
				w.step(-1)
			},
			phase: Failed, reason: "DeadlineExceeded", created: 1,
		},
		"FailJob of a podFailurePolicy": {
			spec: JobSpec{Completions: number(1), Parallelism: 1, BackoffLimit: 6, Rules: []FailureRule{
				{Action: batchv1.PodFailurePolicyActionIgnore, Codes: []int32{7}},
				{Action: batchv1.PodFailurePolicyActionFailJob, Container: "main", Codes: []int32{3}},
			}},
			do:    func(w *world) { w.endAll(PodFailed, exit) },
			phase: Failed, reason: "PodFailurePolicy", failed: 1, created: 1,
		},
		"Ignore of a podFailurePolicy": {
			spec: JobSpec{Completions: number(1), Parallelism: 1, Rules: []FailureRule{
				{Action: batchv1.PodFailurePolicyActionIgnore, NotIn: true, Codes: []int32{1}},
				{Action: batchv1.PodFailurePolicyActionFailJob, Container: "main", Codes: []int32{3}},
			}},
			do:    func(w *world) { w.endAll(PodFailed, exit); w.endAll(PodSucceeded) },
			phase: Complete, done: 1, created: 2,
		},
		"a pod that was interrupted does not count": {
			spec: JobSpec{Completions: number(1), Parallelism: 1},
			do: func(w *world) {
				w.pods[w.live()[0]].Interrupted = true
				w.endAll(PodFailed)
				w.step(-1)
				w.endAll(PodSucceeded)
			},
			phase: Complete, done: 1, created: 2,
		},
		"drift, with stop": {
			spec:  JobSpec{Completions: number(1), Parallelism: 1, BackoffLimit: 6, OnDrift: rollout.Stop},
			do:    func(w *world) { w.pods[w.live()[0]].Drifted = true; w.step(-1) },
			phase: Failed, reason: "Drifted", created: 1,
		},
		"drift, with replace": {
			spec:  JobSpec{Completions: number(1), Parallelism: 1, OnDrift: rollout.Replace},
			do:    func(w *world) { w.pods[w.live()[0]].Drifted = true; w.step(-1) },
			phase: Failed, reason: "BackoffLimitExceeded", failed: 1, created: 1,
		},
		"drift, with report": {
			spec:  JobSpec{Completions: number(1), Parallelism: 1, OnDrift: rollout.Report},
			do:    func(w *world) { w.pods[w.live()[0]].Drifted = true; w.step(-1) },
			phase: Running, created: 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.spec)
			w.step(-1)
			test.do(w)
			w.gone()
			w.step(-1)
			s := w.state
			if s.Phase != test.phase || s.Reason != test.reason || s.Succeeded != test.done || s.Failed != test.failed || w.named != test.created {
				t.Errorf("got %s %s, %d succeeded, %d failed, %d created: want %+v", s.Phase, s.Reason, s.Succeeded, s.Failed, w.named, test)
			}
			if s.Phase.Ended() && (len(w.live()) > 0 || s.Ended.IsZero()) {
				t.Errorf("ended %s with pods %v", s.Ended, w.live())
			}
		})
	}
}

func TestIndexedJobRunsEachIndexOnce(t *testing.T) {
	w := newWorld(t, JobSpec{Completions: number(5), Parallelism: 2, BackoffLimit: 6, Indexed: true})
	w.step(-1)
	var indexes []int
	for w.state.Phase == Running {
		for _, name := range w.live() {
			indexes = append(indexes, w.index[name])
			w.end(name, PodSucceeded)
		}
		if len(indexes) == 2 { // index 1 fails at first
			w.end(w.state.name(1), PodFailed)
		}
		w.step(-1)
		w.now = w.now.Add(time.Minute)
		w.step(-1)
	}
	if diff := cmp.Diff(indexes, []int{0, 1, 1, 2, 3, 4}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	if got := w.state.Indexes.String(); got != "0-4" || w.state.Succeeded != 5 {
		t.Errorf("got %q, %+v", got, w.state)
	}
}

// name returns the active pod of an index.
func (s JobState) name(index int) string {
	for name, a := range s.Active {
		if a.Index == index {
			return name
		}
	}
	return ""
}

func TestSuspendedJobHasNoPodsAndItsDeadlineBeginsAnew(t *testing.T) {
	w := newWorld(t, JobSpec{Completions: number(2), Parallelism: 2, Deadline: time.Minute})
	w.step(-1)
	w.suspended = true
	w.step(-1)
	if got := reasons(w.last.Events); got != "SuccessfulDelete SuccessfulDelete Suspended" || w.state.Phase != Suspended {
		t.Errorf("got %s, %+v", got, w.state)
	}
	w.now = w.now.Add(time.Hour)
	w.suspended = false
	w.step(-1)
	if len(w.last.Create) > 0 {
		t.Error("pods were created while the old ones are still there")
	}
	w.gone()
	w.step(-1)
	if len(w.live()) != 2 || w.state.Phase != Running || !w.state.Started.Equal(w.now) || !w.state.Began.Equal(start) {
		t.Errorf("got %v, %+v", w.live(), w.state)
	}
	w.endAll(PodSucceeded)
	if w.state.Phase != Complete {
		t.Errorf("got %+v", w.state)
	}
	w.suspended = true
	w.step(-1)
	if w.state.Phase != Complete || len(w.last.Events) > 0 {
		t.Errorf("suspending a Job that is complete: got %+v, %+v", w.state, w.last)
	}
}

func TestFinishedPodsAreKeptWithinBounds(t *testing.T) {
	w := newWorld(t, JobSpec{Completions: number(30), Parallelism: 1, BackoffLimit: 100, BackOff: time.Millisecond, TTL: number(60)})
	w.step(-1)
	for n := 0; w.state.Phase == Running; n++ {
		w.endAll([]Result{PodFailed, PodSucceeded}[n%2])
		w.now = w.now.Add(time.Second)
		w.step(-1)
		w.gone()
	}
	if len(w.state.Kept) != 2*maxKept || len(w.pods) != 2*maxKept || w.pods["p0060"] == nil || w.pods["p0041"] == nil {
		t.Errorf("kept %d: %+v", len(w.pods), w.state.Kept)
	}
	if w.last.Delete || !w.last.Wake.Equal(w.state.Ended.Add(time.Minute)) {
		t.Errorf("before its TTL: %+v", w.last)
	}
	w.now = w.now.Add(time.Minute)
	if w.step(-1); !w.last.Delete {
		t.Error("the Job is there after its TTL")
	}
}

func TestExcessPodsAreTheYoungestThatAreNotReady(t *testing.T) {
	w := newWorld(t, JobSpec{Completions: number(9), Parallelism: 2})
	w.step(-1)
	w.now, w.spec.Parallelism = w.now.Add(time.Second), 4
	w.step(-1)
	w.pods["p0004"].Ready = true
	w.spec.Parallelism = 2
	w.step(-1)
	if diff := cmp.Diff(w.last.Remove, []string{"p0002", "p0003"}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

// TestJobsKeepTheirPromises runs Jobs whose pods end, vanish and drift at random, on a
// machine whose process is killed at random, between storing a decision and any of its
// changes.
func TestJobsKeepTheirPromises(t *testing.T) {
	for seed := range 2000 {
		r := rand.New(rand.NewSource(int64(seed)))
		w := newWorld(t, JobSpec{
			Parallelism: 1 + r.Intn(4), BackoffLimit: r.Intn(5), Indexed: r.Intn(2) == 0, OnFailure: r.Intn(4) == 0, BackOff: time.Second,
		})
		if w.spec.Indexed || r.Intn(3) > 0 {
			w.spec.Completions = number(r.Intn(8))
		}
		if w.spec.Indexed && r.Intn(2) == 0 {
			w.spec.PerIndex, w.spec.BackoffLimit = number(r.Intn(3)), 1<<30
		}
		const faults = 60
		n := 0
		for ; n < 400 && !w.state.Phase.Ended(); n++ {
			if n < faults {
				w.disturb(r)
			} else {
				w.suspended = false
				for _, name := range w.live() {
					w.end(name, PodSucceeded)
				}
			}
			before := w.state
			w.step(map[bool]int{true: r.Intn(4), false: -1}[n < faults && r.Intn(3) == 0])
			w.check(seed, before)
			if r.Intn(2) == 0 || n >= faults {
				w.gone()
			}
			w.now = w.now.Add(time.Duration(r.Intn(20)) * time.Second)
		}
		if !w.state.Phase.Ended() {
			t.Fatalf("seed %d: not ended after %d steps: %+v %+v", seed, n, w.spec, w.state)
		}
		w.gone()
		w.step(-1)
		w.gone()
		if len(w.live()) > 0 || len(w.last.Create) > 0 {
			t.Fatalf("seed %d: pods after the end: %v", seed, w.live())
		}
	}
}

// disturb lets something happen to the pods.
func (w *world) disturb(r *rand.Rand) {
	for _, name := range w.live() {
		switch p := w.pods[name]; r.Intn(9) {
		case 0, 1:
			w.end(name, PodSucceeded)
		case 2:
			w.end(name, PodFailed, Exit{"main", 1})
		case 3:
			p.Restarts += r.Intn(2)
		case 4:
			p.Ready = true
		}
	}
	if r.Intn(12) == 0 {
		w.suspended = !w.suspended
	}
}

func (w *world) check(seed int, before JobState) {
	w.t.Helper()
	fail := func(format string, args ...any) {
		w.t.Helper()
		w.t.Fatalf("seed %d: %s\n%+v\n%+v\n%+v", seed, fmt.Sprintf(format, args...), w.spec, before, w.state)
	}
	if n := len(w.live()); n > w.spec.Parallelism {
		fail("%d pods run at once", n)
	}
	if c := w.spec.Completions; c != nil && w.state.Succeeded > *c {
		fail("%d succeeded", w.state.Succeeded)
	}
	for name, p := range w.pods {
		_, was := before.Active[name]
		if was && p.Result == PodSucceeded {
			w.succeeded++
		}
		if was && p.Result == PodFailed {
			w.failed++
		}
	}
	if w.spec.Indexed && w.state.Indexes.Len() != w.state.Succeeded {
		fail("%s succeeded", w.state.Indexes)
	}
	if w.state.Succeeded != w.succeeded || w.state.Failed != w.failed {
		fail("%d succeeded and %d failed", w.succeeded, w.failed)
	}
	if w.state.Phase.Ended() && len(w.state.Active) > 0 {
		fail("active after the end")
	}
	if w.state.Failed > w.spec.BackoffLimit && w.state.Phase != Failed {
		fail("more failures than the limit")
	}
	for i, f := range w.state.Retried {
		if f.Count > *w.spec.PerIndex || w.state.FailedIndexes.Has(i) || w.state.Indexes.Has(i) {
			fail("index %d is to be tried again", i)
		}
		if name := w.state.name(i); name != "" && w.state.Active[name].Created.Before(f.Last.Add(w.spec.delay(f.Count))) {
			fail("index %d was tried during its back-off", i)
		}
	}
	if w.spec.PerIndex == nil && len(w.last.Create) > 0 && w.state.FailedInRow > 0 && w.now.Before(w.state.LastFailure.Add(w.spec.delay(w.state.FailedInRow))) {
		fail("created during the back-off")
	}
}

func TestIndexes(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 200 {
		var x Indexes
		has := map[int]bool{}
		for range 40 {
			i := r.Intn(30)
			x, has[i] = x.with(i), true
		}
		if x.Len() != len(has) {
			t.Fatalf("%s has %d, want %d", x, x.Len(), len(has))
		}
		for i := range 31 {
			next := i
			for has[next] {
				next++
			}
			if x.Has(i) != has[i] || x.next(i) != next {
				t.Fatalf("%s: %d is in it: %t, and the next free is %d, want %d", x, i, x.Has(i), x.next(i), next)
			}
		}
		for n := 1; n < len(x); n++ {
			if x[n].First <= x[n-1].Last+1 {
				t.Fatalf("%s: ranges touch", x)
			}
		}
	}
}

func TestIndexesFailOnTheirOwn(t *testing.T) {
	exit := Exit{"main", 3}
	tests := map[string]struct {
		spec   JobSpec
		fails  map[int]int // how often each index fails
		exits  []Exit
		phase  Phase
		reason string
		failed string
		done   string
		pods   int
	}{
		"each is tried again": {
			spec: JobSpec{PerIndex: number(1)}, fails: map[int]int{0: 1, 2: 1}, phase: Complete, done: "0-3", pods: 6,
		},
		"one fails for good": {
			spec: JobSpec{PerIndex: number(1)}, fails: map[int]int{1: 2}, phase: Failed, reason: "FailedIndexes", failed: "1", done: "0,2-3", pods: 5,
		},
		"too many fail": {
			spec: JobSpec{PerIndex: number(0), MaxFailed: number(0)}, fails: map[int]int{0: 9}, phase: Failed, reason: "MaxFailedIndexesExceeded", failed: "0", done: "", pods: 1,
		},
		"FailIndex": {
			spec:  JobSpec{PerIndex: number(5), Rules: []FailureRule{{Action: batchv1.PodFailurePolicyActionFailIndex, Codes: []int32{3}}}},
			fails: map[int]int{0: 1}, exits: []Exit{exit}, phase: Failed, reason: "FailedIndexes", failed: "0", done: "1-3", pods: 4,
		},
		"the limit of all": {
			spec: JobSpec{PerIndex: number(5), BackoffLimit: 1}, fails: map[int]int{0: 1, 1: 1}, phase: Failed, reason: "BackoffLimitExceeded", done: "", pods: 2,
		},
		"a success policy for one index": {
			spec: JobSpec{BackoffLimit: 9, Success: []SuccessRule{{Indexes: Indexes{{0, 0}}}}}, phase: Complete, done: "0", pods: 1,
		},
		"a success policy for two of three": {
			spec:  JobSpec{PerIndex: number(0), Success: []SuccessRule{{Indexes: Indexes{{0, 2}}, Count: number(2)}}},
			fails: map[int]int{1: 1}, phase: Complete, failed: "1", done: "0,2", pods: 3,
		},
		"a success policy for any three": {
			spec: JobSpec{Success: []SuccessRule{{Count: number(3)}}}, phase: Complete, done: "0-2", pods: 3,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.spec.Completions, test.spec.Parallelism, test.spec.Indexed = number(4), 1, true
			if test.spec.PerIndex != nil && test.spec.BackoffLimit == 0 {
				test.spec.BackoffLimit = 1 << 30
			}
			w, tried := newWorld(t, test.spec), map[int]int{}
			for range 100 {
				w.step(-1)
				for _, name := range w.live() {
					if i := w.index[name]; tried[i] < test.fails[i] {
						tried[i]++
						w.end(name, PodFailed, test.exits...)
					} else {
						w.end(name, PodSucceeded)
					}
				}
				if !w.last.Wake.IsZero() {
					w.now = w.last.Wake
				}
			}
			s := w.state
			if s.Phase != test.phase || s.Reason != test.reason || s.FailedIndexes.String() != test.failed || s.Indexes.String() != test.done || w.named != test.pods {
				t.Errorf("got %s %s, indexes %q and %q, %d pods: want %+v", s.Phase, s.Reason, s.Indexes, s.FailedIndexes, w.named, test)
			}
			if len(s.Retried) > 0 {
				t.Errorf("still to be tried: %+v", s.Retried)
			}
		})
	}
}

// TestAnIndexWaitsForItsBackOffAlone checks that the others go on meanwhile.
func TestAnIndexWaitsForItsBackOffAlone(t *testing.T) {
	w := newWorld(t, JobSpec{Completions: number(3), Parallelism: 1, BackoffLimit: 1 << 30, Indexed: true, PerIndex: number(6)})
	w.step(-1)
	w.endAll(PodFailed)
	if got := w.state.name(1); got == "" || w.state.Retried[0].Count != 1 {
		t.Fatalf("got %+v: want that index 1 runs", w.state)
	}
	w.endAll(PodSucceeded)
	w.endAll(PodSucceeded)
	if len(w.live()) > 0 || !w.last.Wake.Equal(w.now.Add(firstBackOff)) {
		t.Errorf("pods %v, and it wakes at %s", w.live(), w.last.Wake)
	}
	w.now = w.last.Wake
	w.step(-1)
	w.endAll(PodSucceeded)
	if w.state.Phase != Complete {
		t.Errorf("got %+v", w.state)
	}
}

func TestParseIndexes(t *testing.T) {
	for text, want := range map[string]string{
		"1,3-5": "1,3-5", "0-2,3": "0-3", "7": "7", "8-20": "8-9", "10": "", "3-99999999999999999999": "3-9", "5-3": "", "4,1-2,2-3": "1-4",
	} {
		if got := parseIndexes(text, 10); got.String() != want || got == nil {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	if n := parseIndexes("0-3,6-9", 10).common(parseIndexes("2-7", 10)); n != 4 {
		t.Errorf("0-3,6-9 and 2-7 have %d in common, want 4", n)
	}
}
