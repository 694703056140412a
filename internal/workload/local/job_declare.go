package local

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/batch"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A jobRecord is the stored state of a Job.
type jobRecord struct {
	Spec  batch.JobSpec  `json:"spec"`
	State batch.JobState `json:"state"`

	Owner     string    `json:"owner,omitempty"`    // CronJob of the same namespace
	Scheduled time.Time `json:"scheduled,omitzero"` // time of its schedule, in its time zone
}

// jobAnnotations are the annotations of package rollout that a Job may have. The
// others configure how instances are replaced, which those of a Job are not.
var jobAnnotations = []string{rollout.AnnotationOnDrift, rollout.AnnotationSeverity, rollout.AnnotationUnknown}

// declareJob returns a Job as it is declared.
func declareJob(w manifest.Workload, o *batchv1.Job) (declared, error) {
	spec, policy, onDrift, err := jobPolicy(w.Kind, o.ObjectMeta)
	template := pod.PodSpec{Annotations: o.Spec.Template.Annotations}
	backOff, backOffErr := template.RestartBackOff()
	job := batch.FromJob(&o.Spec, onDrift, backOff)
	spec.Replicas = job.Wanted()
	return declared{
		key: Key{w.Namespace, w.Kind, w.Name}, spec: spec, policy: policy, template: w.WithClaims(),
		paused: o.Spec.Suspend != nil && *o.Spec.Suspend, job: &job,
	}, errors.Join(err, backOffErr, checkPorts(&w.Template.Spec, job))
}

// checkPorts refuses pods that would run at once and share a port of the machine.
func checkPorts(spec *corev1.PodSpec, job batch.JobSpec) error {
	hasPort := slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.HostPort != 0 })
	})
	if hasPort && job.Parallelism > 1 {
		return fmt.Errorf("%d pods at a time cannot share one host port: set parallelism: 1", job.Parallelism)
	}
	return nil
}

// jobPolicy reads the annotations of a Job. Its drift is only reported by default: a
// Job is often meant to change files, and ends by itself.
func jobPolicy(kind string, meta metav1.ObjectMeta) (rollout.Spec, rollout.Policy, rollout.OnDrift, error) {
	for _, name := range rollout.Annotations() {
		if _, ok := meta.Annotations[name]; ok && !slices.Contains(jobAnnotations, name) {
			return rollout.Spec{}, rollout.Policy{}, "", fmt.Errorf("annotation %s has no meaning for a %s", name, kind)
		}
	}
	all, policy, err := rollout.FromDeployment(&appsv1.Deployment{ObjectMeta: meta})
	if meta.Annotations[rollout.AnnotationOnDrift] == "" {
		all.OnDrift = rollout.Report
	}
	return rollout.Spec{OnDrift: all.OnDrift}, policy, all.OnDrift, err
}

// setJobAction sets the action of an apply on a Job. Another template, or another
// number of completions, runs the Job anew.
func (ch *change) setJobAction(before *Generation) {
	if ch.before == nil || before == nil || ch.before.Job == nil {
		ch.Action = Created
		return
	}
	ch.Changes = adjustments(*ch.before, ch.declared)
	old, s := ch.before.Job.Spec, ch.before.State
	switch {
	case before.Number != ch.gen.Number:
		ch.Action, ch.Changes = Replaced, append(differences(before, ch.gen), ch.Changes...)
	case old.Wanted() != ch.job.Wanted() || old.Indexed != ch.job.Indexed || (old.Completions == nil) != (ch.job.Completions == nil):
		ch.Action = Replaced
	case s.Phase == rollout.Failed:
		ch.Action = NotRetried
	case len(ch.Changes) > 0:
		ch.Action = Adjusted
	default:
		ch.Action = Unchanged
	}
}

// jobAdjustments lists the changes of a Job that need no new pods.
func jobAdjustments(before, after batch.JobSpec) []string {
	var list []string
	note := func(what string, before, after any) {
		if b, a := fmt.Sprint(before), fmt.Sprint(after); a != b {
			list = append(list, fmt.Sprintf("%s: %s -> %s", what, b, a))
		}
	}
	note("completions", optional(before.Completions), optional(after.Completions))
	note("completionMode", mode(before), mode(after))
	note("parallelism", before.Parallelism, after.Parallelism)
	note("backoffLimit", before.BackoffLimit, after.BackoffLimit)
	note("activeDeadlineSeconds", before.Deadline.Round(time.Second), after.Deadline.Round(time.Second))
	note("ttlSecondsAfterFinished", optional(before.TTL), optional(after.TTL))
	note("podFailurePolicy", before.Rules, after.Rules)
	note("backoffLimitPerIndex", optional(before.PerIndex), optional(after.PerIndex))
	note("maxFailedIndexes", optional(before.MaxFailed), optional(after.MaxFailed))
	note("successPolicy", rules(before.Success), rules(after.Success))
	note("drift", before.OnDrift, after.OnDrift)
	return list
}

func rules(list []batch.SuccessRule) string {
	var all []string
	for _, r := range list {
		all = append(all, optional(r.Count)+" of "+cmp.Or(r.Indexes.String(), "all"))
	}
	return strings.Join(all, "; ")
}

func optional(n *int) string {
	if n == nil {
		return "none"
	}
	return fmt.Sprint(*n)
}

func mode(s batch.JobSpec) batchv1.CompletionMode {
	if s.Indexed {
		return batchv1.IndexedCompletion
	}
	return batchv1.NonIndexedCompletion
}
