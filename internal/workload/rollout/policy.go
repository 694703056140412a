package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/adamant-sh/adamant/internal/drift"
)

// The annotations that configure how a workload is replaced. They are set in the
// workload's own metadata, not in its pod template, so that changing one makes no
// new generation.
const (
	AnnotationStrategy  = "adamant.sh/strategy"          // RollingUpdate, Recreate, BlueGreen, Canary
	AnnotationSteps     = "adamant.sh/canary-steps"      // "10% 30s, 50% pause"
	AnnotationHold      = "adamant.sh/blue-green-hold"   // how long the old instances stay after the switch
	AnnotationPromotion = "adamant.sh/promotion"         // auto or manual: whether blue/green waits for a user to switch
	AnnotationCommand   = "adamant.sh/gate-command"      // run in each new instance; exit status 0 passes
	AnnotationHTTP      = "adamant.sh/gate-http"         // requested from each new instance: "/path" or ":8080/path"
	AnnotationErrorRate = "adamant.sh/gate-error-rate"   // "1%": of requests that may fail, counted by the proxy
	AnnotationRequests  = "adamant.sh/gate-requests"     // "20": how many requests an error rate needs
	AnnotationServer    = "adamant.sh/gate-prometheus"   // "http://prometheus:9090": server of the query
	AnnotationQuery     = "adamant.sh/gate-query"        // PromQL whose results must all be other than 0
	AnnotationWarmUp    = "adamant.sh/gate-warm-up"      // "30s": before the first measurement
	AnnotationInterval  = "adamant.sh/gate-interval"     // "10s": between two measurements
	AnnotationCount     = "adamant.sh/gate-count"        // "1": of measurements
	AnnotationFailures  = "adamant.sh/gate-failures"     // "0": how many measurements may fail
	AnnotationUndecided = "adamant.sh/gate-undecided"    // wait, pass or fail: what follows from a gate without a result
	AnnotationOnDrift   = "adamant.sh/on-drift"          // report, replace or stop
	AnnotationBudget    = "adamant.sh/drift-budget"      // "3 per 1h"
	AnnotationSeverity  = "adamant.sh/drift-severity"    // low, medium, high, critical: the least that counts as drift
	AnnotationUnknown   = "adamant.sh/drift-unknown"     // "3": after how many comparisons in a row unknown counts as drift; or never
	AnnotationCrashes   = "adamant.sh/crash-limit"       // "3 per 10m": crashes that fail a rollout
	AnnotationDeadline  = "adamant.sh/progress-deadline" // "10m": time without progress that fails a rollout
)

// Annotations returns the names of all annotations.
func Annotations() []string {
	return []string{
		AnnotationStrategy, AnnotationSteps, AnnotationHold, AnnotationPromotion, AnnotationCommand, AnnotationHTTP, AnnotationErrorRate,
		AnnotationRequests, AnnotationServer, AnnotationQuery, AnnotationWarmUp, AnnotationInterval, AnnotationCount, AnnotationFailures,
		AnnotationUndecided, AnnotationOnDrift, AnnotationBudget, AnnotationSeverity, AnnotationUnknown, AnnotationCrashes, AnnotationDeadline,
	}
}

// A Policy configures the checks of instances: their gates, and their
// comparison with the image. The Spec of the same workload configures the
// reactions.
type Policy struct {
	Gates
	ErrorRate *float64       `json:"errorRate,omitempty"` // 0.01 is 1 %, 0 allows none; nil disables the check
	Requests  int            `json:"requests,omitempty"`  // that an error rate needs: 20 if 0
	Severity  drift.Severity `json:"severity"`            // the least that counts as drift
	// Unknowns is the number of comparisons in a row after which an instance that could
	// not be compared completely counts as drifted: 3 if 0, and none if negative.
	Unknowns int `json:"unknowns,omitempty"`
}

// UnknownsExceeded reports whether an instance counts as drifted after a number of
// comparisons in a row that left something unknown. A container could otherwise escape
// its comparison by making it fail.
func (p Policy) UnknownsExceeded(comparisons int) bool {
	return p.Unknowns >= 0 && comparisons >= cmp.Or(p.Unknowns, defaultUnknowns)
}

// TrafficFault judges the requests to a new generation. It returns why they fail its
// rollout, or why they cannot be judged yet; both are empty if they pass.
func (p Policy) TrafficFault(requests, failures uint64) (fault, unjudged string) {
	need := uint64(cmp.Or(p.Requests, defaultRequests))
	switch {
	case p.ErrorRate == nil:
		return "", ""
	case requests < need:
		return "", fmt.Sprintf("%d of %d requests to judge its error rate by", requests, need)
	case float64(failures) <= *p.ErrorRate*float64(requests):
		return "", ""
	}
	return fmt.Sprintf("%d of %d requests to it failed, more than %.3g%%", failures, requests, *p.ErrorRate*100), ""
}

// Gates are the checks that a new generation must pass. The zero value has none.
type Gates struct {
	Command string `json:"command,omitempty"` // run by /bin/sh in each new instance; exit status 0 passes
	HTTP    string `json:"http,omitempty"`    // "/path" or ":8080/path" of each new instance; a status below 400 passes
	// Query is PromQL that the Prometheus at Server is asked once in a measurement. It
	// passes if all its results are other than 0, and is undecided without one.
	Query  string `json:"query,omitempty"`
	Server string `json:"server,omitempty"`

	WarmUp   time.Duration `json:"warmUp,omitempty"`   // before the first measurement
	Interval time.Duration `json:"interval,omitempty"` // between two measurements
	Count    int           `json:"count,omitempty"`    // of measurements: 1 if 0
	Failures int           `json:"failures,omitempty"` // how many measurements may fail
}

// has reports whether there is anything to measure.
func (g Gates) has() bool { return g.Command != "" || g.HTTP != "" || g.Query != "" }

// The defaults of annotations and fields that are not set.
const (
	defaultHold     = 30 * time.Second
	defaultUnknowns = 3
	defaultRequests = 20
	defaultInterval = 10 * time.Second
	defaultDeadline = 10 * time.Minute // as in Kubernetes
)

var defaultBudget = Budget{Count: 3, Per: time.Hour}

// FromDeployment returns how a Deployment is replaced, by its fields and its
// annotations. The error is an AnnotationError if an annotation is invalid.
func FromDeployment(d *appsv1.Deployment) (Spec, Policy, error) {
	spec := Spec{
		Replicas: 1, Kind: RollingUpdate, MaxSurge: intstr.FromString("25%"), MaxUnavailable: intstr.FromString("25%"),
		MinReady: time.Duration(d.Spec.MinReadySeconds) * time.Second, Deadline: defaultDeadline,
	}
	if d.Spec.Replicas != nil {
		spec.Replicas = int(*d.Spec.Replicas)
	}
	if s := d.Spec.ProgressDeadlineSeconds; s != nil {
		spec.Deadline = time.Duration(*s) * time.Second
	}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		spec.Kind = Recreate
	}
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		if r.MaxSurge != nil {
			spec.MaxSurge = *r.MaxSurge
		}
		if r.MaxUnavailable != nil {
			spec.MaxUnavailable = *r.MaxUnavailable
		}
	}
	policy, err := parseAnnotations(&spec, d.Annotations)
	if err == nil {
		err = spec.Validate()
	}
	return spec, policy, err
}

// An AnnotationError is returned for an annotation with an invalid value.
type AnnotationError struct {
	Name, Value string
	Want        string
}

// Error returns the annotation, its value and the valid values.
func (e *AnnotationError) Error() string {
	return fmt.Sprintf("annotation %s: %q: want %s", e.Name, e.Value, e.Want)
}

// parseAnnotations reads all annotations into spec and a Policy.
func parseAnnotations(spec *Spec, a map[string]string) (Policy, error) {
	spec.OnDrift, spec.Budget, spec.Hold = Replace, defaultBudget, defaultHold
	policy := Policy{
		Gates:    Gates{Command: a[AnnotationCommand], HTTP: a[AnnotationHTTP], Query: a[AnnotationQuery], Server: a[AnnotationServer]},
		Severity: drift.Medium,
	}
	for _, r := range []struct {
		name, want string
		read       func(string) bool
	}{
		{AnnotationStrategy, "RollingUpdate, Recreate, BlueGreen or Canary", func(v string) bool {
			spec.Kind = Kind(v)
			return v == "RollingUpdate" || v == "Recreate" || v == "BlueGreen" || v == "Canary"
		}},
		{AnnotationSteps, `steps such as "10% 30s, 50% pause"`, func(v string) (ok bool) {
			spec.Steps, ok = parseSteps(v)
			return ok
		}},
		{AnnotationHold, "a duration such as 30s", func(v string) bool { return duration(v, &spec.Hold) }},
		{AnnotationPromotion, "auto or manual", func(v string) bool {
			spec.ByHand = v == "manual"
			return v == "auto" || v == "manual"
		}},
		{AnnotationHTTP, `a path such as "/healthz" or ":8080/healthz"`, func(v string) bool {
			return strings.HasPrefix(v, "/") || strings.HasPrefix(v, ":")
		}},
		{AnnotationErrorRate, `a percentage such as "1%"`, func(v string) bool {
			rate, ok := percentage(v)
			policy.ErrorRate = &rate
			return ok
		}},
		{AnnotationRequests, "a number of requests, 1 or more", func(v string) bool { return number(v, 1, &policy.Requests) }},
		{AnnotationServer, "an address such as http://prometheus:9090", func(v string) bool {
			scheme, host, _ := strings.Cut(v, "://")
			return (scheme == "http" || scheme == "https") && host != "" && !strings.ContainsAny(v, " \t\n")
		}},
		{AnnotationQuery, "a PromQL query, and " + AnnotationServer, func(v string) bool { return v != "" && policy.Server != "" }},
		{AnnotationWarmUp, "a duration such as 30s", func(v string) bool { return duration(v, &policy.WarmUp) }},
		{AnnotationInterval, "a duration such as 10s", func(v string) bool { return duration(v, &policy.Interval) }},
		{AnnotationCount, "a number of measurements, 1 or more", func(v string) bool { return number(v, 1, &policy.Count) }},
		{AnnotationFailures, "a number of measurements, 0 or more", func(v string) bool { return number(v, 0, &policy.Failures) }},
		{AnnotationUndecided, "wait, pass or fail", func(v string) bool {
			spec.OnInconclusive = OnInconclusive(v)
			return v == "wait" || v == "pass" || v == "fail"
		}},
		{AnnotationOnDrift, "report, replace or stop", func(v string) bool {
			spec.OnDrift = OnDrift(v)
			return v == "report" || v == "replace" || v == "stop"
		}},
		{AnnotationBudget, `such as "3 per 1h"`, func(v string) (ok bool) {
			spec.Budget, ok = parseBudget(v)
			return ok
		}},
		{AnnotationSeverity, "low, medium, high or critical", func(v string) bool {
			policy.Severity = drift.Severity(v)
			return slices.Contains(drift.Severities(), policy.Severity)
		}},
		{AnnotationUnknown, `a number of comparisons such as "3", or "never"`, func(v string) bool {
			if v == "never" {
				policy.Unknowns = -1
				return true
			}
			return number(v, 1, &policy.Unknowns)
		}},
		{AnnotationDeadline, "a duration such as 10m", func(v string) bool { return duration(v, &spec.Deadline) && spec.Deadline > 0 }},
		{AnnotationCrashes, `such as "3 per 10m", from 1 on`, func(v string) bool {
			b, ok := parseBudget(v)
			spec.CrashLimit, spec.CrashWindow = b.Count, b.Per
			return ok && b.Count > 0 && b.Per > 0
		}},
	} {
		if v, ok := a[r.name]; ok && !r.read(v) {
			return policy, &AnnotationError{r.name, v, r.want}
		}
	}
	if spec.Kind == Canary && len(spec.Steps) == 0 {
		spec.Steps = []Step{{Share: 10, Pause: time.Minute}, {Share: 50, Pause: time.Minute}}
	}
	if policy.Count > 1 && policy.Interval == 0 {
		policy.Interval = defaultInterval
	}
	if policy.Failures > 0 && policy.Failures >= max(policy.Count, 1) {
		return policy, &AnnotationError{AnnotationFailures, a[AnnotationFailures], "less than " + AnnotationCount + ": otherwise the gate cannot fail"}
	}
	// The first instances of a rolling update wait for enough requests, too.
	spec.Gated = policy.Gates.has() || policy.ErrorRate != nil
	return policy, nil
}

func duration(v string, into *time.Duration) bool {
	d, err := time.ParseDuration(v)
	*into = d
	return err == nil && d >= 0
}

// number reads a number that is at least least.
func number(v string, least int, into *int) bool {
	n, err := strconv.Atoi(v)
	*into = n
	return err == nil && n >= least
}

func percentage(v string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64)
	return n / 100, err == nil && strings.HasSuffix(v, "%") && n >= 0 && n <= 100
}

// parseSteps reads "10% 30s, 50% pause, 75%".
func parseSteps(v string) ([]Step, bool) {
	var steps []Step
	for _, part := range strings.Split(v, ",") {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 {
			return nil, false
		}
		share, ok := percentage(words[0])
		step := Step{Share: int(share*100 + 0.5)}
		if len(words) == 2 && words[1] == "pause" {
			step.ByHand = true
		} else if len(words) == 2 {
			ok = ok && duration(words[1], &step.Pause)
		}
		if !ok || step.Share < 1 {
			return nil, false
		}
		steps = append(steps, step)
	}
	return steps, true
}

// parseBudget reads "3 per 1h".
func parseBudget(v string) (Budget, bool) {
	count, per, ok := strings.Cut(v, " per ")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	b := Budget{Count: n}
	return b, ok && err == nil && n >= 0 && duration(strings.TrimSpace(per), &b.Per)
}
