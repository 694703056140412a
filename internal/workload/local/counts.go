package local

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// Counts are the numbers of what happened to a workload since the controller was opened.
// They never decrease.
type Counts struct {
	Rollouts  map[rollout.Phase]uint64 // that ended, by outcome
	Gates     map[string]uint64        // results: passed, failed, inconclusive
	Crashes   uint64                   // of containers
	Restarts  uint64                   // of containers, in their pod
	Ended     uint64                   // instances that ended by themselves
	Drifted   uint64                   // instances that changed
	Escalated uint64                   // instances that drifted because they could not be compared
	Unknown   uint64                   // comparisons that left something unknown
	Replaced  uint64                   // instances that were replaced for drift
}

func newCounts() *Counts {
	return &Counts{Rollouts: map[rollout.Phase]uint64{}, Gates: map[string]uint64{}}
}

func (n *Counts) countDrift(isNew bool, o outcome) {
	if o.unknown != "" || o.verdict == rollout.Unknown {
		n.Unknown++
	}
	switch {
	case !isNew || o.verdict != rollout.Drifted:
	case o.changes == 0:
		n.Escalated++
	default:
		n.Drifted++
	}
}

// A tally holds the Counts of all workloads, and what is known of the layers of images.
type tally struct {
	mu        sync.Mutex
	workloads map[Key]*Counts
	layers    map[string]Layers
}

// Layers are the result of the latest comparison of an image's unpacked layers with the
// digests of the image.
type Layers struct {
	Verdict rollout.Drift
	Time    time.Time
}

// maxTallied is the number of workloads from which on those that are not declared any more
// are forgotten. Until then one that is deleted and declared again counts on.
const maxTallied = 1000

// count changes the Counts of a workload. The caller may hold mu.
func (w *workload) count(change func(*Counts)) {
	t := &w.controller.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.workloads == nil {
		t.workloads = map[Key]*Counts{}
	}
	n := t.workloads[w.key]
	if n == nil {
		n = newCounts()
		t.workloads[w.key] = n
	}
	change(n)
}

func (w *workload) countGate(r rollout.GateResult) {
	result := "passed"
	switch {
	case !r.Done:
		return
	case r.Reason != "":
		result = "failed"
	case r.Inconclusive != "":
		result = "inconclusive"
	}
	w.count(func(n *Counts) { n.Gates[result]++ })
}

// Counts returns the Counts of the declared workloads.
func (c *Controller) Counts() map[Key]Counts {
	declared := map[Key]bool{}
	for _, w := range c.all() {
		declared[w.key] = true
	}
	c.tally.mu.Lock()
	defer c.tally.mu.Unlock()
	all := map[Key]Counts{}
	for k := range declared {
		n := cmp.Or(c.tally.workloads[k], newCounts())
		copied := *n
		copied.Rollouts, copied.Gates = maps.Clone(n.Rollouts), maps.Clone(n.Gates)
		all[k] = copied
	}
	if len(c.tally.workloads) > maxTallied {
		maps.DeleteFunc(c.tally.workloads, func(k Key, _ *Counts) bool { return !declared[k] })
	}
	return all
}

func (t *tally) countLayers(image string, r drift.Report, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.layers == nil {
		t.layers = map[string]Layers{}
	}
	l := Layers{rollout.Clean, time.Now()}
	switch {
	case r.Len() > 0:
		l.Verdict = rollout.Drifted
	case err != nil || r.UnknownLen() > 0:
		l.Verdict = rollout.Unknown
	}
	t.layers[image] = l
}

// keepLayers forgets the images that are not used.
func (t *tally) keepLayers(used map[string]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.layers, func(image string, _ Layers) bool { return !used[image] })
}

// Layers returns what is known of the layers of images, by image.
func (c *Controller) Layers() map[string]Layers {
	c.tally.mu.Lock()
	defer c.tally.mu.Unlock()
	return maps.Clone(c.tally.layers)
}

// A PortTraffic is the traffic of a Service's port since the controller was opened.
type PortTraffic struct {
	Namespace, Service string
	Port               int32
	Open               bool // the port is listened on
	traffic.Stats
}

// Traffic returns the traffic of all Services' ports, by name.
func (c *Controller) Traffic() []PortTraffic {
	s := c.services
	stats := s.balancer.Stats(c.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []PortTraffic
	for _, one := range s.list {
		for _, p := range one.Spec.Ports {
			t := PortTraffic{Namespace: one.Namespace, Service: one.Name, Port: p.Port, Open: one.listen[p.Port] != "" && !one.closed[p.Port]}
			for _, st := range stats[listenerName(one, p.Port)] {
				t.Stats = t.Add(st)
			}
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b PortTraffic) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Port, b.Port))
	})
	return list
}
