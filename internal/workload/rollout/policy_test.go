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
	if spec.Kind != Canary || fmt.Sprint(spec.Steps) != fmt.Sprint(want) || policy.ErrorRate != 0.01 || spec.Budget != (Budget{Count: 5, Per: 2 * time.Hour}) {
		t.Errorf("got %+v, %+v", spec, policy)
	}
}

func deploymentWith(annotations map[string]string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}
}
