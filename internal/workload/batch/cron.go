package batch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
)

// A CronSpec describes when the Jobs of a CronJob are run.
type CronSpec struct {
	Schedule    string                    `json:"schedule"`
	TimeZone    string                    `json:"timeZone,omitempty"` // of the machine if empty
	Concurrency batchv1.ConcurrencyPolicy `json:"concurrency"`
	Deadline    *int                      `json:"deadline,omitempty"` // seconds after which a time is missed; nil: never
	KeepDone    int                       `json:"keepDone"`           // Jobs that are complete
	KeepFailed  int                       `json:"keepFailed"`
}

// A CronState is everything that NextJobs must remember between two calls.
type CronState struct {
	// Since is when the CronJob or its current schedule was declared. Times before it are
	// not missed.
	Since          time.Time `json:"since"`
	LastScheduled  time.Time `json:"lastScheduled,omitzero"`  // time of the schedule of the latest Job
	LastSuccessful time.Time `json:"lastSuccessful,omitzero"` // when a Job was last complete
	Active         []string  `json:"active,omitempty"`        // Jobs that had not ended
	Noted          time.Time `json:"noted,omitzero"`          // latest time of the schedule with an event about why no Job was made
}

// An OwnedJob is a Job of a CronJob as it was observed.
type OwnedJob struct {
	Name     string
	Phase    Phase
	Began    time.Time
	Ended    time.Time
	Deleting bool
}

// A CronDecision lists the changes that the driver must make now.
type CronDecision struct {
	Create    string // name of a new Job; empty for none
	Scheduled time.Time
	Delete    []string
	Wake      time.Time // the next time of the schedule; zero if there is none
	Events    []Event
}

// The defaults of a kube-apiserver.
const (
	defaultKeepDone   = 3
	defaultKeepFailed = 1
)

const (
	// tooMany is the number of missed times that are reported.
	tooMany = 100
	// maxClockError is how far the latest time of the schedule may be in the future, after
	// the clock was set back, before it is ignored.
	maxClockError = time.Hour
)

// FromCronJob returns the spec of a CronJob with the defaults of a kube-apiserver.
func FromCronJob(s *batchv1.CronJobSpec) CronSpec {
	c := CronSpec{Schedule: s.Schedule, Concurrency: s.ConcurrencyPolicy, KeepDone: defaultKeepDone, KeepFailed: defaultKeepFailed}
	if c.Concurrency == "" {
		c.Concurrency = batchv1.AllowConcurrent
	}
	if s.TimeZone != nil {
		c.TimeZone = *s.TimeZone
	}
	if s.StartingDeadlineSeconds != nil {
		// A deadline of 300 years is none, and a time.Duration cannot hold more.
		n := int(min(*s.StartingDeadlineSeconds, 1<<33))
		c.Deadline = &n
	}
	if n := s.SuccessfulJobsHistoryLimit; n != nil {
		c.KeepDone = int(*n)
	}
	if n := s.FailedJobsHistoryLimit; n != nil {
		c.KeepFailed = int(*n)
	}
	return c
}

// Parse returns the schedule.
func (c CronSpec) Parse() (cron.Schedule, error) {
	if c.TimeZone != "" {
		return cron.ParseStandard("TZ=" + c.TimeZone + " " + c.Schedule)
	}
	return cron.ParseStandard(c.Schedule)
}

// NextJobs makes one decision. jobs are all that exist of the CronJob with a name. now
// is in the time zone of the machine.
func NextJobs(name string, spec CronSpec, s CronState, jobs []OwnedJob, suspended bool, now time.Time) (CronState, CronDecision, error) {
	schedule, err := spec.Parse()
	if err != nil {
		return s, CronDecision{}, err
	}
	r := &cronRun{name: name, spec: spec, schedule: schedule, s: s, jobs: slices.Clone(jobs), now: now}
	slices.SortFunc(r.jobs, func(a, b OwnedJob) int {
		if c := a.Began.Compare(b.Began); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	r.follow()
	r.forget(Complete, spec.KeepDone)
	r.forget(Failed, spec.KeepFailed)
	if !suspended {
		r.schedules()
	}
	return r.s, r.d, nil
}

// A cronRun is one call of NextJobs: its arguments and the decision so far.
type cronRun struct {
	name     string
	spec     CronSpec
	schedule cron.Schedule
	s        CronState
	jobs     []OwnedJob // the oldest first
	now      time.Time
	d        CronDecision
}

func (r *cronRun) event(reason, format string, args ...any) {
	r.d.Events = append(r.d.Events, Event{reason, fmt.Sprintf(format, args...)})
}

// follow records which active Jobs have ended.
func (r *cronRun) follow() {
	var active []string
	for _, name := range r.s.Active {
		n := slices.IndexFunc(r.jobs, func(j OwnedJob) bool { return j.Name == name })
		switch {
		case n < 0:
			r.event("MissingJob", "Active job went missing: %s", name)
		case !r.jobs[n].Phase.Ended():
			active = append(active, name)
		default:
			j := r.jobs[n]
			r.event("SawCompletedJob", "Saw completed job: %s, condition: %s", name, j.Phase)
			if j.Phase == Complete && j.Ended.After(r.s.LastSuccessful) {
				r.s.LastSuccessful = j.Ended
			}
		}
	}
	r.s.Active = active
}

// forget deletes the oldest Jobs of a phase beyond a number.
func (r *cronRun) forget(phase Phase, keep int) {
	var ended []string
	for _, j := range r.jobs {
		if j.Phase == phase && !j.Deleting {
			ended = append(ended, j.Name)
		}
	}
	for _, name := range ended[:max(len(ended)-keep, 0)] {
		r.delete(name)
	}
}

func (r *cronRun) delete(name string) {
	r.d.Delete = append(r.d.Delete, name)
	r.event("SuccessfulDelete", "Deleted job %s", name)
}

// schedules creates the Job of the latest time of the schedule that has come, if there
// is none yet. Earlier ones that were missed are not made up for.
func (r *cronRun) schedules() {
	earliest := r.s.Since
	if r.s.LastScheduled.After(earliest) {
		earliest = r.s.LastScheduled
	}
	if earliest.After(r.now.Add(maxClockError)) {
		// The clock was wrong when that was stored.
		earliest, r.s.Since, r.s.LastScheduled = r.now, r.now.UTC(), time.Time{}
	}
	earliest = earliest.In(r.now.Location())
	due, missed := r.due(earliest)
	if due.IsZero() {
		r.d.Wake = r.schedule.Next(earliest)
		return
	}
	r.d.Wake = r.schedule.Next(due) // not after now, which @every would count from
	if d := r.spec.Deadline; d != nil && due.Add(time.Duration(*d)*time.Second).Before(r.now) {
		r.note(due, "MissSchedule", "Missed scheduled time to start a job: %s", due.UTC().Format(time.RFC1123Z))
		return
	}
	name := fmt.Sprintf("%s-%d", r.name, due.Unix()/60)
	if slices.ContainsFunc(r.jobs, func(j OwnedJob) bool { return j.Name == name }) {
		r.s.LastScheduled = due.UTC() // the clock was set back
		return
	}
	var active []OwnedJob
	for _, j := range r.jobs {
		if !j.Phase.Ended() {
			active = append(active, j)
		}
	}
	if len(active) > 0 && r.spec.Concurrency == batchv1.ForbidConcurrent {
		r.note(due, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid")
		return
	}
	if len(active) > 0 && r.spec.Concurrency == batchv1.ReplaceConcurrent {
		// The new Job is made when they are gone.
		for _, j := range active {
			if !j.Deleting {
				r.delete(j.Name)
			}
		}
		r.s.Active = nil
		return
	}
	if missed > tooMany {
		r.note(due, "TooManyMissedTimes", "too many missed start times (%d). Set or decrease .spec.startingDeadlineSeconds or check clock skew", missed)
	}
	r.d.Create, r.d.Scheduled, r.s.LastScheduled = name, due.UTC(), due.UTC()
	r.s.Active = append(slices.Clone(r.s.Active), name)
	r.event("SuccessfulCreate", "Created job %s", name)
}

// note records an event about a time of the schedule, once.
func (r *cronRun) note(due time.Time, reason, format string, args ...any) {
	if r.s.Noted.Equal(due) {
		return
	}
	r.s.Noted = due.UTC()
	r.event(reason, format, args...)
}

// due returns the latest time of the schedule after earliest that has come, zero if
// none has, and about how many have. It does not step through all of them: there may be
// millions (mostRecentScheduleTime in pkg/controller/cronjob).
func (r *cronRun) due(earliest time.Time) (time.Time, int64) {
	first := r.schedule.Next(earliest)
	if first.IsZero() || first.After(r.now) {
		return time.Time{}, 0
	}
	second := r.schedule.Next(first)
	if second.IsZero() || second.After(r.now) {
		return first, 1
	}
	between := max(int64(second.Sub(first).Round(time.Second)/time.Second), 1)
	missed := int64(r.now.Sub(first)/time.Second)/between + 1
	// The times may be far apart at the end, as those of a night are in "*/5 8-17 * * *".
	last := first
	for back := int64(2); ; back *= 2 {
		from := first.Add(time.Duration(max(missed-back, 0)*between) * time.Second)
		for t := r.schedule.Next(from); !t.IsZero() && !t.After(r.now); t = r.schedule.Next(t) {
			last = t
		}
		if !last.Equal(first) || back >= missed {
			return last, missed
		}
	}
}
