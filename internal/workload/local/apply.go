package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// An Action is the effect of an apply on one object.
type Action string

// The effects of an apply.
const (
	Created   Action = "created"
	Replaced  Action = "replaced" // a new generation takes the place of the one that runs
	Adjusted  Action = "adjusted" // without new instances: replicas, strategy, a port
	Unchanged Action = "unchanged"
	// NotRetried is a generation that failed before; see ApplyOptions.Retry.
	NotRetried Action = "not retried"
)

// A Result is the effect of an apply, or of a dry run, on one object.
type Result struct {
	Kind       string   `json:"kind"`
	Namespace  string   `json:"namespace"`
	Name       string   `json:"name"`
	Action     Action   `json:"action"`
	Generation int      `json:"generation,omitempty"`
	Rollout    int      `json:"rollout,omitempty"` // number in the history: of the rollout that begins, or else of the latest
	Changes    []string `json:"changes,omitempty"` // one line each: field, old and new value
}

// An Outcome is the effect of an apply or of a dry run.
type Outcome struct {
	Results []Result `json:"results"`
	Notes   []string `json:"notes,omitempty"` // about objects and fields without a meaning on this machine

	PassedOver []manifest.Other `json:"passedOver,omitempty"` // objects without a meaning on this machine
}

// Rollouts returns the results of an apply that are workloads, each of which may be
// being rolled out. Other objects have no generation.
func (o Outcome) Rollouts() []Result {
	return slices.DeleteFunc(slices.Clone(o.Results), func(r Result) bool { return r.Generation == 0 })
}

// ApplyOptions configures an Apply.
type ApplyOptions struct {
	By  Author
	Dry bool // changes nothing
	// Retry tries a generation again that was rolled back or failed.
	Retry bool
}

// Apply declares the objects of a manifest and starts to replace instances that
// differ from it. It waits while one of its workloads is being deleted.
func (c *Controller) Apply(ctx context.Context, file manifest.File, opts ApplyOptions) (Outcome, error) {
	d, err := parseDeclaration(file)
	if err != nil {
		return Outcome{}, err
	}
	for {
		out, err := c.apply(ctx, d, opts)
		if !errors.Is(err, ErrDeleting) {
			return out, err
		}
		if clock.Sleep(ctx, statusInterval) != nil {
			return out, err
		}
	}
}

// apply is one try of Apply, which returns ErrDeleting without waiting.
func (c *Controller) apply(ctx context.Context, d declaration, opts ApplyOptions) (Outcome, error) {
	// A plan is valid only for the store that it was compared with.
	c.applying.Lock()
	defer c.applying.Unlock()
	plan, err := c.plan(ctx, d, opts.Retry)
	if pod.IsUnavailable(err) && c.engine.Ensure(ctx) == nil {
		plan, err = c.plan(ctx, d, opts.Retry)
	}
	if err != nil {
		return Outcome{}, err
	}
	if !opts.Dry {
		if err := c.commit(plan, opts.By); err != nil {
			return Outcome{}, err
		}
	}
	for _, ch := range plan.changes {
		plan.notes = append(plan.notes, ch.notes...)
	}
	out := Outcome{Results: plan.results(), Notes: slices.Concat(d.notes, plan.notes, plan.notRetried())}
	if lost := c.services.namesLost(); lost != nil && !opts.Dry {
		out.Notes = append(out.Notes, lost.Error())
	}
	out.PassedOver, out.Notes = d.refused, append(out.Notes, manifest.PassedOverNotes(d.refused)...)
	if opts.Dry {
		c.unpinPlanned(plan)
	}
	return out, nil
}

// A plan lists the changes of an apply.
type plan struct {
	declaration
	changes []change
	objects []Result // claims, Services, ConfigMaps, Secrets and Ingress objects
	notes   []string // beside those of the declaration
}

// A change is the effect of an apply on one workload.
type change struct {
	declared
	before *record     // nil for a new workload
	gen    *Generation // the generation to run
	isNew  bool        // gen is not in the store
	notes  []string
	Result
}

func (p plan) results() []Result {
	list := append([]Result{}, p.objects...)
	for _, ch := range p.changes {
		list = append(list, ch.Result)
	}
	return list
}

// notRetried returns a note for each generation that failed before.
func (p plan) notRetried() []string {
	var notes []string
	for _, ch := range p.changes {
		if ch.Action == NotRetried {
			notes = append(notes, fmt.Sprintf("%s/%s: generation %d is not tried again (%s); adamant apply --retry tries it", ch.Kind, ch.Name, ch.Generation, ch.before.State.Reason))
		}
	}
	return notes
}

// plan compares a declaration with the store. It pins images, which it compares by
// digest: the same tag may name another image now.
func (c *Controller) plan(ctx context.Context, d declaration, retry bool) (plan, error) {
	p := plan{declaration: d}
	claims, err := c.compareClaims(d)
	if err != nil {
		return p, err
	}
	var cur current
	err = c.store.view(func(t tx) (err error) {
		if err := checkAddresses(t, c.network, d); err != nil {
			return err
		}
		if p.objects, err = compareObjects(t, d); err != nil {
			return err
		}
		cur, err = readCurrent(t, d)
		return err
	})
	if err != nil {
		return p, err
	}
	p.objects = append(claims, p.objects...)
	if p.notes, err = c.checkExposed(d, cur.exposed()); err != nil {
		return p, err
	}
	for _, w := range cur.affected(d) {
		ch, err := c.change(ctx, w, cur)
		if err != nil {
			return p, err
		}
		if ch.Action == NotRetried && retry {
			ch.Action, ch.Changes = Replaced, nil
		}
		p.changes = append(p.changes, ch)
	}
	return p, nil
}

// checkExposed returns an error if what listens after an apply cannot be opened or has no
// valid certificate, and notes about it.
func (c *Controller) checkExposed(d declaration, all exposed) ([]string, error) {
	warnings, err := checkCertificates(d, all, time.Now())
	if err != nil {
		return nil, err
	}
	after := newDoors(all)
	taken, err := c.services.check(d.services, after)
	if err != nil {
		return nil, err
	}
	notes, err := c.services.checkDoors(d, all, after)
	return slices.Concat(warnings, taken, notes), err
}

// change finds the generation that a workload must run. It builds one from the
// declaration, with pinned images and the configuration that its pods refer to,
// and takes an existing one in its place if that has the same hash.
func (c *Controller) change(ctx context.Context, w declared, cur current) (change, error) {
	ch := change{declared: w, Result: Result{Kind: w.key.Kind, Namespace: w.key.Namespace, Name: w.key.Name}}
	gen := &Generation{Made: time.Now().UTC(), Template: *w.template.DeepCopy(), Claims: w.claims}
	var err error
	if gen.ConfigMaps, gen.Secrets, err = cur.configuration(w); err != nil {
		return ch, err
	}
	pulled := pod.PodSpec{Namespace: w.key.Namespace, Name: w.key.Name, Spec: gen.Template.Spec, Secrets: slices.Collect(maps.Values(cur.secrets))}
	for _, name := range pod.MissingPullSecrets(&pulled) {
		ch.notes = append(ch.notes, fmt.Sprintf("%s: imagePullSecrets: there is no Secret %s in namespace %s: pulling may fail", w.key, name, w.key.Namespace))
	}
	if err := c.pin(ctx, gen, pulled); err != nil {
		return ch, fmt.Errorf("%s: %w", w.key, err)
	}
	if gen.Hash, err = gen.hash(); err != nil {
		return ch, err
	}

	ch.gen, ch.isNew = gen, true
	var before *Generation
	for _, r := range cur.records {
		if r.Key == w.key && !r.Deleting {
			ch.before = &r
		}
	}
	if b := ch.before; b != nil && b.Job != nil && b.Job.Owner != "" {
		return ch, fmt.Errorf("%s is a Job of CronJob %s, which is to be applied in its place", w.key, b.Job.Owner)
	}
	for _, g := range cur.generations[w.key] {
		gen.Number = max(gen.Number, g.Number)
		if g.Hash == gen.Hash {
			ch.gen, ch.isNew = &g, false
		}
		if ch.before != nil && g.Number == ch.before.State.Target {
			before = &g
		}
	}
	if ch.isNew {
		gen.Number++
	}
	ch.Generation = ch.gen.Number
	ch.setAction(before)
	return ch, nil
}

// setAction sets the action and the changed fields.
func (ch *change) setAction(before *Generation) {
	if ch.job != nil {
		ch.setJobAction(before)
		return
	}
	switch {
	case ch.before == nil || before == nil:
		ch.Action = Created
	case ch.before.State.HasFailed(ch.gen.Number):
		ch.Action, ch.Changes = NotRetried, adjustments(*ch.before, ch.declared)
	case before.Number != ch.gen.Number:
		ch.Action, ch.Changes = Replaced, differences(before, ch.gen)
	case ch.before.State.Phase == rollout.Failed:
		ch.Action = Replaced // it could not be gone back to, and is tried again
	default:
		ch.Changes = adjustments(*ch.before, ch.declared)
		if ch.Action = Unchanged; len(ch.Changes) > 0 {
			ch.Action = Adjusted
		}
	}
}

// pin replaces the image names of a generation by references with digests. Images are
// pulled with the imagePullSecrets of s.
func (c *Controller) pin(ctx context.Context, g *Generation, s pod.PodSpec) error {
	one := func(what string, image *string, policy *corev1.PullPolicy) error {
		pinned, err := c.engine.Pin(ctx, c.pinHolder, s, *image, *policy)
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

// unpinPlanned unpins the images of a plan that is not carried out.
func (c *Controller) unpinPlanned(p plan) {
	var refs []string
	for _, ch := range p.changes {
		for _, i := range ch.gen.Images {
			refs = append(refs, i.Reference)
		}
	}
	c.unpin(refs)
}

// commit stores a plan in one transaction and wakes the workloads.
func (c *Controller) commit(p plan, by Author) error {
	now := time.Now().UTC()
	// Claims come first: without them the pods below could not be created.
	if err := ensureClaims(c.engine, p.claims); err != nil {
		return err
	}
	err := c.store.update(func(t tx) error {
		if err := putObjects(t, p.declaration, now); err != nil {
			return err
		}
		for i := range p.changes {
			if err := p.changes[i].write(t, by, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Now, because the first instances get the variables of the Services.
	if err := c.readServices(); err != nil {
		return err
	}
	for _, ch := range p.changes {
		c.startOrNotify(ch.key, ch.Action == Created || ch.Action == Replaced, ch.gen.Number)
	}
	c.prune(p)
	return c.services.open()
}

// write stores the change of one workload.
func (ch *change) write(t tx, by Author, now time.Time) error {
	r := record{Key: ch.key}
	if ch.before != nil {
		// The plan was made outside this transaction: a rollout may have
		// changed the state since.
		r = *ch.before
		if fresh, ok, err := get[record](t, "workloads", ch.key.String()); err != nil {
			return err
		} else if ok {
			r.State, r.Job, r.Cron = fresh.State, fresh.Job, fresh.Cron
		}
	}
	// An apply without the field does not end a pause by hand.
	begins := ch.Action == Created || ch.Action == Replaced
	if begins || r.Paused != ch.paused {
		r.State.Paused = ch.paused
	}
	r.Spec, r.Policy, r.Declared, r.Retain, r.Paused = ch.spec, ch.policy, ch.template, ch.retain, ch.paused
	r.Claims, r.Retention = ch.claims, ch.retention
	if ch.job != nil {
		next := &jobRecord{Spec: *ch.job}
		if r.Job != nil && !begins {
			next.State = r.Job.State
		}
		r.Job = next
	}
	if ch.cron != nil {
		r.Cron = ch.cron.after(r.Cron, now)
	}
	if ch.isNew {
		ch.gen.By = by
		if err := put(t, "generations", numberedKey(ch.key, ch.gen.Number), ch.gen); err != nil {
			return err
		}
	}
	if ch.Action == Adjusted {
		r.State.Withheld = 0
	}
	ch.Rollout = lastNumber(t, "attempts", ch.key)
	if begins {
		r.State = r.State.Begin(ch.gen.Number, now)
		var err error
		ch.Rollout, err = beginAttempt(t, ch.key, Attempt{Generation: ch.gen.Number, By: by, Cause: "apply", Began: now, Outcome: rollout.Progressing})
		if err != nil {
			return err
		}
	}
	return put(t, "workloads", ch.key.String(), r)
}

// startOrNotify creates the live object of a workload that has none, and wakes
// it otherwise.
func (c *Controller) startOrNotify(key Key, anew bool, generation int) {
	c.mu.Lock()
	w := c.workloads[key]
	isNew := w == nil
	if isNew {
		w = newWorkload(c, key)
		c.workloads[key] = w
	}
	c.mu.Unlock()
	if anew {
		w.resetFailures(generation)
	}
	if isNew {
		c.start(w)
	}
	w.notify()
}

// resetFailures clears failures of a generation from before its rollout, which
// must not fail the new one.
func (w *workload) resetFailures(generation int) {
	requests, failures := w.controller.services.requestCounts(group(w.key, generation))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate, w.requests, w.failures = nil, requests, failures
	delete(w.failed, generation)
	clear(w.notBefore)
	for _, i := range w.instances {
		i.Crashes = 0
	}
}

// prune removes the oldest generations beyond the number that is retained for
// an undo.
func (c *Controller) prune(p plan) {
	var dropped []string
	err := c.store.update(func(t tx) error {
		for _, ch := range p.changes {
			refs, err := pruneGenerations(t, ch.key)
			if err != nil {
				return err
			}
			dropped = append(dropped, refs...)
		}
		return nil
	})
	if err != nil {
		c.log(err)
		return
	}
	// Images are unpinned after the transaction. A crash in between leaves an
	// unneeded pin, and never a generation without its image.
	c.unpin(dropped)
}

func pruneGenerations(t tx, k Key) ([]string, error) {
	r, ok, err := get[record](t, "workloads", k.String())
	if err != nil || !ok {
		return nil, err
	}
	list, err := all[Generation](t, "generations", keyPrefix(k))
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
		if err := remove(t, "generations", numberedKey(k, g.Number)); err != nil {
			return nil, err
		}
	}
	return refs, nil
}
