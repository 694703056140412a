package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

func TestMetrics(t *testing.T) {
	list := []local.Status{{
		Key:       local.Key{Namespace: "default", Kind: "Deployment", Name: "web"},
		Instances: []local.InstanceStatus{{Drift: rollout.Clean}, {Drift: rollout.Unknown}, {Drift: rollout.Clean}, {}},
	}}
	want := `# HELP adamant_instances Instances by the verdict of their last comparison with their image.
# TYPE adamant_instances gauge
adamant_instances{namespace="default",kind="Deployment",name="web",drift="Clean"} 2
adamant_instances{namespace="default",kind="Deployment",name="web",drift="Drifted"} 0
adamant_instances{namespace="default",kind="Deployment",name="web",drift="Unknown"} 1
# HELP adamant_drift_unknown_total Comparisons of instances that left something unknown.
# TYPE adamant_drift_unknown_total counter
adamant_drift_unknown_total 7
# HELP adamant_drift_total Instances that drifted.
# TYPE adamant_drift_total counter
adamant_drift_total{reason="changes"} 2
adamant_drift_total{reason="unknown"} 1
`
	if diff := cmp.Diff(metricsText(list, local.DriftCounts{Unknown: 7, Drifted: 2, Escalated: 1}), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}
