package local

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	engine "github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// Options say what a fleet runs on.
type Options struct {
	Engine *engine.Engine
	// Log takes what went wrong and is tried again; nil drops it.
	Log func(error)
	// Ephemeral makes a fleet of this process's own beside the one that is
	// declared on the data directory: it begins empty, adopts nothing, and is
	// gone with Dissolve or, once this process is, with the next Sweep.
	Ephemeral bool
	// Events takes what happens to workloads, whose Pod is
	// "namespace/kind/name", and to their pods. Nil drops it.
	Events engine.Events
	// Made is told of each pod that was made, before it is supervised. It must
	// not block and may keep the pod. Nil is not told.
	Made func(*engine.Pod)

	driftEvery time.Duration // tests have none of it
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = func(error) {}
	}
	if o.Events == nil {
		o.Events = func(engine.Event) {}
	}
	if o.Made == nil {
		o.Made = func(*engine.Pod) {}
	}
	if o.driftEvery == 0 {
		o.driftEvery = driftEvery
	}
	return o
}

// A Fleet keeps all workloads of one data directory, or those of one process. It
// is safe for concurrent use.
type Fleet struct {
	opts     Options
	engine   *engine.Engine
	root     string
	store    *store
	holder   string // of its images' pins
	services *services
	log      func(error)
	ctx      context.Context
	end      context.CancelFunc
	wg       sync.WaitGroup
	making   chan struct{} // bounds how many pods are made at once

	applying sync.Mutex // one change of what is declared at a time
	mu       sync.Mutex
	keepers  map[Key]*keeper
}

// atOnce is how many pods are made at the same time: more only take longer,
// each.
const atOnce = 4

// Open reads what was declared, adopts the pods that are there, and goes on
// with what was begun. It fails with ErrServing while another process does.
func Open(ctx context.Context, o Options) (*Fleet, error) {
	o = o.withDefaults()
	s, holder, err := o.openStore()
	if err != nil {
		return nil, fmt.Errorf("open fleet: %w", err)
	}
	f := &Fleet{
		opts: o, engine: o.Engine, root: o.Engine.Root(), store: s, holder: holder, log: o.Log,
		keepers: map[Key]*keeper{}, making: make(chan struct{}, atOnce),
	}
	f.ctx, f.end = context.WithCancel(context.Background())
	f.services = newServices(f)
	if err := f.load(ctx); err != nil {
		f.end()
		return nil, errors.Join(fmt.Errorf("open fleet: %w", err), s.close())
	}
	f.wg.Go(func() { f.services.run(f.ctx) })
	f.wg.Go(f.keepRuntime)
	return f, nil
}

// declaredHolder holds the images of what is declared on a data directory.
const declaredHolder = "fleet"

// openStore opens the fleet's store, and says who holds its images.
func (o Options) openStore() (_ *store, holder string, err error) {
	if o.Ephemeral {
		return openEphemeral(o.Engine.Root())
	}
	s, err := openStore(o.Engine.Root())
	return s, declaredHolder, err
}

// Close ends the keeping. The pods go on, and the next Open adopts them.
func (f *Fleet) Close() error {
	f.end()
	f.wg.Wait()
	return f.store.close()
}

// load makes a keeper for each workload, gives it its pods, and opens the
// Services.
func (f *Fleet) load(ctx context.Context) error {
	if f.opts.Ephemeral {
		return nil
	}
	pods, err := f.engine.Pods(ctx)
	if err != nil {
		return err
	}
	var records []record
	err = f.store.view(func(t tx) (err error) {
		records, err = all[record](t, "workloads", "")
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range records {
		f.keepers[r.Key] = newKeeper(f, r.Key)
	}
	for _, p := range pods {
		f.adopt(ctx, p)
	}
	if err := f.openServices(); err != nil {
		f.log(err)
	}
	for _, k := range f.keepers {
		f.start(k)
	}
	return nil
}

// adopt gives a pod to the keeper of its workload. One that belongs to a
// workload that is not declared any more is removed.
func (f *Fleet) adopt(ctx context.Context, p *engine.Pod) {
	generation, err := strconv.Atoi(p.Labels[LabelGeneration])
	if err != nil || p.Spec().Ephemeral || p.Phase == engine.Removing || p.Phase == engine.Creating {
		return // not of this fleet, or in the hands of somebody else
	}
	for key, k := range f.keepers {
		if key.Namespace == p.Namespace && workloadName(key) == p.Workload {
			k.adopt(f.ctx, p, generation)
			return
		}
	}
	f.wg.Go(func() {
		if err := p.Remove(f.ctx, -1, nil); err != nil && f.ctx.Err() == nil {
			f.log(fmt.Errorf("remove pod %s, whose workload is gone: %w", p.Name, err))
		}
	})
}

// start runs a keeper until its workload is deleted.
func (f *Fleet) start(k *keeper) {
	f.wg.Go(func() {
		k.run()
		if k.isDeleted() {
			if err := f.forget(k); err != nil {
				f.log(err)
			}
		}
	})
}

// forget removes the last trace of a workload that is deleted.
func (f *Fleet) forget(k *keeper) error {
	pinned := f.pinned(k.key)
	err := f.store.update(func(t tx) error {
		for _, b := range []string{"generations", "attempts", "events"} {
			if err := removeAll(t, b, below(k.key)); err != nil {
				return err
			}
		}
		return remove(t, "workloads", k.key.String())
	})
	f.mu.Lock()
	delete(f.keepers, k.key)
	f.mu.Unlock()
	f.unpin(pinned)
	return err
}

// create makes a pod; not many at once.
func (f *Fleet) create(ctx context.Context, spec engine.PodSpec, events engine.Events) (*engine.Pod, error) {
	select {
	case f.making <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-f.making }()
	pod, err := f.engine.Create(ctx, spec, events)
	// What is left of the first one has the name of the second.
	if cri.IsUnavailable(err) && f.engine.Ensure(ctx) == nil && f.engine.Recover(ctx) == nil {
		pod, err = f.engine.Create(ctx, spec, events)
	}
	return pod, err
}

// runtimeEvery is how often the runtime is looked after, and recoverEvery how
// many times of that what is left of failed removals.
const (
	runtimeEvery = 2 * time.Second
	recoverEvery = 30
)

// keepRuntime starts the runtime again if it was killed, and ends what others
// began and could not while it was.
func (f *Fleet) keepRuntime() {
	for n := 1; f.ctx.Err() == nil; n++ {
		err := f.engine.Ensure(f.ctx)
		if err == nil && n%recoverEvery == 0 {
			err = f.engine.Recover(f.ctx)
		}
		if err != nil && f.ctx.Err() == nil {
			f.log(fmt.Errorf("keep the runtime: %w", err))
		}
		pause(f.ctx, runtimeEvery)
	}
}

// endpoints are all instances as Services see them, and the share of new
// traffic that each group gets.
func (f *Fleet) endpoints() ([]endpoint, map[string]int) {
	shares := map[string]int{}
	var list []endpoint
	for _, k := range f.all() {
		list = append(list, k.endpoints(shares)...)
	}
	return list, shares
}

func (f *Fleet) all() []*keeper {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []*keeper
	for _, k := range f.keepers {
		list = append(list, k)
	}
	return list
}

func (f *Fleet) keeper(key Key) *keeper {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keepers[key]
}

// endpoints are the instances of one workload, and the shares of its
// generations, weighted by how many serve, so that a Service may stand before
// several workloads.
func (k *keeper) endpoints(shares map[string]int) []endpoint {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []endpoint
	serving := 0
	for _, i := range k.sorted() {
		takes := i.Ready && !i.Ending && !i.isolated
		if takes {
			serving++
		}
		list = append(list, endpoint{
			id: i.ID, host: i.address(), group: group(k.key, i.Generation), labels: i.labels,
			namespace: k.key.Namespace, template: i.template, takes: takes,
		})
	}
	for g, share := range k.shares {
		shares[group(k.key, g)] = share * max(serving, 1)
	}
	return list
}

// openServices opens what is declared.
func (f *Fleet) openServices() error {
	var list []corev1.Service
	err := f.store.view(func(t tx) (err error) {
		list, err = all[corev1.Service](t, "services", "")
		return err
	})
	if err != nil {
		return err
	}
	return f.services.declare(list)
}

// pinned are the images that a workload's generations hold.
func (f *Fleet) pinned(k Key) []string {
	var refs []string
	err := f.store.view(func(t tx) error {
		return each(t, "generations", below(k), func(_ string, g Generation) error {
			for _, i := range g.Images {
				refs = append(refs, i.Reference)
			}
			return nil
		})
	})
	if err != nil {
		f.log(err)
	}
	return refs
}

// unpin lets go of images that no generation holds any more.
func (f *Fleet) unpin(refs []string) {
	held := map[string]bool{}
	for _, k := range f.all() {
		for _, ref := range f.pinned(k.key) {
			held[ref] = true
		}
	}
	for _, ref := range refs {
		if held[ref] {
			continue
		}
		held[ref] = true
		if err := f.engine.Unpin(f.ctx, f.holder, ref); err != nil && f.ctx.Err() == nil {
			f.log(fmt.Errorf("unpin image %s: %w", ref, err))
		}
	}
}

var _ rollout.Driver = (*keeper)(nil)
