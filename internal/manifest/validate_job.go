package manifest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones, on machines without their files too

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// job checks the spec of a Job, or of the Jobs of a CronJob, as a kube-apiserver
// does (k8s.io/kubernetes/pkg/apis/batch/validation, 1.37).
func (c *checker) job(s *batchv1.JobSpec, at path) {
	for name, value := range map[string]*int32{
		"parallelism": s.Parallelism, "completions": s.Completions, "backoffLimit": s.BackoffLimit, "backoffLimitPerIndex": s.BackoffLimitPerIndex,
		"maxFailedIndexes": s.MaxFailedIndexes, "ttlSecondsAfterFinished": s.TTLSecondsAfterFinished,
	} {
		c.notNegativeIf(at.with(key(name)), value)
	}
	if d := s.ActiveDeadlineSeconds; d != nil {
		c.notNegative(at.with(key("activeDeadlineSeconds")), *d)
	}
	c.managedBy(s.ManagedBy, at.with(key("managedBy")))
	c.completionMode(s, at)
	c.failurePolicy(s, at)
	template := at.with(key("template"))
	c.meta(s.Template.ObjectMeta, template)
	policies := []corev1.RestartPolicy{corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}
	c.pod(&s.Template.Spec, template.with(key("spec")), policies...)
	if s.PodFailurePolicy != nil && s.Template.Spec.RestartPolicy == corev1.RestartPolicyOnFailure {
		c.fail(template.with(key("spec"), key("restartPolicy")), "", "must be Never where podFailurePolicy is set")
	}
}

// managedBy checks the name of a controller, "example.com/queue".
func (c *checker) managedBy(name *string, at path) {
	if name == nil {
		return
	}
	if errs := validation.IsDomainPrefixedPath(nil, *name); len(errs) > 0 || len(*name) > 63 {
		c.fail(at, "", "%q is no name of a controller such as example.com/queue, of at most 63 characters", *name)
	}
}

// completionMode checks what only Indexed Jobs may have.
func (c *checker) completionMode(s *batchv1.JobSpec, at path) {
	mode := batchv1.NonIndexedCompletion
	if s.CompletionMode != nil {
		mode = *s.CompletionMode
		oneOf(c, at.with(key("completionMode")), mode, batchv1.NonIndexedCompletion, batchv1.IndexedCompletion)
	}
	if s.MaxFailedIndexes != nil && s.BackoffLimitPerIndex == nil {
		c.fail(at.with(key("backoffLimitPerIndex")), "", "required where maxFailedIndexes is set")
	}
	if mode == batchv1.IndexedCompletion {
		if s.Completions == nil {
			c.fail(at.with(key("completions")), "", "required where completionMode is Indexed")
			return
		}
		if s.MaxFailedIndexes != nil && *s.MaxFailedIndexes > *s.Completions {
			c.fail(at.with(key("maxFailedIndexes")), "", "%d is more than the completions, %d", *s.MaxFailedIndexes, *s.Completions)
		}
		c.manyIndexes(s, at)
		if s.SuccessPolicy != nil {
			c.successPolicy(s.SuccessPolicy.Rules, *s.Completions, at.with(key("successPolicy"), key("rules")))
		}
		return
	}
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"backoffLimitPerIndex", s.BackoffLimitPerIndex != nil},
		{"maxFailedIndexes", s.MaxFailedIndexes != nil},
		{"successPolicy", s.SuccessPolicy != nil},
	} {
		if f.set {
			c.fail(at.with(key(f.name)), "", "only where completionMode is Indexed")
		}
	}
}

// manyIndexes bounds Indexed Jobs, whose state has a list of their indexes.
func (c *checker) manyIndexes(s *batchv1.JobSpec, at path) {
	const many, few = 100_000, 10_000
	parallelism, failed := int32(many), int32(many)
	if *s.Completions > many && s.BackoffLimitPerIndex != nil {
		parallelism, failed = few, few
		if s.MaxFailedIndexes == nil {
			c.fail(at.with(key("maxFailedIndexes")), "", "required where more than %d completions have a backoffLimitPerIndex", many)
		}
	}
	if s.Parallelism != nil && *s.Parallelism > parallelism {
		c.fail(at.with(key("parallelism")), "", "%d is more than %d", *s.Parallelism, parallelism)
	}
	if s.MaxFailedIndexes != nil && *s.MaxFailedIndexes > failed {
		c.fail(at.with(key("maxFailedIndexes")), "", "%d is more than %d", *s.MaxFailedIndexes, failed)
	}
}

// maxIndexes is the maximum length of a list of indexes, in bytes.
const maxIndexes = 64 << 10

// countIndexes returns the number of indexes in a list of indexes and ranges in ascending
// order, such as "1,3-5". ok is false if the list has another form, or if an index is not
// less than completions.
func countIndexes(list string, completions int32) (n int, ok bool) {
	if list == "" {
		return 0, true
	}
	last := -1
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		end := first
		if isRange && err == nil {
			if end, err = strconv.Atoi(to); end <= first {
				return 0, false
			}
		}
		if err != nil || first <= last || end >= int(completions) {
			return 0, false
		}
		n, last = n+end-first+1, end
	}
	return n, true
}

func (c *checker) successPolicy(rules []batchv1.SuccessPolicyRule, completions int32, at path) {
	if len(rules) == 0 || len(rules) > 20 {
		c.fail(at, "", "want 1 to 20 rules, not %d", len(rules))
	}
	for i, r := range rules {
		at := at.with(item(i))
		if r.SucceededCount == nil && r.SucceededIndexes == nil {
			c.fail(at, "", "one of succeededCount and succeededIndexes must be set")
		}
		most := int(completions)
		if list := r.SucceededIndexes; list != nil {
			n, ok := countIndexes(*list, completions)
			switch {
			case len(*list) > maxIndexes:
				c.fail(at.with(key("succeededIndexes")), "", "longer than %d bytes", maxIndexes)
			case !ok:
				c.fail(at.with(key("succeededIndexes")), "write them as 1,3-5", "%q is no list of indexes below %d in ascending order", *list, completions)
			default:
				most = min(most, n)
			}
		}
		if n := r.SucceededCount; n != nil && (*n < 0 || int(*n) > most) {
			c.fail(at.with(key("succeededCount")), "", "%d is not between 0 and the number of indexes, %d", *n, most)
		}
	}
}

func (c *checker) failurePolicy(s *batchv1.JobSpec, at path) {
	if p := s.PodReplacementPolicy; p != nil && s.PodFailurePolicy != nil {
		oneOf(c, at.with(key("podReplacementPolicy")), *p, batchv1.Failed)
	} else if p != nil {
		oneOf(c, at.with(key("podReplacementPolicy")), *p, batchv1.Failed, batchv1.TerminatingOrFailed)
	}
	if s.PodFailurePolicy == nil {
		return
	}
	const most = 20
	if n := len(s.PodFailurePolicy.Rules); n > most {
		c.fail(at.with(key("podFailurePolicy"), key("rules")), "", "more than %d", most)
	}
	for i, r := range s.PodFailurePolicy.Rules {
		at := at.with(key("podFailurePolicy"), key("rules"), item(i))
		oneOf(c, at.with(key("action")), r.Action, batchv1.PodFailurePolicyActionCount, batchv1.PodFailurePolicyActionFailIndex,
			batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionIgnore)
		if r.Action == batchv1.PodFailurePolicyActionFailIndex && s.BackoffLimitPerIndex == nil {
			c.fail(at.with(key("action")), "", "FailIndex requires backoffLimitPerIndex")
		}
		if (r.OnExitCodes == nil) == (len(r.OnPodConditions) == 0) {
			c.fail(at, "", "one of onExitCodes and onPodConditions must be set")
		}
		if len(r.OnPodConditions) > most {
			c.fail(at.with(key("onPodConditions")), "", "more than %d", most)
		}
		for j, p := range r.OnPodConditions {
			at := at.with(key("onPodConditions"), item(j))
			c.name(at.with(key("type")), string(p.Type), validation.IsQualifiedName(string(p.Type)))
			oneOf(c, at.with(key("status")), p.Status, "", corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown)
		}
		if r.OnExitCodes != nil {
			c.exitCodes(s, r.OnExitCodes, at.with(key("onExitCodes")))
		}
	}
}

func (c *checker) exitCodes(s *batchv1.JobSpec, r *batchv1.PodFailurePolicyOnExitCodesRequirement, at path) {
	oneOf(c, at.with(key("operator")), r.Operator, batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn)
	if r.ContainerName != nil && !slices.ContainsFunc(slices.Concat(s.Template.Spec.InitContainers, s.Template.Spec.Containers),
		func(k corev1.Container) bool { return k.Name == *r.ContainerName }) {
		c.fail(at.with(key("containerName")), "", "there is no container %q", *r.ContainerName)
	}
	values := at.with(key("values"))
	switch {
	case len(r.Values) == 0:
		c.fail(values, "", "required")
	case len(r.Values) > 255:
		c.fail(values, "", "more than 255")
	case !slices.IsSorted(r.Values):
		c.fail(values, "", "must be in ascending order")
	case len(slices.Compact(slices.Clone(r.Values))) < len(r.Values):
		c.fail(values, "", "a value is there twice")
	case r.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn && slices.Contains(r.Values, 0):
		c.fail(values, "", "0 is no failure")
	}
}

// generatedLabels are those that a cluster adds to a Job's pods and selects them by.
var generatedLabels = []string{"batch.kubernetes.io/controller-uid", "controller-uid", "batch.kubernetes.io/job-name", "job-name"}

// jobSelector checks the selector of a Job. A cluster generates it, unless
// manualSelector is set; that of a Job that was read from a cluster is accepted.
func (c *checker) jobSelector(s *batchv1.JobSpec) {
	at := path{key("spec"), key("selector")}
	switch {
	case isTrue(s.ManualSelector) && s.Selector == nil:
		c.fail(at, "", "required where manualSelector is set")
	case isTrue(s.ManualSelector):
		c.selects(at, s.Selector, s.Template.Labels)
	case s.Selector != nil:
		for _, name := range slices.Sorted(maps.Keys(s.Selector.MatchLabels)) {
			if !slices.Contains(generatedLabels, name) {
				c.fail(at.with(key("matchLabels"), key(name)), "leave the selector out, or set manualSelector: true", "a cluster generates the selector of a Job")
			}
		}
		if len(s.Selector.MatchExpressions) > 0 {
			c.fail(at.with(key("matchExpressions")), "leave the selector out, or set manualSelector: true", "a cluster generates the selector of a Job")
		}
	}
}

// indexedName checks that the host names of the pods of an Indexed Job, which end
// in the index, are valid.
func (c *checker) indexedName(j *batchv1.Job) {
	if j.Name == "" || j.Spec.CompletionMode == nil || *j.Spec.CompletionMode != batchv1.IndexedCompletion || j.Spec.Completions == nil || *j.Spec.Completions < 1 {
		return
	}
	host := fmt.Sprintf("%s-%d", j.Name, *j.Spec.Completions-1)
	c.name(path{key("metadata"), key("name")}, host, validation.IsDNS1123Label(host))
}

func (c *checker) cronJob(j *batchv1.CronJob) {
	spec := path{key("spec")}
	// The controller appends 11 characters to the name for its Jobs, which may
	// have 63.
	if len(j.Name) > 52 {
		c.fail(path{key("metadata"), key("name")}, "", "longer than 52 characters")
	}
	if c.require(spec.with(key("schedule")), j.Spec.Schedule) {
		c.schedule(spec.with(key("schedule")), j.Spec.Schedule)
	}
	if j.Spec.TimeZone != nil {
		c.timeZone(spec.with(key("timeZone")), *j.Spec.TimeZone)
	}
	oneOf(c, spec.with(key("concurrencyPolicy")), j.Spec.ConcurrencyPolicy, "", batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent)
	if d := j.Spec.StartingDeadlineSeconds; d != nil {
		c.notNegative(spec.with(key("startingDeadlineSeconds")), *d)
	}
	c.notNegativeIf(spec.with(key("successfulJobsHistoryLimit")), j.Spec.SuccessfulJobsHistoryLimit)
	c.notNegativeIf(spec.with(key("failedJobsHistoryLimit")), j.Spec.FailedJobsHistoryLimit)
	at := spec.with(key("jobTemplate"))
	c.meta(j.Spec.JobTemplate.ObjectMeta, at)
	at = at.with(key("spec"))
	c.job(&j.Spec.JobTemplate.Spec, at)
	if j.Spec.JobTemplate.Spec.Selector != nil {
		c.fail(at.with(key("selector")), "leave it out", "a cluster generates the selector of a CronJob's Jobs")
	}
	if isTrue(j.Spec.JobTemplate.Spec.ManualSelector) {
		c.fail(at.with(key("manualSelector")), "leave it out", "a cluster generates the selector of a CronJob's Jobs")
	}
}

func (c *checker) schedule(at path, schedule string) {
	if strings.Contains(schedule, "TZ") {
		c.fail(at, "write it as timeZone", "%q: a time zone is not allowed in it", schedule)
		return
	}
	if _, err := cron.ParseStandard(schedule); err != nil {
		c.fail(at, "", "%q: %v", schedule, err)
	}
}

// zonePart is an element of the name of a time zone, of which LoadLocation makes a
// path.
var zonePart = regexp.MustCompile(`^[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}$`)

func (c *checker) timeZone(at path, zone string) {
	if strings.EqualFold(zone, "Local") || zone == "" {
		c.fail(at, "name one as Europe/Berlin", "%q is no time zone", zone)
		return
	}
	for part := range strings.SplitSeq(zone, "/") {
		if part == "." || part == ".." || !zonePart.MatchString(part) {
			c.fail(at, "name one as Europe/Berlin", "%q is no time zone", zone)
			return
		}
	}
	if _, err := time.LoadLocation(zone); err != nil {
		c.fail(at, "name one as Europe/Berlin", "%q is no time zone", zone)
	}
}
