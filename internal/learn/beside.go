package learn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
)

const (
	besidePatience = 20 * time.Second // for the others to get ready before the workload starts
	routeEvery     = 250 * time.Millisecond
)

// A beside is the other workloads of a file, which run as they are while one of them
// is learned, with a network in which they find each other.
type beside struct {
	o      Options
	net    network
	others []*other
	cancel context.CancelFunc
	wg     sync.WaitGroup

	spec   *pod.PodSpec      // of the workload that is learned
	routes map[string]string // by UID of a pod: its redirects, as text; of keepRoutes

	mu      sync.Mutex
	current []pod.Redirect
}

// An other is one of the other workloads. The mutex of beside guards its state.
type other struct {
	workload Workload
	spec     pod.PodSpec
	waits    bool // it mentions a name of the workload that is learned

	pod   *pod.Pod // nil until it was created
	ready bool
	why   string // it is not ready
	ended bool   // it will not be ready again
	done  bool   // it completed
	left  error  // why it could not be removed; set by run
}

// startBeside starts the other workloads of the subject's file, and gives spec the
// names of the file's Services. It returns nil if the file has no Service, because
// then workloads cannot find each other.
func (o Options) startBeside(ctx context.Context, spec *pod.PodSpec, t *trial) (*beside, error) {
	n := newNetwork(o.subject.File, o.all)
	if len(n.hosts) == 0 {
		return nil, nil
	}
	if err := pod.CanRedirect(); err != nil {
		t.Weak = append(t.Weak, fmt.Sprintf("names of Services do not resolve here: %v", err))
		return nil, nil
	}
	b := &beside{o: o, net: n, spec: spec, routes: map[string]string{}}
	n.join(o.subject, spec)
	names := n.namesOf(o.subject)
	for _, w := range o.all {
		if w.key() == o.subject.key() || w.Object.Kind == "CronJob" {
			continue
		}
		other := &other{workload: w, spec: w.trial("beside"), why: "it was not started", waits: mentions(w, names)}
		other.spec.Ephemeral = true
		n.join(w, &other.spec)
		b.others = append(b.others, other)
	}
	running, cancel := context.WithCancel(ctx)
	b.cancel = cancel
	for _, other := range b.others {
		b.wg.Go(func() { b.run(running, other) })
	}
	b.wg.Go(func() { b.keepRoutes(running) })
	if len(b.others) > 0 {
		o.say("  beside it: %s", strings.Join(b.names(func(*other) bool { return true }), ", "))
	}
	b.waitReady(ctx, besidePatience, func(other *other) bool { return !other.waits })
	b.mu.Lock()
	defer b.mu.Unlock()
	spec.Redirects = b.current
	return b, ctx.Err()
}

// mentions reports whether the manifest of a workload has one of several names, in
// its pod or in the objects that the pod may refer to.
func mentions(w Workload, names []string) bool {
	text, err := json.Marshal([]any{w.Object.Template.Spec, w.File.ConfigMaps()})
	return err != nil || slices.ContainsFunc(names, func(name string) bool { return strings.Contains(string(text), name) })
}

// run runs another workload until ctx ends, and removes it.
func (b *beside) run(ctx context.Context, other *other) {
	set := func(do func()) {
		b.mu.Lock()
		defer b.mu.Unlock()
		do()
	}
	p, err := b.o.Engine.Prepare(ctx, other.spec, nil)
	if err != nil {
		set(func() { other.ended, other.why = true, err.Error() })
		return
	}
	set(func() { other.pod = p })
	defer func() {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		other.left = p.Remove(undo, 0, nil)
	}()
	own := *p
	err = own.Supervise(ctx, pod.Supervision{Ready: func(ready bool, reason string) {
		set(func() { other.ready, other.why = ready, reason })
	}})
	set(func() {
		other.ended, other.done = true, err == nil
		if err != nil && ctx.Err() == nil {
			other.ready, other.why = false, err.Error()
		}
	})
	<-ctx.Done() // its files may be read until the trial is over
}

// waitReady waits until the others that are selected are ready, have completed or
// cannot get ready, for a limited time.
func (b *beside) waitReady(ctx context.Context, limit time.Duration, selected func(*other) bool) {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		isPending := func(other *other) bool { return selected(other) && !other.ready && !other.ended }
		if len(b.names(isPending)) == 0 || clock.Sleep(ctx, pollTraces) != nil {
			return
		}
	}
}

// names returns the names of the others that are selected.
func (b *beside) names(selected func(*other) bool) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, other := range b.others {
		if selected(other) {
			names = append(names, other.workload.Name())
		}
	}
	return names
}

// begin is called once the workload is ready. It waits until the others are ready,
// too, and returns a note for each that is not.
func (b *beside) begin(ctx context.Context, until time.Time) (notes []string) {
	if b == nil {
		return nil
	}
	b.waitReady(ctx, time.Until(until), func(*other) bool { return true })
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, other := range b.others {
		if !other.ready && !other.done {
			notes = append(notes, fmt.Sprintf("%s did not get ready beside it, so what it would cause was not seen: %s", other.workload.Name(), other.why))
		}
	}
	return notes
}

// members returns the running pods.
func (b *beside) members() []member {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []member
	for _, other := range b.others {
		if other.pod != nil && !other.ended {
			list = append(list, member{other.workload, other.pod})
		}
	}
	return list
}

// close removes the others.
func (b *beside) close() error {
	if b == nil {
		return nil
	}
	b.cancel()
	b.wg.Wait()
	var errs []error
	for _, other := range b.others {
		errs = append(errs, other.left)
	}
	return errors.Join(errs...)
}

// keepRoutes passes the addresses of new pods to all pods until ctx ends. A pod has
// an address before its containers start.
func (b *beside) keepRoutes(ctx context.Context) {
	for clock.Sleep(ctx, routeEvery) == nil {
		b.route(ctx)
	}
}

func (b *beside) route(ctx context.Context) {
	pods := map[string]*pod.Pod{} // by key of the workload
	find := func(w Workload, spec *pod.PodSpec) {
		// It may be created or removed just now; the next round finds it.
		if p, err := b.o.Engine.Find(ctx, spec.Namespace+"/"+spec.Name); err == nil && p.IP != "" {
			pods[w.key()] = p
		}
	}
	find(b.o.subject, b.spec)
	for _, other := range b.others {
		find(other.workload, &other.spec)
	}
	addresses := map[string]string{}
	for key, p := range pods {
		addresses[key] = p.IP
	}
	list := b.net.redirects(addresses)
	text := fmt.Sprint(list)
	b.mu.Lock()
	b.current = list
	b.mu.Unlock()
	for _, p := range pods {
		if b.routes[p.UID] != text && p.Redirect(ctx, list) == nil {
			b.routes[p.UID] = text
		}
	}
}
