package batch

import (
	"cmp"
	"math"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A JobSpec describes how often the pods of a Job are run.
type JobSpec struct {
	Completions  *int          `json:"completions,omitempty"` // nil: until one pod succeeded and the others have ended
	Parallelism  int           `json:"parallelism"`
	BackoffLimit int           `json:"backoffLimit"` // failed pods beyond it fail the Job
	Indexed      bool          `json:"indexed,omitempty"`
	OnFailure    bool          `json:"onFailure,omitempty"` // containers are restarted in their pod
	Deadline     time.Duration `json:"deadline,omitempty"`  // since the start or the last resume; none if 0
	TTL          *int          `json:"ttl,omitempty"`       // seconds after which a finished Job is removed; nil: never
	Rules        []FailureRule `json:"rules,omitempty"`     // of the podFailurePolicy
	Success      []SuccessRule `json:"success,omitempty"`   // of the successPolicy: one that matches completes the Job
	PerIndex     *int          `json:"perIndex,omitempty"`  // failed pods of an index beyond it fail the index; nil: there is no such limit
	MaxFailed    *int          `json:"maxFailed,omitempty"` // failed indexes beyond it fail the Job at once
	// BackOff is the delay after the first failed pod, and twice as long after each one
	// that follows without a success between them.
	BackOff time.Duration   `json:"backOff"`
	OnDrift rollout.OnDrift `json:"onDrift,omitempty"`
}

// A FailureRule is a rule of a podFailurePolicy about exit codes.
type FailureRule struct {
	Action    batchv1.PodFailurePolicyAction `json:"action"` // FailJob, FailIndex, Ignore or Count
	Container string                         `json:"container,omitempty"`
	NotIn     bool                           `json:"notIn,omitempty"`
	Codes     []int32                        `json:"codes"`
}

// A SuccessRule is a rule of a successPolicy. It matches if Count of its indexes
// succeeded, all of them if Count is nil.
type SuccessRule struct {
	Indexes Indexes `json:"indexes,omitempty"` // nil for all
	Count   *int    `json:"count,omitempty"`
}

const (
	// firstBackOff and maxBackOff limit the delay after a failed pod.
	firstBackOff = 10 * time.Second
	maxBackOff   = 6 * time.Minute
	// maxActive bounds the pods of a Job at a time, as a kubelet bounds those of a node
	// (its maxPods).
	maxActive = 110
	// maxKept is the number of succeeded pods of a Job that are kept for their logs, and
	// also that of failed ones. The oldest are removed.
	maxKept = 10
	// maxRetried bounds the indexes that failed and are to be tried again. Beyond it, no
	// other is begun.
	maxRetried = 1000
)

// FromJob returns the spec of a Job with the defaults of a kube-apiserver. firstDelay
// replaces the delay after the first failed pod, unless it is 0.
func FromJob(s *batchv1.JobSpec, onDrift rollout.OnDrift, firstDelay time.Duration) JobSpec {
	j := JobSpec{
		Parallelism: 1, BackoffLimit: 6, BackOff: cmp.Or(firstDelay, firstBackOff), OnDrift: onDrift,
		OnFailure: s.Template.Spec.RestartPolicy == corev1.RestartPolicyOnFailure,
		Indexed:   s.CompletionMode != nil && *s.CompletionMode == batchv1.IndexedCompletion,
	}
	if s.Completions != nil {
		n := int(*s.Completions)
		j.Completions = &n
	}
	if s.Parallelism != nil {
		j.Parallelism = int(*s.Parallelism)
	}
	if s.BackoffLimit != nil {
		j.BackoffLimit = int(*s.BackoffLimit)
	}
	if s.ActiveDeadlineSeconds != nil {
		// One that is 0 is over at once.
		j.Deadline = max(time.Duration(*s.ActiveDeadlineSeconds)*time.Second, 1)
	}
	if s.TTLSecondsAfterFinished != nil {
		n := int(*s.TTLSecondsAfterFinished)
		j.TTL = &n
	}
	if n := s.BackoffLimitPerIndex; n != nil {
		limit := int(*n)
		j.PerIndex = &limit
		if s.BackoffLimit == nil {
			j.BackoffLimit = math.MaxInt32
		}
	}
	if n := s.MaxFailedIndexes; n != nil {
		limit := int(*n)
		j.MaxFailed = &limit
	}
	if s.SuccessPolicy != nil {
		for _, r := range s.SuccessPolicy.Rules {
			j.Success = append(j.Success, successRule(r, j.Wanted()))
		}
	}
	if s.PodFailurePolicy != nil {
		j.Rules = failureRules(s.PodFailurePolicy.Rules)
	}
	return j
}

func successRule(r batchv1.SuccessPolicyRule, completions int) SuccessRule {
	var rule SuccessRule
	if r.SucceededIndexes != nil {
		rule.Indexes = parseIndexes(*r.SucceededIndexes, completions)
	}
	if r.SucceededCount != nil {
		n := int(*r.SucceededCount)
		rule.Count = &n
	}
	return rule
}

// matches reports whether the indexes that succeeded are enough.
func (r SuccessRule) matches(succeeded Indexes) bool {
	if r.Indexes == nil {
		return r.Count != nil && succeeded.Len() >= *r.Count
	}
	n := r.Indexes.common(succeeded)
	if r.Count != nil {
		return n >= *r.Count
	}
	return n == r.Indexes.Len()
}

// failureRules returns the rules that can match here. Those about conditions of pods
// cannot: nothing disrupts a pod.
func failureRules(rules []batchv1.PodFailurePolicyRule) []FailureRule {
	var list []FailureRule
	for _, r := range rules {
		if r.OnExitCodes == nil {
			continue
		}
		one := FailureRule{Action: r.Action, NotIn: r.OnExitCodes.Operator == batchv1.PodFailurePolicyOnExitCodesOpNotIn, Codes: r.OnExitCodes.Values}
		if r.OnExitCodes.ContainerName != nil {
			one.Container = *r.OnExitCodes.ContainerName
		}
		list = append(list, one)
	}
	return list
}

// matches reports whether a container of a failed pod ended as the rule has it.
func (r FailureRule) matches(exits []Exit) bool {
	return slices.ContainsFunc(exits, func(e Exit) bool {
		return e.Code != 0 && (r.Container == "" || r.Container == e.Container) && slices.Contains(r.Codes, e.Code) != r.NotIn
	})
}

// Wanted returns the number of pods that must succeed.
func (s JobSpec) Wanted() int {
	if s.Completions == nil {
		return 1
	}
	return *s.Completions
}

// delay returns the back-off after a number of failed pods in a row.
func (s JobSpec) delay(failures int) time.Duration {
	d := s.BackOff
	for range failures - 1 {
		if d >= maxBackOff {
			break
		}
		d *= 2
	}
	return min(d, maxBackOff)
}
