package local

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/batch"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A jobPod is what an instance of a Job has in addition.
type jobPod struct {
	restarts map[string]int // by container; -1 for one that was never started
	result   batch.Result   // empty until the pod has ended
	ended    time.Time
	reason   string // why it failed
	exits    []batch.Exit
	adopted  bool // an earlier process created the pod
	unbegun  bool // it failed because containers could not be started
	gone     bool // the pod was never made, or another process removed it
}

// The intervals between two decisions if nothing wakes the loop of a Job or CronJob.
const (
	batchIdle  = 30 * time.Second // the clock may have been changed
	batchRetry = time.Second
)

// repeat calls step whenever the workload changes or the returned time has come,
// until the controller is closed or the workload is deleted.
func (w *workload) repeat(step func() (wake time.Time, err error)) {
	for w.ctx.Err() == nil {
		wake, err := step()
		if w.isDeleted() {
			return
		}
		pause := batchIdle
		if err != nil {
			pause = batchRetry
			if w.ctx.Err() == nil {
				w.controller.log(fmt.Errorf("%s: %w", w.key, err))
			}
		}
		if !wake.IsZero() {
			pause = min(pause, max(time.Until(wake), 10*time.Millisecond))
		}
		t := time.NewTimer(pause)
		select {
		case <-w.ctx.Done():
		case <-t.C:
		case <-w.changed:
		}
		t.Stop()
	}
}

// stepJob makes one decision about a Job. The decision is stored first: a pod that has
// ended is counted before it is removed, and one is listed before it is created.
func (w *workload) stepJob() (time.Time, error) {
	pods := w.observeJob()
	var d batch.JobDecision
	var state batch.JobState
	var r record
	err := w.controller.store.update(func(t tx) error {
		var ok bool
		var err error
		if r, ok, err = get[record](t, "workloads", w.key.String()); err != nil {
			return err
		}
		if !ok || r.Deleting || r.Job == nil {
			w.setDeleting()
			return nil
		}
		state, d = batch.NextPods(r.Job.Spec, r.Job.State, pods, r.State.Paused, time.Now().UTC().Round(0), w.jobPodName)
		return w.writeJob(t, r, state, d)
	})
	if err != nil {
		return time.Time{}, err
	}
	for _, e := range d.Events {
		w.publish(e.Reason, e.Message)
	}
	if len(d.Events) > 0 && state.Phase.Ended() {
		w.controller.notifyOwner(w.key, r.Job)
	}
	return d.Wake, w.executeJob(r, state, d)
}

// writeJob stores the state of a Job and its events if anything changed.
func (w *workload) writeJob(t tx, r record, next batch.JobState, d batch.JobDecision) error {
	for _, e := range d.Events {
		if err := addEvent(t, w.key, e.Reason, e.Message); err != nil {
			return err
		}
	}
	before, err := json.Marshal(r.Job.State)
	if err != nil {
		return err
	}
	after, err := json.Marshal(next)
	if err != nil || bytes.Equal(before, after) && !d.Delete {
		return err
	}
	state := r.State
	switch next.Phase {
	case batch.Complete:
		state.Phase, state.Reason, state.Stable = rollout.Complete, "", state.Target
	case batch.Failed:
		state.Phase, state.Reason = rollout.Failed, next.Reason+": "+next.Message
	}
	if state.Phase.Ended() && !r.State.Phase.Ended() {
		if err := endAttempt(t, w.key, state); err != nil {
			return err
		}
		t.OnCommit(func() { w.count(func(n *Counts) { n.Rollouts[state.Phase]++ }) })
	}
	job := *r.Job
	job.State = next
	r.State, r.Job = state, &job
	if d.Delete {
		r.Deleting = true
		w.setDeleting()
		if err := addEvent(t, w.key, "Deleted", "ttlSecondsAfterFinished is over"); err != nil {
			return err
		}
	}
	return put(t, "workloads", w.key.String(), r)
}

// observeJob returns the pods of a Job.
func (w *workload) observeJob() []batch.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []batch.Pod
	for _, i := range w.sorted() {
		if i.hasEnded() && !i.job.gone && !i.Ending && !i.pod.Exists() {
			i.job.gone = true // another process removed it
		}
		p := batch.Pod{
			Name: i.ID, Result: i.job.result, Ended: i.job.ended, Reason: cmp.Or(i.job.reason, i.Reason), Exits: i.job.exits,
			Ready: i.Ready, Drifted: i.Drift == rollout.Drifted, Leaving: i.Ending,
			// The runtime ends a start whose client has ended, with an error.
			Interrupted: i.job.adopted && i.job.unbegun,
		}
		for _, n := range i.job.restarts {
			p.Restarts += max(n, 0)
		}
		list = append(list, p)
	}
	return list
}

// executeJob executes a decision.
func (w *workload) executeJob(r record, s batch.JobState, d batch.JobDecision) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deleting {
		w.removeAll()
		return nil
	}
	for _, id := range d.Remove {
		if i := w.instances[id]; i != nil {
			w.terminate(i)
		}
	}
	for id, i := range w.instances {
		if _, active := s.Active[id]; i.job.gone && !active {
			delete(w.instances, id) // it is counted, and there is nothing to remove
		}
	}
	if len(d.Create) == 0 {
		return nil
	}
	g, err := w.generation(r.State.Target)
	if err != nil {
		return err
	}
	for _, p := range d.Create {
		w.createJobPod(w.ctx, g, p, r.Job)
	}
	return nil
}

// jobPodName returns a new name for a pod, as the controller of Jobs would choose it.
func (w *workload) jobPodName(index int) string {
	if index < 0 {
		return pod.InstanceName("Job", w.key.Name)
	}
	return pod.InstanceName("Job", fmt.Sprintf("%s-%d", w.key.Name, index))
}

// createJobPod starts to create a pod of a Job.
func (w *workload) createJobPod(ctx context.Context, g *Generation, p batch.NewPod, r *jobRecord) {
	spec := w.jobPodSpec(g, p, r)
	i := &instance{
		Instance: rollout.Instance{ID: p.Name, Generation: g.Number, Created: time.Now()},
		template: &g.Template.Spec, labels: spec.Labels, phase: "Starting", crashes: map[string]int{}, done: make(chan struct{}),
		job: &jobPod{restarts: map[string]int{}}, hostname: spec.Spec.Hostname, subdomain: spec.Spec.Subdomain,
	}
	for _, c := range slices.Concat(spec.Spec.InitContainers, spec.Spec.Containers) {
		i.job.restarts[c.Name] = -1
	}
	ctx, i.cancel = context.WithCancel(ctx)
	w.instances[p.Name] = i
	w.wg.Go(func() {
		defer close(i.done)
		made, err := w.controller.create(ctx, spec, func(e pod.Event) { w.handleEvent(i, e) })
		if err != nil && ctx.Err() == nil {
			w.recordEvent("FailedCreate", "Error creating: %v", err)
			w.endJobPod(i, jobPod{result: batch.PodFailed, reason: err.Error(), gone: true})
		}
		if err != nil {
			return
		}
		w.setCreated(i, made)
		w.superviseJobPod(ctx, i)
	})
}

// jobPodSpec returns the spec of a pod of a Job, with what the controller of Jobs adds.
func (w *workload) jobPodSpec(g *Generation, p batch.NewPod, r *jobRecord) pod.PodSpec {
	s := w.spec(g, p.Name)
	s.Labels[batchv1.JobNameLabel], s.Labels["job-name"] = w.key.Name, w.key.Name
	s.Annotations = maps.Clone(s.Annotations)
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	if r.Owner != "" {
		// In Kubernetes it is an annotation of the Job, which a pod cannot read here.
		s.Annotations[batchv1.CronJobScheduledTimestampAnnotation] = r.Scheduled.Format(time.RFC3339)
	}
	if p.Index < 0 {
		return s
	}
	index := strconv.Itoa(p.Index)
	s.Labels[batchv1.JobCompletionIndexAnnotation], s.Annotations[batchv1.JobCompletionIndexAnnotation] = index, index
	s.Spec.Hostname = w.key.Name + "-" + index
	const variable = "JOB_COMPLETION_INDEX"
	for _, list := range [][]corev1.Container{s.Spec.InitContainers, s.Spec.Containers} {
		for n := range list {
			if !slices.ContainsFunc(list[n].Env, func(e corev1.EnvVar) bool { return e.Name == variable }) {
				list[n].Env = append(list[n].Env, corev1.EnvVar{Name: variable, Value: index})
			}
		}
	}
	return s
}

// superviseJobPod supervises a pod until it has succeeded or failed. It stays for its
// log, without what a pod that has ended does not need.
func (w *workload) superviseJobPod(ctx context.Context, i *instance) {
	for {
		err := i.pod.Supervise(ctx, pod.Supervision{
			Events:  func(e pod.Event) { w.handleEvent(i, e) },
			Ready:   func(ready bool, reason string) { w.setReady(i, ready, reason) },
			Crashed: func(c pod.Crash) { w.setCrashed(i, c) },
		})
		if ctx.Err() != nil {
			return // it is being removed, or the controller is closed
		}
		p, freshErr := i.pod.Fresh(ctx)
		switch {
		case freshErr != nil || errors.Is(err, pod.ErrSupervised):
		case p.Phase == pod.Succeeded || p.Phase == pod.Failed:
			w.retire(ctx, p) // first: the next pod may need its ports
			w.endJobPod(i, endOf(p, err))
			return
		case p.Phase == pod.Creating || p.Phase == pod.Removing:
			w.endJobPod(i, jobPod{result: batch.PodFailed, reason: "it was removed", gone: true})
			return
		}
		// A sandbox that was lost is created again by the next supervision.
		if err != nil && !errors.Is(err, pod.ErrLost) && !errors.Is(err, pod.ErrSupervised) {
			w.controller.log(err)
		}
		clock.Sleep(ctx, batchRetry)
	}
}

// endOf returns how a pod ended. err is that of its supervision, nil if it ended before.
func endOf(p *pod.Pod, err error) jobPod {
	end := jobPod{result: batch.PodSucceeded}
	if p.Phase == pod.Failed {
		end.result, end.reason = batch.PodFailed, p.Evicted
	}
	for _, c := range p.Containers {
		if c.Finished.After(end.ended) {
			end.ended = c.Finished
		}
		if c.State != pod.Exited || c.ExitCode == 0 || c.Sidecar || end.result == batch.PodSucceeded {
			continue
		}
		end.unbegun = c.Started.IsZero() && (end.unbegun || len(end.exits) == 0)
		end.exits = append(end.exits, batch.Exit{Container: c.Name, Code: c.ExitCode})
		end.reason = cmp.Or(end.reason, fmt.Sprintf("container %s ended with exit code %d", c.Name, c.ExitCode))
	}
	if end.result == batch.PodFailed {
		end.reason = cmp.Or(end.reason, "it was stopped")
	}
	var exit *pod.ExitError
	if end.result == batch.PodFailed && errors.As(err, &exit) {
		end.reason = exit.Error()
	}
	return end
}

// endJobPod stores how a pod ended and wakes the loop.
func (w *workload) endJobPod(i *instance, end jobPod) {
	if now := time.Now(); end.ended.IsZero() || end.ended.After(now) {
		end.ended = now
	}
	end.ended = end.ended.UTC().Round(0)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count(func(n *Counts) { n.Ended++ })
	end.restarts, end.adopted = i.job.restarts, i.job.adopted
	*i.job = end
	i.Ready, i.ip, i.waiting, i.phase, i.message = false, "", "", string(end.result), end.reason
	w.notify()
}

// retire releases what a pod that has ended does not need. What an error leaves is
// removed with the pod.
func (w *workload) retire(ctx context.Context, p *pod.Pod) {
	if err := p.Retire(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, pod.ErrBusy) {
		w.controller.log(err)
	}
}

// adoptJobPod takes over a pod of a Job that an earlier process created.
func (w *workload) adoptJobPod(ctx context.Context, i *instance) {
	p := i.pod
	i.job.adopted = true
	for _, c := range p.Containers {
		i.job.restarts[c.Name] = c.Restarts
		if c.ID == "" && c.Restarts == 0 {
			i.job.restarts[c.Name] = -1
		}
	}
	w.wg.Go(func() {
		defer close(i.done)
		if p.Phase != pod.Succeeded && p.Phase != pod.Failed {
			w.superviseJobPod(ctx, i)
			return
		}
		if !p.IsRetired() {
			w.retire(ctx, p)
		}
		w.endJobPod(i, endOf(p, nil))
	})
}
