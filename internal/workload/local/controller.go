package local

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/balancer"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// Options configures a Controller.
type Options struct {
	Engine *pod.Engine
	// Log receives errors after which the controller tries again. It may be
	// nil.
	Log func(error)
	// Ephemeral keeps the workloads of this process apart from those that are
	// declared on the data directory: the controller starts empty, adopts no
	// pods, and leaves nothing after RemoveAll or, if the process is killed,
	// after the next Sweep.
	Ephemeral bool
	// Balancer spreads the traffic of Services. If it is nil, the controller has
	// one that ends with it. Close closes it.
	Balancer Balancer
	// Events receives the events of workloads, whose Pod is
	// "namespace/kind/name", and of their pods. It may be nil.
	Events pod.Events
	// Created receives each pod after it was created and before it is
	// supervised. It must not block and may keep the pod. It may be nil.
	Created func(*pod.Pod)

	driftEvery, layersEvery time.Duration // set by tests
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = func(error) {}
	}
	if o.Balancer == nil {
		o.Balancer = balancer.NewLocal()
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

// A Controller keeps all workloads of one data directory, or those of one
// process. It is safe for concurrent use.
type Controller struct {
	opts      Options
	engine    *pod.Engine
	root      string
	store     *store
	pinHolder string // name under which images are pinned
	services  *services
	network   network
	log       func(error)
	ctx       context.Context
	cancel    context.CancelFunc
	wg        sync.WaitGroup
	serving   map[string]string // hosts of the instances that the balancer passed traffic to before, by ID
	comparing chan struct{}     // one comparison for a reader at a time
	compareAt time.Time         // no comparison for a reader before
	creating  chan struct{}     // bounds concurrent creations of pods

	imagePolicy atomic.Pointer[ImagePolicy] // nil for none

	applying  sync.Mutex // one change of declarations at a time
	mu        sync.Mutex
	workloads map[Key]*workload
	drift     driftCounters
	tally     tally
}

// maxConcurrentCreates bounds how many pods are created at the same time.
// Beyond it each pod only takes longer.
const maxConcurrentCreates = 4

// Open reads the store, adopts the running pods and continues the rollouts that
// were under way. It returns ErrServing while another process serves the data
// directory.
func Open(ctx context.Context, o Options) (*Controller, error) {
	o = o.withDefaults()
	s, holder, err := o.openStore()
	if err != nil {
		return nil, fmt.Errorf("open fleet: %w", err)
	}
	c := &Controller{
		opts: o, engine: o.Engine, root: o.Engine.Root(), store: s, pinHolder: holder, log: o.Log,
		workloads: map[Key]*workload{}, creating: make(chan struct{}, maxConcurrentCreates), comparing: make(chan struct{}, 1),
	}
	// ctx is that of the call. The controller runs until Close.
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.services = newServices(c)
	err = c.joinNetwork()
	if err == nil {
		err = c.load(ctx)
	}
	if err != nil {
		c.cancel()
		return nil, errors.Join(fmt.Errorf("open fleet: %w", err), c.network.close(), s.close())
	}
	c.wg.Go(func() { c.services.run(c.ctx) })
	c.wg.Go(c.superviseRuntime)
	c.wg.Go(c.verifyLayers)
	c.wg.Go(c.pruneImages)
	if !o.Ephemeral {
		c.wg.Go(c.superviseDetached)
	}
	return c, nil
}

// declaredHolder is the name under which images of declared workloads are
// pinned.
const declaredHolder = "fleet"

// openStore opens the controller's store and returns the name under which it
// pins images.
func (o Options) openStore() (_ *store, holder string, err error) {
	if o.Ephemeral {
		return openEphemeral(o.Engine.Root())
	}
	s, err := openStore(o.Engine.Root())
	return s, declaredHolder, err
}

// joinNetwork chooses where the Services have their addresses.
func (c *Controller) joinNetwork() (err error) {
	n := c.engine.Network()
	switch {
	case !n.Services.IsValid():
	case c.opts.Ephemeral:
		c.network, err = claimNetwork(c.root, n.Subnet, n.Services)
	default:
		c.network = daemonNetwork(n.Subnet, n.Services)
	}
	return err
}

// Close stops the controller. The pods go on, and the next Open adopts them.
func (c *Controller) Close() error {
	c.cancel()
	c.wg.Wait()
	return errors.Join(c.network.close(), c.store.close())
}

// load creates the live object of each workload, adopts the pods and opens the
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
	c.serving = c.servingBackends(ctx)
	// Every pod is adopted before the first workload starts: a workload with too few
	// instances would create more.
	for _, p := range pods {
		c.adopt(ctx, p)
	}
	c.services.setUnused() // until there is a workload
	if err := c.openServices(); err != nil {
		c.log(err)
	}
	for _, w := range c.workloads {
		c.start(w)
	}
	return nil
}

// adopt hands a running pod to its workload. A pod whose workload is not declared
// any more is removed: its removal was under way when the last process ended.
func (c *Controller) adopt(ctx context.Context, p *pod.Pod) {
	generation, err := strconv.Atoi(p.Labels[labelGeneration])
	if err != nil || p.Spec().Ephemeral || p.Phase == pod.Removing && !p.IsEnding() || p.Phase == pod.Creating {
		return // of no controller, or being created or removed by another process
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

// start runs a workload until it is deleted or the controller is closed.
func (c *Controller) start(w *workload) {
	c.wg.Go(func() {
		w.run()
		if w.isDeleted() {
			w.removeOwnedClaims()
			if err := c.removeRecords(w); err != nil {
				c.log(err)
			}
		}
	})
}

// removeRecords removes a deleted workload from the store, except its history, and
// unpins its images.
func (c *Controller) removeRecords(w *workload) error {
	pinned := c.pinned(w.key)
	var job *jobRecord
	err := c.store.update(func(t tx) error {
		r, _, err := get[record](t, "workloads", w.key.String())
		if err != nil {
			return err
		}
		job = r.Job
		err = errors.Join(removeAll(t, "generations", keyPrefix(w.key)), remove(t, "workloads", w.key.String()))
		if err != nil || c.opts.Ephemeral {
			return err
		}
		if job != nil && job.Owner != "" {
			// A CronJob would push the history of all other workloads out.
			return errors.Join(removeAll(t, "attempts", keyPrefix(w.key)), removeAll(t, "events", keyPrefix(w.key)))
		}
		return keepDeleted(t, w.key, time.Now().UTC())
	})
	c.mu.Lock()
	delete(c.workloads, w.key)
	c.mu.Unlock()
	c.services.setUnused()
	c.unpin(pinned)
	c.notifyOwner(w.key, job)
	return err
}

// create creates a pod, or waits until fewer than maxConcurrentCreates are
// being created.
func (c *Controller) create(ctx context.Context, spec pod.PodSpec, events pod.Events) (*pod.Pod, error) {
	select {
	case c.creating <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-c.creating }()
	c.services.join(&spec)
	// They are not part of the generation: other credentials replace no instances.
	if err := c.addPullSecrets(&spec); err != nil {
		return nil, err
	}
	p, err := c.engine.Prepare(ctx, spec, events)
	// The runtime died. What is left of the first attempt occupies the pod's name
	// and must be removed before the second.
	if pod.IsUnavailable(err) && c.engine.Ensure(ctx) == nil && c.engine.Recover(ctx) == nil {
		p, err = c.engine.Prepare(ctx, spec, events)
	}
	return p, err
}

const (
	// runtimeEvery is the interval at which the runtime is checked. After every
	// recoverEvery of those, the rest of failed removals is removed.
	runtimeEvery = 2 * time.Second
	recoverEvery = 30
)

// superviseRuntime restarts the runtime if it was killed, and finishes removals
// that failed meanwhile.
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

// endpoints returns all instances as Services see them, and the share of new
// traffic of each group.
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

// endpoints returns the instances of one workload and adds the shares of its
// generations to shares. One Service may select the pods of several workloads, so a
// share is weighted by the number of instances that serve.
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
		// Of an instance that was adopted just now nobody knows yet whether it is ready.
		// It was, and its name must not be lost by a restart of the daemon.
		share, known := w.shares[i.Generation]
		list = append(list, endpoint{
			id: backendID(w.key.Namespace, i.ID), host: i.address(), group: group(w.key, i.Generation), labels: i.labels,
			namespace: w.key.Namespace, template: i.template, takes: takes,
			ip: i.ip, hostname: i.hostname, subdomain: i.subdomain,
			runs:  i.pod != nil && !i.Ending && !i.isolated,
			named: (takes || i.unprobed && !i.Ending && !i.isolated) && (w.shares == nil || known && share > 0),
		})
	}
	for g, share := range w.shares {
		shares[group(w.key, g)] = share * max(serving, 1)
	}
	return list
}

// openServices opens the declared Services and Ingress objects.
func (c *Controller) openServices() error {
	if err := c.readServices(); err != nil {
		return err
	}
	return c.services.open()
}

// readServices reads what is declared and gives addresses to Services without one.
func (c *Controller) readServices() error {
	return c.store.update(func(t tx) error {
		cur, err := readCurrent(t, declaration{})
		if err != nil {
			return err
		}
		addresses, err := assignAddresses(t, c.network)
		if err == nil {
			c.services.declare(cur.exposed(), addresses)
		}
		return err
	})
}

// pinned returns the references of the images that a workload's generations
// pin.
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

// unpin unpins images that no generation pins any more.
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
