package local

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// An Action is what becomes of one object.
type Action string

// What can become of it.
const (
	Created   Action = "created"
	Replaced  Action = "replaced" // a new generation takes the place of the one that runs
	Adjusted  Action = "adjusted" // nothing runs otherwise: replicas, strategy, a port
	Unchanged Action = "unchanged"
)

// A Result is what an apply did, or would do, to one object.
type Result struct {
	Kind       string   `json:"kind"`
	Namespace  string   `json:"namespace"`
	Name       string   `json:"name"`
	Action     Action   `json:"action"`
	Generation int      `json:"generation,omitempty"`
	Changes    []string `json:"changes,omitempty"` // one line each: field, old and new value
}

// An Outcome is what an apply did, or would do.
type Outcome struct {
	Results []Result `json:"results"`
	Notes   []string `json:"notes,omitempty"` // of what has no meaning on this machine
}

// Apply declares what a manifest asks for, and begins to replace what is
// different. With dry nothing is changed.
func (f *Fleet) Apply(ctx context.Context, file manifest.File, by Author, dry bool) (Outcome, error) {
	d, err := declare(file)
	if err != nil {
		return Outcome{}, err
	}
	f.applying.Lock()
	defer f.applying.Unlock()
	plan, err := f.plan(ctx, d)
	if cri.IsUnavailable(err) && f.engine.Ensure(ctx) == nil {
		plan, err = f.plan(ctx, d)
	}
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Results: plan.results(), Notes: d.notes}
	for _, o := range d.refused {
		out.Notes = append(out.Notes, fmt.Sprintf("%s:%d: %s/%s is passed over: it has no meaning on one machine", file.Name, o.Line, o.Kind, o.Name))
	}
	if dry {
		return out, f.dropPins(plan)
	}
	return out, f.carryOut(plan, by)
}

// A plan is what an apply will change.
type plan struct {
	declaration
	changes []change
	objects []Result // Services, ConfigMaps and Secrets
}

// A change is one workload's.
type change struct {
	declared
	before *record     // nil if it is new
	gen    *Generation // that is to run
	isNew  bool        // gen was not there before
	Result
}

func (p plan) results() []Result {
	list := append([]Result{}, p.objects...)
	for _, c := range p.changes {
		list = append(list, c.Result)
	}
	return list
}

// plan compares a declaration with what is kept. Images are pinned here, since
// what their names mean is part of what is compared.
func (f *Fleet) plan(ctx context.Context, d declaration) (plan, error) {
	p := plan{declaration: d}
	var kept kept
	err := f.store.view(func(t tx) (err error) {
		if p.objects, err = compareObjects(t, d); err != nil {
			return err
		}
		kept, err = readKept(t, d)
		return err
	})
	if err != nil {
		return p, err
	}
	for _, w := range kept.affected(d) {
		c, err := f.change(ctx, w, kept)
		if err != nil {
			return p, err
		}
		p.changes = append(p.changes, c)
	}
	return p, nil
}

// change finds the generation that a workload is to run.
func (f *Fleet) change(ctx context.Context, w declared, kept kept) (change, error) {
	c := change{declared: w, Result: Result{Kind: w.key.Kind, Namespace: w.key.Namespace, Name: w.key.Name}}
	gen, err := f.generate(ctx, w, kept)
	if err != nil {
		return c, err
	}
	c.gen, c.isNew = gen, true
	var before *Generation
	for _, r := range kept.records {
		if r.Key == w.key && !r.Deleting {
			c.before = &r
		}
	}
	for _, g := range kept.generations[w.key] {
		gen.Number = max(gen.Number, g.Number)
		if g.Hash == gen.Hash {
			c.gen, c.isNew = &g, false
		}
		if c.before != nil && g.Number == c.before.State.Target {
			before = &g
		}
	}
	if c.isNew {
		gen.Number++
	}
	c.Generation = c.gen.Number
	c.judge(before)
	return c, nil
}

// judge says what becomes of the workload.
func (c *change) judge(before *Generation) {
	switch {
	case c.before == nil || before == nil:
		c.Action = Created
	case before.Number != c.gen.Number:
		c.Action, c.Changes = Replaced, differences(before, c.gen)
	case c.before.State.Phase == rollout.Failed || c.before.State.From == c.gen.Number:
		c.Action = Replaced // it failed, and is tried again
	default:
		c.Changes = adjustments(*c.before, c.declared)
		if c.Action = Unchanged; len(c.Changes) > 0 {
			c.Action = Adjusted
		}
	}
}

// generate makes the generation that a workload asks for: its images pinned,
// and all that its pods refer to.
func (f *Fleet) generate(ctx context.Context, w declared, kept kept) (*Generation, error) {
	g := &Generation{Made: time.Now().UTC(), Template: *w.template.DeepCopy()}
	var err error
	if g.ConfigMaps, g.Secrets, err = kept.configuration(w); err != nil {
		return nil, err
	}
	if err := f.pin(ctx, g); err != nil {
		return nil, fmt.Errorf("%s: %w", w.key, err)
	}
	g.Hash, err = g.hash()
	return g, err
}

// pin replaces the names of all images of a generation by what they mean now.
func (f *Fleet) pin(ctx context.Context, g *Generation) error {
	one := func(what string, image *string, policy *corev1.PullPolicy) error {
		pinned, err := f.engine.Pin(ctx, f.holder, *image, *policy)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		g.Images = append(g.Images, PinnedImage{what, *image, pinned.Digest, pinned.Reference})
		*image, *policy = pinned.Reference, corev1.PullIfNotPresent
		return nil
	}
	spec := &g.Template.Spec
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			if err := one("container "+list[i].Name, &list[i].Image, &list[i].ImagePullPolicy); err != nil {
				return err
			}
		}
	}
	for i := range spec.Volumes {
		if v := spec.Volumes[i].Image; v != nil {
			if err := one("volume "+spec.Volumes[i].Name, &v.Reference, &v.PullPolicy); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropPins lets go of the images of generations that were only planned.
func (f *Fleet) dropPins(p plan) error {
	var refs []string
	for _, c := range p.changes {
		for _, i := range c.gen.Images {
			refs = append(refs, i.Reference)
		}
	}
	f.unpin(refs)
	return nil
}

// carryOut keeps a plan in one transaction, and lets the keepers begin.
func (f *Fleet) carryOut(p plan, by Author) error {
	now := time.Now().UTC()
	err := f.store.update(func(t tx) error {
		if err := putObjects(t, p.declaration); err != nil {
			return err
		}
		for i := range p.changes {
			if err := p.changes[i].keep(t, by, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range p.changes {
		f.wakeKeeper(c.key, c.Action == Created || c.Action == Replaced, c.gen.Number)
	}
	f.prune(p)
	return f.openServices()
}

// keep writes one workload's change.
func (c *change) keep(t tx, by Author, now time.Time) error {
	r := record{Key: c.key}
	if c.before != nil {
		r = *c.before
		if fresh, ok, err := get[record](t, "workloads", c.key.String()); err != nil {
			return err
		} else if ok {
			r.State = fresh.State
		}
	}
	r.Spec, r.Policy, r.Declared, r.Retain = c.spec, c.policy, c.template, c.retain
	if c.isNew {
		c.gen.By = by
		if err := put(t, "generations", numbered(c.key, c.gen.Number), c.gen); err != nil {
			return err
		}
	}
	r.State.Paused = c.paused
	if c.Action == Adjusted {
		r.State.Withheld = 0
	}
	if c.Action == Created || c.Action == Replaced {
		r.State = r.State.Begin(c.gen.Number, now)
		if err := beginAttempt(t, c.key, Attempt{Generation: c.gen.Number, By: by, Cause: "apply", Began: now, Outcome: rollout.Progressing}); err != nil {
			return err
		}
	}
	return put(t, "workloads", c.key.String(), r)
}

// wakeKeeper lets a workload's keeper look at what was declared.
func (f *Fleet) wakeKeeper(key Key, anew bool, generation int) {
	f.mu.Lock()
	k := f.keepers[key]
	isNew := k == nil
	if isNew {
		k = newKeeper(f, key)
		f.keepers[key] = k
	}
	f.mu.Unlock()
	if anew {
		k.reset(generation)
	}
	if isNew {
		f.start(k)
	}
	k.poke()
}

// reset forgets what was held against a generation before its rollout began.
func (k *keeper) reset(generation int) {
	requests, failures := k.fleet.services.counted(group(k.key, generation))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gate, k.requests, k.failures = nil, requests, failures
	delete(k.failed, generation)
	k.notBefore = time.Time{}
	for _, i := range k.instances {
		i.Crashes = 0
	}
}

// prune drops the oldest generations that are not needed to go back to.
func (f *Fleet) prune(p plan) {
	var dropped []string
	err := f.store.update(func(t tx) error {
		for _, c := range p.changes {
			refs, err := pruneGenerations(t, c.key)
			if err != nil {
				return err
			}
			dropped = append(dropped, refs...)
		}
		return nil
	})
	if err != nil {
		f.log(err)
		return
	}
	f.unpin(dropped)
}

func pruneGenerations(t tx, k Key) ([]string, error) {
	r, ok, err := get[record](t, "workloads", k.String())
	if err != nil || !ok {
		return nil, err
	}
	list, err := all[Generation](t, "generations", below(k))
	if err != nil {
		return nil, err
	}
	var refs []string
	for n, g := range list {
		if len(list)-n <= r.Retain+1 || g.Number == r.State.Target || g.Number == r.State.Stable {
			continue
		}
		for _, i := range g.Images {
			refs = append(refs, i.Reference)
		}
		if err := remove(t, "generations", numbered(k, g.Number)); err != nil {
			return nil, err
		}
	}
	return refs, nil
}
