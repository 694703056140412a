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

// A keeper keeps one workload. It is the rollout.Driver and the rollout.Book
// of it.
type keeper struct {
	fleet *Fleet
	key   Key
	ctx   context.Context // ends with the fleet, or when the workload is gone
	end   context.CancelFunc
	wg    sync.WaitGroup
	wake  chan struct{}
	check chan *instance // is to be compared with its image now

	mu        sync.Mutex
	instances map[string]*instance
	failed    map[int]rollout.Failure
	failedAt  time.Time
	notBefore time.Time // nothing is made earlier
	shares    map[int]int
	gate      *gate.Gate
	requests  uint64 // that the target had got before its rollout began
	failures  uint64 // likewise
	deleting  bool
	generated map[int]*Generation // read from the store
}

func newKeeper(f *Fleet, key Key) *keeper {
	ctx, end := context.WithCancel(f.ctx)
	return &keeper{
		fleet: f, key: key, ctx: ctx, end: end, wake: make(chan struct{}, 1), check: make(chan *instance, 1024),
		instances: map[string]*instance{}, failed: map[int]rollout.Failure{}, generated: map[int]*Generation{},
	}
}

// poke lets the loop look again.
func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run keeps the workload until the fleet ends or the workload is deleted.
func (k *keeper) run() {
	k.wg.Go(k.watchDrift)
	loop := rollout.Loop{Driver: k, Book: k, Poke: k.wake, Busy: 250 * time.Millisecond, Report: k.fleet.log}
	loop.Run(k.ctx, func(rollout.State) bool { return k.isDeleted() })
	k.end()
	k.wg.Wait()
}

// Observe says what is true of the instances now.
func (k *keeper) Observe(context.Context) (rollout.Observation, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := rollout.Observation{Failed: map[int]rollout.Failure{}}
	for _, i := range k.sorted() {
		o.Instances = append(o.Instances, i.Instance)
	}
	for g, f := range k.failed {
		o.Failed[g] = f
	}
	o.Gate = k.gate.Result()
	o.Fault = k.fault()
	return o, nil
}

func (k *keeper) sorted() []*instance {
	var list []*instance
	for _, i := range k.instances {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b *instance) int {
		if c := a.Made.Compare(b.Made); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// Update keeps the state that f returns, and what happened.
func (k *keeper) Update(f func(rollout.Spec, rollout.State) (rollout.State, []rollout.Event)) error {
	var happened []rollout.Event
	err := k.fleet.store.update(func(t tx) error {
		r, ok, err := get[record](t, "workloads", k.key.String())
		if err != nil {
			return err
		}
		if !ok || r.Deleting {
			r.Spec.Replicas = 0
			k.setDeleting()
			return nil
		}
		next, events := f(r.Spec, r.State)
		happened = events
		return k.keep(t, r, next, events)
	})
	if err != nil {
		return err
	}
	for _, e := range happened {
		k.tell(e.Reason, e.Message)
	}
	return nil
}

// tell passes on what happened to the workload.
func (k *keeper) tell(reason, message string) {
	k.fleet.opts.Events(pod.Event{Time: time.Now(), Pod: k.key.String(), Reason: reason, Message: message})
}

// keep writes what has changed, and nothing otherwise: a write costs a sync.
func (k *keeper) keep(t tx, r record, next rollout.State, events []rollout.Event) error {
	if !r.State.Phase.Ended() && next.Phase.Ended() || next.Phase == rollout.RollingBack && r.State.Phase == rollout.Progressing {
		if err := endAttempt(t, k.key, next); err != nil {
			return err
		}
	}
	for _, e := range events {
		if err := addEvent(t, k.key, e.Reason, e.Message); err != nil {
			return err
		}
	}
	if same(r.State, next) {
		return nil
	}
	r.State = next
	return put(t, "workloads", k.key.String(), r)
}

// Carry begins what was decided.
func (k *keeper) Carry(_ context.Context, d rollout.Decision) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.deleting {
		k.removeAll()
		return nil
	}
	for _, id := range d.Remove {
		if i := k.instances[id]; i != nil {
			k.retire(i)
		}
	}
	for id, i := range k.instances {
		i.isolated = slices.Contains(d.Isolate, id)
	}
	k.shares = d.Shares
	k.ask(d.Gate)
	k.fleet.services.update()
	return k.create(d.Create)
}

// create makes instances, unless so many were lost lately that it is better to
// wait.
func (k *keeper) create(wanted map[int]int) error {
	if len(wanted) == 0 {
		return nil
	}
	if wait := time.Until(k.notBefore); wait > 0 {
		time.AfterFunc(wait, k.poke)
		return nil
	}
	for number, n := range wanted {
		g, err := k.generation(number)
		if err != nil {
			return err
		}
		for range n {
			k.make(k.ctx, g)
		}
	}
	return nil
}

// generation reads one from the store, once.
func (k *keeper) generation(number int) (*Generation, error) {
	if g := k.generated[number]; g != nil {
		return g, nil
	}
	var g Generation
	err := k.fleet.store.view(func(t tx) (err error) {
		var ok bool
		if g, ok, err = get[Generation](t, "generations", numbered(k.key, number)); err == nil && !ok {
			err = fmt.Errorf("%s has no generation %d", k.key, number)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	k.generated[number] = &g
	return &g, nil
}

func (k *keeper) setDeleting() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deleting = true
}

// isDeleted reports whether nothing is left of a workload that is deleted.
func (k *keeper) isDeleted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.deleting && len(k.instances) == 0
}

func (k *keeper) removeAll() {
	for _, i := range k.instances {
		k.retire(i)
	}
	k.fleet.services.update()
}

// say keeps an event that is not of the state machine's. The lock may be held.
func (k *keeper) say(reason, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	k.wg.Go(func() {
		k.tell(reason, message)
		err := k.fleet.store.update(func(t tx) error { return addEvent(t, k.key, reason, message) })
		if err != nil {
			k.fleet.log(err)
		}
	})
}

// workloadName is what the engine calls a workload, "deployment/web".
func workloadName(k Key) string { return strings.ToLower(k.Kind) + "/" + k.Name }
