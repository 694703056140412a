package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "k8s.io/api/apps/v1"
)

func TestPolicy(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{AnnotationStrategy, "Sideways", "RollingUpdate, Recreate, BlueGreen or Canary"},
		{AnnotationSteps, "50", "steps such as"},
		{AnnotationSteps, "0%", "steps such as"},
		{AnnotationSteps, "50% soon", "steps such as"},
		{AnnotationSteps, "50% 1s, 10%", "at least as large"},
		{AnnotationHold, "-1s", "a duration"},
		{AnnotationErrorRate, "101%", "a percentage"},
		{AnnotationOnDrift, "ignore", "report, replace or stop"},
		{AnnotationBudget, "many", "3 per 1h"},
		{AnnotationSeverity, "bad", "low, medium"},
		{AnnotationUnknown, "0", "a number of comparisons"},
		{AnnotationUnknown, "soon", "a number of comparisons"},
		{AnnotationHTTP, "healthz", "a path such as"},
		{AnnotationCrashes, "3", "3 per 10m"},
		{AnnotationCrashes, "0 per 10m", "from 1 on"},
		{AnnotationCrashes, "3 per 0s", "from 1 on"},
		{AnnotationRequests, "0", "1 or more"},
		{AnnotationServer, "prometheus:9090", "http://prometheus:9090"},
		{AnnotationQuery, "up", AnnotationServer}, // there is none
		{AnnotationWarmUp, "-1s", "a duration"},
		{AnnotationInterval, "often", "a duration"},
		{AnnotationCount, "0", "1 or more"},
		{AnnotationFailures, "1", "otherwise the gate cannot fail"},
		{AnnotationUndecided, "maybe", "wait, pass or fail"},
	} {
		_, _, err := FromDeployment(deploymentWith(map[string]string{tc.name: tc.value}))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %q: got %v, want %q", tc.name, tc.value, err, tc.want)
		}
	}
	spec, policy, err := FromDeployment(deploymentWith(map[string]string{
		AnnotationStrategy: "Canary", AnnotationSteps: "10% 30s, 50% pause", AnnotationErrorRate: "1%", AnnotationBudget: "5 per 2h",
		AnnotationCrashes: "6 per 1m",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{{Share: 10, Pause: 30 * time.Second}, {Share: 50, ByHand: true}}
	if spec.CrashLimit != 6 || spec.CrashWindow != time.Minute {
		t.Errorf("got %d crashes per %s, want 6 per 1m", spec.CrashLimit, spec.CrashWindow)
	}
	if spec.Kind != Canary || fmt.Sprint(spec.Steps) != fmt.Sprint(want) || *policy.ErrorRate != 0.01 || spec.Budget != (Budget{Count: 5, Per: 2 * time.Hour}) {
		t.Errorf("got %+v, %+v", spec, policy)
	}
}

// TestTrafficFault checks that an error rate of 0 is one, and that too few requests pass
// no judgement.
func TestTrafficFault(t *testing.T) {
	for _, tc := range []struct {
		rate, needs        string
		requests, failures uint64
		fails, isUndecided bool
	}{
		{"", "", 100, 100, false, false},
		{"0%", "", 100, 0, false, false},
		{"0%", "", 100, 1, true, false},
		{"1%", "", 100, 1, false, false},
		{"1%", "", 100, 2, true, false},
		{"1%", "", 19, 19, false, true},
		{"100%", "", 20, 20, false, false},
		{"0%", "1", 1, 1, true, false},
		{"0%", "200", 199, 0, false, true},
	} {
		annotations := map[string]string{}
		if tc.rate != "" {
			annotations[AnnotationErrorRate] = tc.rate
		}
		if tc.needs != "" {
			annotations[AnnotationRequests] = tc.needs
		}
		spec, policy, err := FromDeployment(deploymentWith(annotations))
		if err != nil {
			t.Fatal(err)
		}
		fault, unjudged := policy.TrafficFault(tc.requests, tc.failures)
		if (fault != "") != tc.fails || (unjudged != "") != tc.isUndecided || spec.Gated != (tc.rate != "") {
			t.Errorf("%+v: got %q, %q, gated %v", tc, fault, unjudged, spec.Gated)
		}
	}
}

func deploymentWith(annotations map[string]string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}
}
