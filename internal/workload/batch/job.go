package batch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A Phase is the stage of a Job.
type Phase string

// The phases of a Job. The last two are final.
const (
	Running   Phase = "Running"
	Suspended Phase = "Suspended"
	Complete  Phase = "Complete"
	Failed    Phase = "Failed"
)

// Ended reports whether a Job in the phase runs no more pods.
func (p Phase) Ended() bool { return p == Complete || p == Failed }

// A JobState is everything that NextPods must remember between two calls. The zero
// value is a Job that never ran.
type JobState struct {
	Phase   Phase     `json:"phase,omitempty"`
	Reason  string    `json:"reason,omitempty"` // as Kubernetes names it: BackoffLimitExceeded, DeadlineExceeded, PodFailurePolicy
	Message string    `json:"message,omitempty"`
	Began   time.Time `json:"began,omitzero"`   // the first start
	Started time.Time `json:"started,omitzero"` // the first start or the last resume; zero while it is suspended
	Ended   time.Time `json:"ended,omitzero"`

	Succeeded int     `json:"succeeded,omitempty"` // pods that were counted
	Failed    int     `json:"failed,omitempty"`
	Indexes   Indexes `json:"indexes,omitempty"` // that succeeded
	// Active are the pods that were created, or will be, and are not counted. A pod is
	// here before it exists: one that exists and is neither here nor in Kept is removed.
	Active map[string]ActivePod `json:"active,omitempty"`
	Kept   []KeptPod            `json:"kept,omitempty"` // that were counted and still exist, the oldest first

	FailedInRow int       `json:"failedInRow,omitempty"` // since the last success
	LastFailure time.Time `json:"lastFailure,omitzero"`

	// With a limit for each index, the indexes that failed for good, and the failures of
	// those that are tried again.
	FailedIndexes Indexes         `json:"failedIndexes,omitempty"`
	Retried       map[int]Failure `json:"retried,omitempty"`
}

// A Failure counts the failed pods of an index.
type Failure struct {
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
}

// An ActivePod is a pod of a Job that has not ended.
type ActivePod struct {
	Index   int       `json:"index"` // of an Indexed Job
	Created time.Time `json:"created"`
}

// A KeptPod is a pod of a Job that has ended and is kept for its log.
type KeptPod struct {
	Name      string `json:"name"`
	Succeeded bool   `json:"succeeded,omitempty"`
}

// A Result is how a pod ended.
type Result string

// The results. The zero value has not ended.
const (
	PodSucceeded Result = "Succeeded"
	PodFailed    Result = "Failed"
)

// A Pod is a pod of a Job as it was observed.
type Pod struct {
	Name     string
	Result   Result
	Ended    time.Time // if it has a result
	Reason   string    // why it failed
	Exits    []Exit    // of its containers, if it failed
	Ready    bool
	Restarts int  // of all its containers
	Drifted  bool // it differs from its image
	Leaving  bool // it is being removed
	// Interrupted is set if the pod failed because the process that started its
	// containers ended. It does not count, and another takes its place.
	Interrupted bool
}

// An Exit is the exit code of a container.
type Exit struct {
	Container string
	Code      int32
}

// A JobDecision lists the changes that the driver must make now. It is idempotent.
type JobDecision struct {
	Create []NewPod
	Remove []string
	Delete bool      // the Job itself: its TTL is over
	Wake   time.Time // when NextPods must be called again although nothing changed; zero if never
	Events []Event
}

// A NewPod is a pod to create.
type NewPod struct {
	Name  string
	Index int // of an Indexed Job, else -1
}

// NextPods makes one decision. pods are all that exist of the Job. name returns a new
// name for a pod with an index, or without one if that is -1.
func NextPods(spec JobSpec, s JobState, pods []Pod, suspended bool, now time.Time, name func(index int) string) (JobState, JobDecision) {
	r := &jobRun{spec: spec, s: s, now: now, pods: map[string]Pod{}}
	r.s.Active, r.s.Kept = maps.Clone(s.Active), slices.Clone(s.Kept)
	r.s.Retried = maps.Clone(s.Retried)
	if r.s.Active == nil {
		r.s.Active = map[string]ActivePod{}
	}
	for _, p := range pods {
		r.pods[p.Name] = p
	}
	if !r.s.Phase.Ended() {
		r.count()
		r.end()
	}
	if !r.s.Phase.Ended() && !r.suspend(suspended) {
		r.create(name)
	}
	if ttl := spec.TTL; r.s.Phase.Ended() && ttl != nil {
		over := r.s.Ended.Add(time.Duration(*ttl) * time.Second)
		r.d.Delete = !now.Before(over)
		r.wakeAt(over)
	}
	r.remove()
	return r.s, r.d
}

// A jobRun is one call of NextPods: its arguments and the decision so far.
type jobRun struct {
	spec JobSpec
	s    JobState
	pods map[string]Pod
	now  time.Time
	d    JobDecision
	fail *failure
}

// A failure is why a Job fails.
type failure struct{ reason, message string }

func (r *jobRun) event(reason, format string, args ...any) {
	r.d.Events = append(r.d.Events, Event{reason, fmt.Sprintf(format, args...)})
}

func (r *jobRun) wakeAt(t time.Time) {
	if r.d.Wake.IsZero() || t.Before(r.d.Wake) {
		r.d.Wake = t
	}
}

// count moves the pods that have ended out of Active. Each is counted once: the state
// is stored before one of them is removed.
func (r *jobRun) count() {
	for _, name := range slices.Sorted(maps.Keys(r.s.Active)) {
		p, exists := r.pods[name]
		switch active := r.s.Active[name]; {
		case !exists:
			delete(r.s.Active, name) // a process that was killed did not create it
		case p.Interrupted:
			r.removeActive(name)
		case p.Result == PodSucceeded:
			r.succeeded(p, active.Index)
		case p.Result == PodFailed:
			r.keep(p)
			r.failed(p, active.Index)
		case p.Drifted && r.spec.OnDrift == rollout.Stop:
			r.fail = cmp.Or(r.fail, &failure{"Drifted", "pod " + name + " differs from its image"})
		case p.Drifted && r.spec.OnDrift == rollout.Replace:
			p.Reason, p.Ended = "it differs from its image", r.now
			r.failed(p, active.Index)
			r.removeActive(name)
		}
	}
}

func (r *jobRun) succeeded(p Pod, index int) {
	r.keep(p)
	if r.spec.Indexed && r.s.Indexes.Has(index) {
		return
	}
	r.s.Succeeded++
	r.s.FailedInRow = 0
	if r.spec.Indexed {
		r.s.Indexes = r.s.Indexes.with(index)
		delete(r.s.Retried, index)
	}
}

// failed counts a failed pod, unless a rule ignores it.
func (r *jobRun) failed(p Pod, index int) {
	failIndex := false
	for n, rule := range r.spec.Rules {
		if !rule.matches(p.Exits) {
			continue
		}
		if rule.Action == batchv1.PodFailurePolicyActionIgnore {
			return
		}
		if rule.Action == batchv1.PodFailurePolicyActionFailJob {
			r.fail = cmp.Or(r.fail, &failure{batchv1.JobReasonPodFailurePolicy,
				fmt.Sprintf("pod %s failed, and FailJob is the action of rule %d: %s", p.Name, n, p.Reason)})
		}
		failIndex = rule.Action == batchv1.PodFailurePolicyActionFailIndex
		break
	}
	r.s.Failed++
	if r.spec.PerIndex != nil {
		r.indexFailed(index, p.Ended, failIndex)
	}
	r.s.FailedInRow++
	r.s.LastFailure = p.Ended
	r.s.Message = fmt.Sprintf("pod %s: %s", p.Name, p.Reason)
}

// indexFailed counts a failed pod of an index. At its limit the index has failed.
func (r *jobRun) indexFailed(index int, at time.Time, forGood bool) {
	f := r.s.Retried[index]
	f.Count, f.Last = f.Count+1, at
	if forGood || f.Count > *r.spec.PerIndex {
		delete(r.s.Retried, index)
		r.s.FailedIndexes = r.s.FailedIndexes.with(index)
		return
	}
	if r.s.Retried == nil {
		r.s.Retried = map[int]Failure{}
	}
	r.s.Retried[index] = f
}

// keep keeps a pod that has ended, and no more than maxKept with the same result.
func (r *jobRun) keep(p Pod) {
	delete(r.s.Active, p.Name)
	r.s.Kept = append(r.s.Kept, KeptPod{p.Name, p.Result == PodSucceeded})
	same := 0
	for i := len(r.s.Kept) - 1; i >= 0; i-- {
		if r.s.Kept[i].Succeeded != (p.Result == PodSucceeded) {
			continue
		}
		if same++; same > maxKept {
			r.s.Kept = slices.Delete(r.s.Kept, i, i+1)
		}
	}
}

// end ends the Job if it is complete or has failed.
func (r *jobRun) end() {
	restarts := 0
	for name := range r.s.Active {
		restarts += r.pods[name].Restarts
	}
	const limit = "Job has reached the specified backoff limit"
	switch {
	case r.fail != nil:
	case r.s.Failed > r.spec.BackoffLimit:
		r.fail = &failure{batchv1.JobReasonBackoffLimitExceeded, limit}
		if r.s.Message != "" {
			r.fail.message += ": " + r.s.Message
		}
	case r.spec.OnFailure && restarts > 0 && restarts >= r.spec.BackoffLimit:
		r.fail = &failure{batchv1.JobReasonBackoffLimitExceeded, fmt.Sprintf("%s: its containers were restarted, %d times", limit, restarts)}
		for name := range r.s.Active {
			if why := r.pods[name].Reason; why != "" {
				r.fail.message += ": pod " + name + ": " + why
			}
		}
	case r.spec.MaxFailed != nil && r.s.FailedIndexes.Len() > *r.spec.MaxFailed:
		r.fail = &failure{batchv1.JobReasonMaxFailedIndexesExceeded, "Job has exceeded the specified maximal number of failed indexes: " + r.s.Message}
	case r.s.FailedIndexes.Len() > 0 && len(r.s.Active) == 0 && r.s.Succeeded+r.s.FailedIndexes.Len() >= r.spec.Wanted():
		r.fail = &failure{batchv1.JobReasonFailedIndexes, "Job has failed indexes: " + r.s.FailedIndexes.String()}
	case r.spec.Deadline > 0 && !r.s.Started.IsZero():
		// The clock may have been set back.
		if r.s.Started.After(r.now) {
			r.s.Started = r.now
		}
		over := r.s.Started.Add(r.spec.Deadline)
		if !r.now.Before(over) {
			r.fail = &failure{batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline"}
		}
		r.wakeAt(over)
	}
	enough := r.s.Succeeded >= r.spec.Wanted() ||
		slices.ContainsFunc(r.spec.Success, func(rule SuccessRule) bool { return rule.matches(r.s.Indexes) })
	switch {
	case r.fail != nil:
		r.s.Phase, r.s.Reason, r.s.Message, r.s.Ended = Failed, r.fail.reason, r.fail.message, r.now
		r.removeAllActive()
		r.event(r.fail.reason, "%s", r.fail.message)
	case enough && (len(r.s.Active) == 0 || r.spec.Completions != nil):
		r.removeAllActive()
		r.s.Phase, r.s.Message, r.s.Ended = Complete, "", r.now
		r.event("Completed", "Job completed")
	}
	if r.s.Phase.Ended() {
		r.s.Retried = nil
		if r.s.Began.IsZero() {
			r.s.Began = r.now
		}
	}
}

// suspend suspends or resumes the Job and reports whether it is suspended. The time of
// the deadline begins anew with a resume.
func (r *jobRun) suspend(suspended bool) bool {
	switch {
	case suspended && r.s.Phase != Suspended:
		r.removeAllActive()
		r.s.Phase, r.s.Started = Suspended, time.Time{}
		r.event("Suspended", "Job suspended")
	case !suspended && r.s.Phase != Running:
		if r.s.Phase == Suspended {
			r.event("Resumed", "Job resumed")
		}
		r.s.Phase, r.s.Started = Running, r.now
		if r.s.Began.IsZero() {
			r.s.Began = r.now
		}
		if r.spec.Deadline > 0 {
			r.wakeAt(r.now.Add(r.spec.Deadline))
		}
	}
	return suspended
}

// create adds and removes pods up to the number that is wanted. One that is being
// removed has its place until it is gone.
func (r *jobRun) create(name func(index int) string) {
	want := min(r.spec.Parallelism, maxActive)
	switch {
	case r.spec.Completions != nil:
		want = min(want, *r.spec.Completions-r.s.Succeeded-r.s.FailedIndexes.Len())
	case r.s.Succeeded > 0:
		want = len(r.s.Active) // they know that the work is done
	}
	r.removeExcess(len(r.s.Active) - want)
	missing := want - len(r.s.Active) - r.leaving()
	if missing <= 0 {
		return
	}
	if r.s.FailedInRow > 0 && r.spec.PerIndex == nil {
		if r.s.LastFailure.After(r.now) {
			r.s.LastFailure = r.now // the clock was set back
		}
		if until := r.s.LastFailure.Add(r.spec.delay(r.s.FailedInRow)); r.now.Before(until) {
			r.wakeAt(until)
			return
		}
	}
	index := -1
	for range missing {
		if index = r.nextIndex(index); r.spec.Indexed && index < 0 {
			return
		}
		p := NewPod{name(index), index}
		r.s.Active[p.Name] = ActivePod{index, r.now}
		r.d.Create = append(r.d.Create, p)
		r.event("SuccessfulCreate", "Created pod: %s", p.Name)
	}
}

// leaving returns the number of pods that are still there although they are not active.
func (r *jobRun) leaving() int {
	n := 0
	for name, p := range r.pods {
		if _, active := r.s.Active[name]; !active && p.Result == "" {
			n++
		}
	}
	return n
}

// nextIndex returns the first index after a given one that has neither succeeded nor a
// pod. It returns -1 if there is none, and for a Job without indexes.
func (r *jobRun) nextIndex(after int) int {
	if !r.spec.Indexed {
		return -1
	}
	taken := map[int]bool{}
	for _, a := range r.s.Active {
		taken[a.Index] = true
	}
	for i := after + 1; ; i++ {
		for next := -1; next != i; { // neither succeeded nor failed
			next, i = i, r.s.FailedIndexes.next(r.s.Indexes.next(i))
		}
		if i >= r.spec.Wanted() {
			return -1
		}
		if !taken[i] && r.mayTry(i) {
			return i
		}
	}
}

// mayTry reports whether the back-off of an index is over.
func (r *jobRun) mayTry(index int) bool {
	f, again := r.s.Retried[index]
	if !again {
		return len(r.s.Retried) < maxRetried
	}
	if f.Last.After(r.now) {
		f.Last = r.now // the clock was set back
		r.s.Retried[index] = f
	}
	until := f.Last.Add(r.spec.delay(f.Count))
	if r.now.Before(until) {
		r.wakeAt(until)
		return false
	}
	return true
}

// removeExcess removes active pods: those that are not ready first, and the youngest.
func (r *jobRun) removeExcess(n int) {
	if n <= 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(r.s.Active), func(a, b string) int {
		if ra, rb := r.pods[a].Ready, r.pods[b].Ready; ra != rb {
			return cmp.Compare(btoi(ra), btoi(rb))
		}
		return cmp.Or(r.s.Active[b].Created.Compare(r.s.Active[a].Created), cmp.Compare(b, a))
	})
	for _, name := range names[:n] {
		r.removeActive(name)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *jobRun) removeAllActive() {
	for _, name := range slices.Sorted(maps.Keys(r.s.Active)) {
		r.removeActive(name)
	}
}

func (r *jobRun) removeActive(name string) {
	delete(r.s.Active, name)
	r.event("SuccessfulDelete", "Deleted pod: %s", name)
}

// remove removes every pod that is neither active nor kept, and forgets kept ones that
// are gone.
func (r *jobRun) remove() {
	r.s.Kept = slices.DeleteFunc(r.s.Kept, func(k KeptPod) bool {
		_, exists := r.pods[k.Name]
		return !exists
	})
	for _, name := range slices.Sorted(maps.Keys(r.pods)) {
		_, active := r.s.Active[name]
		kept := slices.ContainsFunc(r.s.Kept, func(k KeptPod) bool { return k.Name == name })
		if !active && !kept && !r.pods[name].Leaving {
			r.d.Remove = append(r.d.Remove, name)
		}
	}
}
