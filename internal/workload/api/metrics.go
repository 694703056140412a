package api

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// metrics answers with the state of all instances in the text format of Prometheus.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	list, err := s.controller.List()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	fmt.Fprint(w, metricsText(list, s.controller.DriftCounts()))
}

func metricsText(list []local.Status, n local.DriftCounts) string {
	var b strings.Builder
	metric := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP adamant_%s %s\n# TYPE adamant_%[1]s %[3]s\n", name, help, kind)
	}
	metric("instances", "gauge", "Instances by the verdict of their last comparison with their image.")
	for _, st := range list {
		counts := map[rollout.Drift]int{}
		for _, i := range st.Instances {
			counts[i.Drift]++
		}
		for _, verdict := range []rollout.Drift{rollout.Clean, rollout.Drifted, rollout.Unknown} {
			// Names and kinds of Kubernetes need no escapes.
			fmt.Fprintf(&b, "adamant_instances{namespace=%q,kind=%q,name=%q,drift=%q} %d\n", st.Namespace, st.Kind, st.Name, verdict, counts[verdict])
		}
	}
	metric("drift_unknown_total", "counter", "Comparisons of instances that left something unknown.")
	fmt.Fprintf(&b, "adamant_drift_unknown_total %d\n", n.Unknown)
	metric("drift_total", "counter", "Instances that drifted.")
	fmt.Fprintf(&b, "adamant_drift_total{reason=\"changes\"} %d\nadamant_drift_total{reason=\"unknown\"} %d\n", n.Drifted, n.Escalated)
	return b.String()
}
