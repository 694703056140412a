package local

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/gate"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A workload is the live object of one declared workload, with its instances.
// It implements rollout.Driver and rollout.Store. mu guards the fields below
// it.
type workload struct {
	controller *Controller
	key        Key
	ctx        context.Context // ends with the controller, or when the workload is gone
	cancel     context.CancelFunc
	wg         sync.WaitGroup
	changed    chan struct{}
	toCompare  chan *instance // instances to compare with their images now

	mu         sync.Mutex
	instances  map[string]*instance
	failed     map[int]rollout.Failure
	failedAt   time.Time
	notBefore  map[int]time.Time // back-off: no instance of a generation is created before
	shares     map[int]int
	gate       *gate.Gate
	requests   uint64 // of the target's generation before its rollout began
	failures   uint64 // likewise
	deleting   bool
	reclaiming bool                // claims are being removed
	generated  map[int]*Generation // cache of the store
}

func newWorkload(c *Controller, key Key) *workload {
	ctx, end := context.WithCancel(c.ctx)
	return &workload{
		controller: c, key: key, ctx: ctx, cancel: end, changed: make(chan struct{}, 1), toCompare: make(chan *instance, 1024),
		instances: map[string]*instance{}, failed: map[int]rollout.Failure{}, notBefore: map[int]time.Time{}, generated: map[int]*Generation{},
	}
}

// notify wakes the loop without blocking.
func (w *workload) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// run drives the workload until the controller is closed or the workload is
// deleted.
func (w *workload) run() {
	w.wg.Go(w.watchDrift)
	defer func() {
		w.cancel()
		w.wg.Wait()
	}()
	if w.key.Kind == "Job" {
		w.repeat(w.stepJob)
		return
	}
	if w.key.Kind == "CronJob" {
		w.repeat(w.stepCron)
		return
	}
	loop := rollout.Loop{Driver: w, Store: w, Changed: w.changed, Interval: 250 * time.Millisecond, Report: w.controller.log}
	loop.Run(w.ctx, func(rollout.State) bool { return w.isDeleted() })
}

// Observe implements rollout.Driver.
func (w *workload) Observe(context.Context) (rollout.Observation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := rollout.Observation{Failed: map[int]rollout.Failure{}}
	for _, i := range w.sorted() {
		o.Instances = append(o.Instances, i.Instance)
	}
	for g, f := range w.failed {
		o.Failed[g] = f
	}
	o.Gate = w.gate.Result()
	o.Fault, o.Unjudged = w.judgeTraffic()
	return o, nil
}

func (w *workload) sorted() []*instance {
	var list []*instance
	for _, i := range w.instances {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b *instance) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// Update implements rollout.Store.
func (w *workload) Update(f func(rollout.Spec, rollout.State) (rollout.State, []rollout.Event)) error {
	var happened []rollout.Event
	err := w.controller.store.update(func(t tx) error {
		r, ok, err := get[record](t, "workloads", w.key.String())
		if err != nil {
			return err
		}
		if !ok || r.Deleting {
			w.setDeleting()
			return nil
		}
		next, events := f(r.Spec, r.State)
		happened = events
		return w.writeState(t, r, next, events)
	})
	if err != nil {
		return err
	}
	for _, e := range happened {
		if e.Reason == "DriftReplaced" {
			w.count(func(n *Counts) { n.Replaced++ })
		}
		w.publish(e.Reason, e.Message)
	}
	return nil
}

// publish sends an event of the workload to Options.Events.
func (w *workload) publish(reason, message string) {
	w.controller.opts.Events(pod.Event{Time: time.Now(), Pod: w.key.String(), Reason: reason, Message: message})
}

// writeState writes a state and its events if anything changed: every transaction
// that writes costs a sync of the disk.
func (w *workload) writeState(t tx, r record, next rollout.State, events []rollout.Event) error {
	if !r.State.Phase.Ended() && next.Phase.Ended() || next.Phase == rollout.RollingBack && r.State.Phase == rollout.Progressing {
		if err := endAttempt(t, w.key, next); err != nil {
			return err
		}
	}
	if !r.State.Phase.Ended() && next.Phase.Ended() {
		t.OnCommit(func() { w.count(func(n *Counts) { n.Rollouts[next.Phase]++ }) })
	}
	for _, e := range events {
		if err := addEvent(t, w.key, e.Reason, e.Message); err != nil {
			return err
		}
	}
	if equalStates(r.State, next) {
		return nil
	}
	r.State = next
	return put(t, "workloads", w.key.String(), r)
}

// Execute implements rollout.Driver.
func (w *workload) Execute(_ context.Context, d rollout.Decision) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deleting {
		w.removeAll()
		return nil
	}
	// Instances are terminated and isolated before others are created, so that
	// the routes below already leave them out.
	for _, id := range d.Remove {
		if i := w.instances[id]; i != nil {
			w.terminate(i)
		}
	}
	for id, i := range w.instances {
		i.isolated = slices.Contains(d.Isolate, id)
	}
	w.shares = d.Shares
	w.askGate(d.Gate)
	w.controller.services.update()
	w.removeScaledClaims()
	if len(d.Ordinal) > 0 {
		return w.createOrdinals(d.Ordinal)
	}
	return w.createInstances(d.Create)
}

// createInstances creates instances, except of a generation whose back-off after lost
// ones is running.
func (w *workload) createInstances(wanted map[int]int) error {
	for number, n := range wanted {
		if wait := time.Until(w.notBefore[number]); wait > 0 {
			time.AfterFunc(wait, w.notify)
			continue
		}
		g, err := w.generation(number)
		if err != nil {
			return err
		}
		for range n {
			w.createInstance(w.ctx, g)
		}
	}
	return nil
}

// generation returns a generation from the cache or the store. Generations
// never change.
func (w *workload) generation(number int) (*Generation, error) {
	if g := w.generated[number]; g != nil {
		return g, nil
	}
	var g Generation
	err := w.controller.store.view(func(t tx) (err error) {
		var ok bool
		if g, ok, err = get[Generation](t, "generations", numberedKey(w.key, number)); err == nil && !ok {
			err = fmt.Errorf("%s has no generation %d", w.key, number)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	w.generated[number] = &g
	return &g, nil
}

func (w *workload) setDeleting() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deleting = true
}

// isDeleted reports whether the workload is deleted and its last instance is
// gone.
func (w *workload) isDeleted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deleting && len(w.instances) == 0
}

func (w *workload) removeAll() {
	for _, i := range w.instances {
		w.terminate(i)
	}
	w.controller.services.update()
}

// recordEvent publishes and stores an event that is not the state machine's. It
// does so in the background, because the caller may hold mu.
func (w *workload) recordEvent(reason, format string, args ...any) {
	w.recordEventOf(eventDetail{}, reason, fmt.Sprintf(format, args...))
}

// recordEventOf is recordEvent with details.
func (w *workload) recordEventOf(d eventDetail, reason, message string) {
	w.wg.Go(func() {
		w.publish(reason, message)
		err := w.controller.store.update(func(t tx) error { return addEventOf(t, w.key, d, reason, message) })
		if err != nil {
			w.controller.log(err)
		}
	})
}

// recordInstanceEvent is recordEvent for an event of one instance. The caller holds mu.
func (w *workload) recordInstanceEvent(i *instance, reason, format string, args ...any) {
	w.recordEventOf(eventDetail{pod: i.ID, generation: i.Generation}, reason, fmt.Sprintf(format, args...))
}

// workloadName returns the name that package pod has for a workload,
// "deployment/web".
func workloadName(k Key) string { return strings.ToLower(k.Kind) + "/" + k.Name }
