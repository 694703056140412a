package local

import (
	"fmt"
	"time"

	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/batch"
)

// A JobStatus is the current state of a Job.
type JobStatus struct {
	State         batch.Phase `json:"state"`                 // Running, Suspended, Complete, Failed
	Completions   *int        `json:"completions,omitempty"` // that are wanted; absent: one pod of a work queue
	Parallelism   int         `json:"parallelism"`
	Active        int         `json:"active"`
	Succeeded     int         `json:"succeeded"`
	Failed        int         `json:"failed"`                  // pods, all that were counted
	Indexes       string      `json:"indexes,omitempty"`       // that succeeded, as "0,2-4"
	FailedIndexes string      `json:"failedIndexes,omitempty"` // with a limit for each index
	Began         time.Time   `json:"began,omitzero"`
	Ended         time.Time   `json:"ended,omitzero"`
}

func (r *jobRecord) status() *JobStatus {
	s := r.State
	j := &JobStatus{
		State: s.Phase, Completions: r.Spec.Completions, Parallelism: r.Spec.Parallelism,
		Active: len(s.Active), Succeeded: s.Succeeded, Failed: s.Failed, Indexes: s.Indexes.String(), FailedIndexes: s.FailedIndexes.String(), Began: s.Began, Ended: s.Ended,
	}
	if j.State == "" {
		j.State = batch.Running
	}
	return j
}

// duration returns how long a Job has run, empty if it has not begun.
func (j *JobStatus) duration() string {
	switch {
	case j.Began.IsZero():
		return ""
	case j.Ended.IsZero():
		return text.Age(time.Since(j.Began))
	}
	return j.Ended.Sub(j.Began).Round(100 * time.Millisecond).String()
}

// summary returns the counts of a Job as one line.
func (j *JobStatus) summary() string {
	wanted := "of a work queue"
	if j.Completions != nil {
		wanted = fmt.Sprintf("of %d", *j.Completions)
	}
	line := fmt.Sprintf("%d %s succeeded, %d active, %d failed", j.Succeeded, wanted, j.Active, j.Failed)
	if j.Indexes != "" {
		line += ", indexes " + j.Indexes
	}
	if j.FailedIndexes != "" {
		line += ", failed indexes " + j.FailedIndexes
	}
	if d := j.duration(); d != "" {
		line += ", " + d
	}
	return line
}

// ready returns "1/3": ready instances, or the completions of a Job.
func (s Status) ready() string {
	if s.CronJob != nil {
		return "-"
	}
	if s.Job != nil {
		wanted := 1
		if s.Job.Completions != nil {
			wanted = *s.Job.Completions
		}
		return fmt.Sprintf("%d/%d", s.Job.Succeeded, wanted)
	}
	return fmt.Sprintf("%d/%d", s.Ready, s.Replicas)
}

// of returns "2 of 3 ready", or the counts of a Job.
func (s Status) of() string {
	if s.CronJob != nil {
		return s.CronJob.summary()
	}
	if s.Job != nil {
		return s.Job.summary()
	}
	return fmt.Sprintf("%d of %d ready", s.Ready, s.Replicas)
}

// remark returns the reason of the phase, or when a CronJob runs.
func (s Status) remark() string {
	if s.CronJob != nil && s.Reason == "" {
		return s.CronJob.summary()
	}
	return s.Reason
}

// jobLine is Line of a Job or CronJob.
func (s Status) jobLine() string {
	line := fmt.Sprintf("%s/%s generation %d: %s, %s", s.Kind, s.Name, s.Generation, s.phase(), s.of())
	for _, extra := range []string{s.Waiting, s.Reason} {
		if extra != "" {
			line += "; " + text.EscapeLines(text.FirstLine(extra))
		}
	}
	return line
}

// hasEnded reports whether an instance is a pod of a Job that has ended and is kept.
func (i *instance) hasEnded() bool { return i.job != nil && i.job.result != "" }
