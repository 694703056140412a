package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/batch"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A cronRecord is the stored state of a CronJob. Its Jobs have records of their own.
type cronRecord struct {
	Spec  batch.CronSpec  `json:"spec"`
	State batch.CronState `json:"state"`
	Job   batch.JobSpec   `json:"job"`            // of its Jobs
	Held  bool            `json:"held,omitempty"` // its Jobs begin suspended
}

// declareCronJob returns a CronJob as it is declared.
func declareCronJob(w manifest.Workload, o *batchv1.CronJob) (declared, error) {
	var misplaced error
	for _, name := range rollout.Annotations() {
		if _, ok := o.Annotations[name]; ok {
			misplaced = fmt.Errorf("annotation %s belongs to spec.jobTemplate.metadata of a CronJob", name)
		}
	}
	job := o.Spec.JobTemplate
	spec, policy, onDrift, err := jobPolicy(w.Kind, job.ObjectMeta)
	template := pod.PodSpec{Annotations: job.Spec.Template.Annotations}
	backOff, backOffErr := template.RestartBackOff()
	cron := &cronRecord{Spec: batch.FromCronJob(&o.Spec), Job: batch.FromJob(&job.Spec, onDrift, backOff), Held: job.Spec.Suspend != nil && *job.Spec.Suspend}
	_, scheduleErr := cron.Spec.Parse()
	spec.Replicas = 0
	return declared{
		key: Key{w.Namespace, w.Kind, w.Name}, spec: spec, policy: policy, template: w.WithClaims(), retain: defaultRetain,
		paused: o.Spec.Suspend != nil && *o.Spec.Suspend, cron: cron,
	}, errors.Join(misplaced, err, backOffErr, scheduleErr, checkPorts(&w.Template.Spec, cron.Job))
}

// cronAdjustments lists the changes of a CronJob that need no new generation.
func cronAdjustments(before, after *cronRecord) []string {
	var list []string
	note := func(what string, before, after any) {
		if b, a := fmt.Sprint(before), fmt.Sprint(after); a != b {
			list = append(list, fmt.Sprintf("%s: %s -> %s", what, b, a))
		}
	}
	note("schedule", before.Spec.Schedule, after.Spec.Schedule)
	note("timeZone", before.Spec.TimeZone, after.Spec.TimeZone)
	note("concurrencyPolicy", before.Spec.Concurrency, after.Spec.Concurrency)
	note("startingDeadlineSeconds", optional(before.Spec.Deadline), optional(after.Spec.Deadline))
	note("successfulJobsHistoryLimit", before.Spec.KeepDone, after.Spec.KeepDone)
	note("failedJobsHistoryLimit", before.Spec.KeepFailed, after.Spec.KeepFailed)
	note("suspend of its Jobs", before.Held, after.Held)
	return append(list, jobAdjustments(before.Job, after.Job)...)
}

// after returns the record of a CronJob that is declared again, old is nil for a new
// one. Another schedule misses no time from before.
func (c *cronRecord) after(old *cronRecord, now time.Time) *cronRecord {
	next := *c
	if old != nil {
		next.State = old.State
	}
	if old == nil || old.Spec.Schedule != c.Spec.Schedule || old.Spec.TimeZone != c.Spec.TimeZone {
		next.State.Since = now
	}
	return &next
}

// A cronStep is what one decision about a CronJob changed in the store.
type cronStep struct {
	batch.CronDecision
	deleted []Key // Jobs that are being deleted
	created *Key
}

// stepCron makes one decision about a CronJob. Its new Job and the time of the schedule
// are stored in one transaction, so that no time has two Jobs.
func (w *workload) stepCron() (time.Time, error) {
	var s cronStep
	err := w.controller.store.update(func(t tx) error {
		s = cronStep{}
		r, ok, err := get[record](t, "workloads", w.key.String())
		if err != nil {
			return err
		}
		jobs, err := ownedJobs(t, w.key)
		if err != nil {
			return err
		}
		if !ok || r.Deleting || r.Cron == nil {
			if len(jobs) == 0 {
				w.setDeleting()
			}
			return s.deleteJobs(t, jobs, func(record) bool { return true }, "its CronJob is deleted")
		}
		return w.decideCron(t, r, jobs, &s)
	})
	if err != nil {
		return time.Time{}, err
	}
	for _, e := range s.Events {
		w.publish(e.Reason, e.Message)
	}
	for _, key := range s.deleted {
		if job := w.controller.workload(key); job != nil {
			job.setDeleting()
			job.notify()
		}
	}
	if s.created != nil {
		w.controller.startOrNotify(*s.created, true, 1)
	}
	return s.Wake, nil
}

func (w *workload) decideCron(t tx, r record, jobs []record, s *cronStep) error {
	var observed []batch.OwnedJob
	for _, j := range jobs {
		state := j.Job.State
		observed = append(observed, batch.OwnedJob{Name: j.Key.Name, Phase: state.Phase, Began: j.Job.Scheduled, Ended: state.Ended, Deleting: j.Deleting})
	}
	next, d, err := batch.NextJobs(w.key.Name, r.Cron.Spec, r.Cron.State, observed, r.State.Paused, time.Now().Round(0))
	if err != nil {
		return err
	}
	s.CronDecision = d
	if err := s.deleteJobs(t, jobs, func(j record) bool { return slices.Contains(d.Delete, j.Key.Name) }, "CronJob "+w.key.Name+" deleted it"); err != nil {
		return err
	}
	if d.Create != "" {
		if err := s.createJob(t, r, d); err != nil {
			return err
		}
	}
	for _, e := range s.Events {
		if err := addEvent(t, w.key, e.Reason, e.Message); err != nil {
			return err
		}
	}
	before, err := json.Marshal(r.Cron.State)
	if err != nil {
		return err
	}
	after, err := json.Marshal(next)
	if err != nil {
		return err
	}
	state := r.State
	state.Phase, state.Stable, state.Reason = rollout.Complete, state.Target, "" // its next Job has the generation
	if !r.State.Phase.Ended() {
		if err := endAttempt(t, w.key, state); err != nil {
			return err
		}
		t.OnCommit(func() { w.count(func(n *Counts) { n.Rollouts[state.Phase]++ }) })
	} else if bytes.Equal(before, after) {
		return nil
	}
	cron := *r.Cron
	cron.State = next
	r.State, r.Cron = state, &cron
	return put(t, "workloads", w.key.String(), r)
}

// RunNow makes a Job of a CronJob outside its schedule, whatever its concurrencyPolicy,
// and returns its name. The Job belongs to the CronJob like the others.
func (c *Controller) RunNow(key Key, by Author) (string, error) {
	var s cronStep
	name := pod.InstanceName("Job", key.Name)
	err := c.updateRecord(key, func(t tx, r *record) error {
		if r.Cron == nil {
			return fmt.Errorf("%s is no CronJob", key)
		}
		r.Cron.State.Active = append(r.Cron.State.Active, name)
		if err := s.createJob(t, *r, batch.CronDecision{Create: name, Scheduled: time.Now().UTC().Round(time.Second)}); err != nil {
			return err
		}
		return addEvent(t, key, "SuccessfulCreate", "Created job "+name+", by "+by.String())
	})
	if err != nil {
		return "", err
	}
	c.startOrNotify(*s.created, true, 1)
	return name, nil
}

// createJob stores a new Job of a CronJob, of its current generation.
func (s *cronStep) createJob(t tx, r record, d batch.CronDecision) error {
	key := Key{r.Key.Namespace, "Job", d.Create}
	_, exists, err := get[record](t, "workloads", key.String())
	if err != nil {
		return err
	}
	if exists {
		s.Events = append(s.Events, batch.Event{Reason: "FailedCreate", Message: "Error creating job: " + d.Create + " exists and is not of this CronJob"})
		return nil
	}
	g, ok, err := get[Generation](t, "generations", numberedKey(r.Key, r.State.Target))
	if err != nil || !ok {
		return errors.Join(err, fmt.Errorf("%s has no generation %d", r.Key, r.State.Target))
	}
	now := time.Now().UTC()
	g.Number, g.Made = 1, now
	zone, err := time.LoadLocation(r.Cron.Spec.TimeZone) // UTC if empty, as in Kubernetes
	if err != nil {
		return err
	}
	spec := r.Spec
	spec.Replicas = r.Cron.Job.Wanted()
	job := record{
		Key: key, Spec: spec, Policy: r.Policy, Declared: r.Declared, Paused: r.Cron.Held, State: rollout.State{Paused: r.Cron.Held}.Begin(1, now),
		Job: &jobRecord{Spec: r.Cron.Job, Owner: r.Key.Name, Scheduled: d.Scheduled.In(zone)},
	}
	if _, err := beginAttempt(t, key, Attempt{Generation: 1, By: g.By, Cause: "schedule", Began: now, Outcome: rollout.Progressing}); err != nil {
		return err
	}
	s.created = &key
	return errors.Join(put(t, "generations", numberedKey(key, 1), g), put(t, "workloads", key.String(), job))
}

// deleteJobs begins the deletion of Jobs.
func (s *cronStep) deleteJobs(t tx, jobs []record, selects func(record) bool, why string) error {
	for _, j := range jobs {
		if j.Deleting || !selects(j) {
			continue
		}
		j.Deleting = true
		s.deleted = append(s.deleted, j.Key)
		if err := errors.Join(overtakeAttempt(t, j.Key, time.Now().UTC(), why), put(t, "workloads", j.Key.String(), j)); err != nil {
			return err
		}
	}
	return nil
}

// ownedJobs returns the Jobs of a CronJob.
func ownedJobs(t tx, cron Key) ([]record, error) {
	list, err := all[record](t, "workloads", cron.Namespace+"/Job/")
	return slices.DeleteFunc(list, func(r record) bool { return r.Job == nil || r.Job.Owner != cron.Name }), err
}

// notifyOwner wakes the CronJob of a Job.
func (c *Controller) notifyOwner(job Key, j *jobRecord) {
	if j == nil || j.Owner == "" {
		return
	}
	if w := c.workload(Key{job.Namespace, "CronJob", j.Owner}); w != nil {
		w.notify()
	}
}

// A CronStatus is the current state of a CronJob.
type CronStatus struct {
	Schedule       string    `json:"schedule"`
	TimeZone       string    `json:"timeZone,omitempty"` // that of the machine if absent
	Suspended      bool      `json:"suspended,omitempty"`
	Active         []string  `json:"active,omitempty"` // Jobs that run
	LastScheduled  time.Time `json:"lastScheduled,omitzero"`
	LastSuccessful time.Time `json:"lastSuccessful,omitzero"` // when a Job was last complete
	Next           time.Time `json:"next,omitzero"`           // absent while it is suspended
}

func (c *cronRecord) status(suspended bool) *CronStatus {
	s := &CronStatus{
		Schedule: c.Spec.Schedule, TimeZone: c.Spec.TimeZone, Suspended: suspended, Active: c.State.Active,
		LastScheduled: c.State.LastScheduled, LastSuccessful: c.State.LastSuccessful,
	}
	if _, d, err := batch.NextJobs("", c.Spec, c.State, nil, suspended, time.Now()); err == nil {
		s.Next = d.Wake
	}
	return s
}

func (c *CronStatus) phase() string {
	if c.Suspended {
		return "Suspended"
	}
	return "Scheduled"
}

// summary returns the schedule with its last and next time.
func (c *CronStatus) summary() string {
	line := c.Schedule
	if c.TimeZone != "" {
		line += " " + c.TimeZone
	}
	for _, t := range []struct {
		name string
		time.Time
	}{{"last", c.LastScheduled}, {"next", c.Next}} {
		if !t.IsZero() {
			line += fmt.Sprintf(", %s %s", t.name, t.Local().Format(time.DateTime))
		}
	}
	if len(c.Active) > 0 {
		line += fmt.Sprintf(", %d active", len(c.Active))
	}
	return line
}
