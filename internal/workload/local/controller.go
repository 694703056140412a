package local

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// Options say what a fleet runs on.
type Options struct {
	Engine *pod.Engine
	// Log takes what went wrong and is tried again; nil drops it.
	Log func(error)
	// Ephemeral makes a fleet of this process's own beside the one that is
	// declared on the data directory: it begins empty, adopts nothing, and is
	// gone with Dissolve or, once this process is, with the next Sweep.
	Ephemeral bool
	// Events takes what happens to workloads, whose Pod is
	// "namespace/kind/name", and to their pods. Nil drops it.
	Events pod.Events
	// Created is told of each pod that was made, before it is supervised. It must
	// not block and may keep the pod. Nil is not told.
	Created func(*pod.Pod)

	driftEvery time.Duration // tests have none of it
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = func(error) {}
	}
	if o.Events == nil {
		o.Events = func(pod.Event) {}
	}
	if o.Created == nil {
		o.Created = func(*pod.Pod) {}
	}
	if o.driftEvery == 0 {
		o.driftEvery = driftEvery
	}
	return o
}

// A Controller keeps all workloads of one data directory, or those of one process. It
// is safe for concurrent use.
type Controller struct {
	opts      Options
	engine    *pod.Engine
	root      string
	store     *store
	pinHolder string // of its images' pins
	services  *services
	log       func(error)
	ctx       context.Context
	cancel    context.CancelFunc
	wg        sync.WaitGroup
	creating  chan struct{} // bounds how many pods are made at once

	applying  sync.Mutex // one change of what is declared at a time
	mu        sync.Mutex
	workloads map[Key]*workload
}

// maxConcurrentCreates is how many pods are made at the same time: more only take longer,
// each.
const maxConcurrentCreates = 4

// Open reads what was declared, adopts the pods that are there, and goes on
// with what was begun. It fails with ErrServing while another process does.
func Open(ctx context.Context, o Options) (*Controller, error) {
	o = o.withDefaults()
	s, holder, err := o.openStore()
	if err != nil {
		return nil, fmt.Errorf("open fleet: %w", err)
	}
	c := &Controller{
		opts: o, engine: o.Engine, root: o.Engine.Root(), store: s, pinHolder: holder, log: o.Log,
		workloads: map[Key]*workload{}, creating: make(chan struct{}, maxConcurrentCreates),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.services = newServices(c)
	if err := c.load(ctx); err != nil {
		c.cancel()
		return nil, errors.Join(fmt.Errorf("open fleet: %w", err), s.close())
	}
	c.wg.Go(func() { c.services.run(c.ctx) })
	c.wg.Go(c.superviseRuntime)
	return c, nil
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
func (c *Controller) Close() error {
	c.cancel()
	c.wg.Wait()
	return c.store.close()
}

// load makes a keeper for each workload, gives it its pods, and opens the
// Services.
func (c *Controller) load(ctx context.Context) error {
	if c.opts.Ephemeral {
		return nil
	}
	pods, err := c.engine.Pods(ctx)
	if err != nil {
		return err
	}
	var records []record
	err = c.store.view(func(t tx) (err error) {
		records, err = all[record](t, "workloads", "")
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range records {
		c.workloads[r.Key] = newWorkload(c, r.Key)
	}
	for _, p := range pods {
		c.adopt(ctx, p)
	}
	if err := c.openServices(); err != nil {
		c.log(err)
	}
	for _, w := range c.workloads {
		c.start(w)
	}
	return nil
}

// adopt gives a pod to the keeper of its workload. One that belongs to a
// workload that is not declared any more is removed.
func (c *Controller) adopt(ctx context.Context, p *pod.Pod) {
	generation, err := strconv.Atoi(p.Labels[LabelGeneration])
	if err != nil || p.Spec().Ephemeral || p.Phase == pod.Removing || p.Phase == pod.Creating {
		return // not of this fleet, or in the hands of somebody else
	}
	for key, w := range c.workloads {
		if key.Namespace == p.Namespace && workloadName(key) == p.Workload {
			w.adopt(c.ctx, p, generation)
			return
		}
	}
	c.wg.Go(func() {
		if err := p.Remove(c.ctx, -1, nil); err != nil && c.ctx.Err() == nil {
			c.log(fmt.Errorf("remove pod %s, whose workload is gone: %w", p.Name, err))
		}
	})
}

// start runs a keeper until its workload is deleted.
func (c *Controller) start(w *workload) {
	c.wg.Go(func() {
		w.run()
		if w.isDeleted() {
			if err := c.removeRecords(w); err != nil {
				c.log(err)
			}
		}
	})
}

// removeRecords removes the last trace of a workload that is deleted.
func (c *Controller) removeRecords(w *workload) error {
	pinned := c.pinned(w.key)
	err := c.store.update(func(t tx) error {
		for _, b := range []string{"generations", "attempts", "events"} {
			if err := removeAll(t, b, keyPrefix(w.key)); err != nil {
				return err
			}
		}
		return remove(t, "workloads", w.key.String())
	})
	c.mu.Lock()
	delete(c.workloads, w.key)
	c.mu.Unlock()
	c.unpin(pinned)
	return err
}

// create makes a pod; not many at once.
func (c *Controller) create(ctx context.Context, spec pod.PodSpec, events pod.Events) (*pod.Pod, error) {
	select {
	case c.creating <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-c.creating }()
	p, err := c.engine.Create(ctx, spec, events)
	// What is left of the first one has the name of the second.
	if pod.IsUnavailable(err) && c.engine.Ensure(ctx) == nil && c.engine.Recover(ctx) == nil {
		p, err = c.engine.Create(ctx, spec, events)
	}
	return p, err
}

// runtimeEvery is how often the runtime is looked after, and recoverEvery how
// many times of that what is left of failed removals.
const (
	runtimeEvery = 2 * time.Second
	recoverEvery = 30
)

// superviseRuntime starts the runtime again if it was killed, and ends what others
// began and could not while it was.
func (c *Controller) superviseRuntime() {
	for n := 1; c.ctx.Err() == nil; n++ {
		err := c.engine.Ensure(c.ctx)
		if err == nil && n%recoverEvery == 0 {
			err = c.engine.Recover(c.ctx)
		}
		if err != nil && c.ctx.Err() == nil {
			c.log(fmt.Errorf("keep the runtime: %w", err))
		}
		clock.Sleep(c.ctx, runtimeEvery)
	}
}

// endpoints are all instances as Services see them, and the share of new
// traffic that each group gets.
func (c *Controller) endpoints() ([]endpoint, map[string]int) {
	shares := map[string]int{}
	var list []endpoint
	for _, w := range c.all() {
		list = append(list, w.endpoints(shares)...)
	}
	return list, shares
}

func (c *Controller) all() []*workload {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*workload
	for _, w := range c.workloads {
		list = append(list, w)
	}
	return list
}

func (c *Controller) workload(key Key) *workload {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.workloads[key]
}

// endpoints are the instances of one workload, and the shares of its
// generations, weighted by how many serve, so that a Service may stand before
// several workloads.
func (w *workload) endpoints(shares map[string]int) []endpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []endpoint
	serving := 0
	for _, i := range w.sorted() {
		takes := i.Ready && !i.Ending && !i.isolated
		if takes {
			serving++
		}
		list = append(list, endpoint{
			id: i.ID, host: i.address(), group: group(w.key, i.Generation), labels: i.labels,
			namespace: w.key.Namespace, template: i.template, takes: takes,
		})
	}
	for g, share := range w.shares {
		shares[group(w.key, g)] = share * max(serving, 1)
	}
	return list
}

// openServices opens what is declared.
func (c *Controller) openServices() error {
	var list []corev1.Service
	err := c.store.view(func(t tx) (err error) {
		list, err = all[corev1.Service](t, "services", "")
		return err
	})
	if err != nil {
		return err
	}
	return c.services.setServices(list)
}

// pinned are the images that a workload's generations hold.
func (c *Controller) pinned(k Key) []string {
	var refs []string
	err := c.store.view(func(t tx) error {
		return each(t, "generations", keyPrefix(k), func(_ string, g Generation) error {
			for _, i := range g.Images {
				refs = append(refs, i.Reference)
			}
			return nil
		})
	})
	if err != nil {
		c.log(err)
	}
	return refs
}

// unpin lets go of images that no generation holds any more.
func (c *Controller) unpin(refs []string) {
	held := map[string]bool{}
	for _, w := range c.all() {
		for _, ref := range c.pinned(w.key) {
			held[ref] = true
		}
	}
	for _, ref := range refs {
		if held[ref] {
			continue
		}
		held[ref] = true
		if err := c.engine.Unpin(c.ctx, c.pinHolder, ref); err != nil && c.ctx.Err() == nil {
			c.log(fmt.Errorf("unpin image %s: %w", ref, err))
		}
	}
}

var _ rollout.Driver = (*workload)(nil)
