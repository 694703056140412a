package api

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/adamant-sh/adamant/internal/workload/batch"
	"github.com/adamant-sh/adamant/internal/workload/event"
	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// scrape asks for metrics as Prometheus does, and parses them with its parser.
func scrape(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %s: %v", resp.Status, err)
	}
	return families
}

// values returns our metrics as "name{label=value,...}" and value.
func values(families map[string]*dto.MetricFamily) map[string]float64 {
	all := map[string]float64{}
	for name, f := range families {
		if !strings.HasPrefix(name, "adamant_") {
			continue
		}
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(labels)
			all[strings.TrimPrefix(name, "adamant_")+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	k := local.Key{Namespace: "default", Kind: "Deployment", Name: "web"}
	var webhook event.Counts
	webhook.Lost.Add(3)
	job, cron := local.Key{Namespace: "default", Kind: "Job", Name: "once"}, local.Key{Namespace: "default", Kind: "CronJob", Name: "often"}
	now := reading{
		workloads: []local.Status{{
			Key: job, Replicas: 3, Job: &local.JobStatus{State: batch.Failed, Active: 1, Succeeded: 2, Failed: 3},
		}, {
			Key: cron, CronJob: &local.CronStatus{Suspended: true, Active: []string{"often-1"}, LastScheduled: time.Unix(2000, 0)},
		}, {
			Key: k, Replicas: 3, Ready: 2, Updated: 1, Generation: 7, Phase: rollout.Progressing, Compromised: 1,
			Instances: []local.InstanceStatus{{Drift: rollout.Clean}, {Drift: rollout.Unknown}, {Drift: rollout.Clean}, {}},
		}},
		counts: map[local.Key]local.Counts{k: {
			Rollouts: map[rollout.Phase]uint64{rollout.Complete: 2}, Gates: map[string]uint64{"failed": 1}, Crashes: 4, Restarts: 3, Ended: 2,
			Drifted: 5, Escalated: 6, Unknown: 7, Replaced: 8,
		}},
		drift:   local.DriftCounts{Unknown: 7, Drifted: 2, Escalated: 1},
		traffic: []local.PortTraffic{{Namespace: "default", Service: "web", Port: 80, Open: true, Stats: traffic.Stats{Requests: 10, Errors: 1, Active: 2}}},
		layers:  map[string]local.Layers{"sha256:a": {Verdict: rollout.Drifted, Time: time.Unix(1000, 0)}},
		sinks:   map[string]*event.Counts{"webhook": &webhook},
		last:    42,
	}
	port, err := listenMetrics("127.0.0.1:0", metricsHandler(func() (reading, error) { return now, nil }))
	if err != nil {
		t.Fatal(err)
	}
	defer port.close()
	families := scrape(t, "http://"+port.listener.Addr().String()+"/metrics")
	want := map[string]float64{
		"instances{drift=Clean,kind=Deployment,name=web,namespace=default}": 2, "instances{drift=Drifted,kind=Deployment,name=web,namespace=default}": 0,
		"instances{drift=Unknown,kind=Deployment,name=web,namespace=default}":                1,
		"workload_instances_wanted{kind=Deployment,name=web,namespace=default}":              3,
		"workload_instances_ready{kind=Deployment,name=web,namespace=default}":               2,
		"workload_instances_updated{kind=Deployment,name=web,namespace=default}":             1,
		"workload_instances_compromised{kind=Deployment,name=web,namespace=default}":         1,
		"workload_generation{kind=Deployment,name=web,namespace=default}":                    7,
		"workload_paused{kind=Deployment,name=web,namespace=default}":                        0,
		"workload_phase{kind=Deployment,name=web,namespace=default,phase=Complete}":          0,
		"workload_phase{kind=Deployment,name=web,namespace=default,phase=Failed}":            0,
		"workload_phase{kind=Deployment,name=web,namespace=default,phase=Progressing}":       1,
		"workload_phase{kind=Deployment,name=web,namespace=default,phase=RolledBack}":        0,
		"workload_phase{kind=Deployment,name=web,namespace=default,phase=RollingBack}":       0,
		"rollouts_total{kind=Deployment,name=web,namespace=default,outcome=Complete}":        2,
		"rollouts_total{kind=Deployment,name=web,namespace=default,outcome=Failed}":          0,
		"rollouts_total{kind=Deployment,name=web,namespace=default,outcome=RolledBack}":      0,
		"gate_results_total{kind=Deployment,name=web,namespace=default,result=failed}":       1,
		"gate_results_total{kind=Deployment,name=web,namespace=default,result=passed}":       0,
		"container_crashes_total{kind=Deployment,name=web,namespace=default}":                4,
		"container_restarts_total{kind=Deployment,name=web,namespace=default}":               3,
		"instances_ended_total{kind=Deployment,name=web,namespace=default}":                  2,
		"workload_drift_total{kind=Deployment,name=web,namespace=default,reason=changes}":    5,
		"workload_drift_total{kind=Deployment,name=web,namespace=default,reason=unknown}":    6,
		"workload_drift_unknown_total{kind=Deployment,name=web,namespace=default}":           7,
		"workload_drift_replaced_total{kind=Deployment,name=web,namespace=default}":          8,
		"gate_results_total{kind=Deployment,name=web,namespace=default,result=inconclusive}": 0,
		"instances{drift=Clean,kind=Job,name=once,namespace=default}":                        0,
		"instances{drift=Drifted,kind=Job,name=once,namespace=default}":                      0,
		"instances{drift=Unknown,kind=Job,name=once,namespace=default}":                      0,
		"instances{drift=Clean,kind=CronJob,name=often,namespace=default}":                   0,
		"instances{drift=Drifted,kind=CronJob,name=often,namespace=default}":                 0,
		"instances{drift=Unknown,kind=CronJob,name=often,namespace=default}":                 0,
		"job_state{name=once,namespace=default,state=Complete}":                              0,
		"job_state{name=once,namespace=default,state=Failed}":                                1,
		"job_state{name=once,namespace=default,state=Running}":                               0,
		"job_state{name=once,namespace=default,state=Suspended}":                             0,
		"job_pods{name=once,namespace=default,state=active}":                                 1,
		"job_pods{name=once,namespace=default,state=succeeded}":                              2,
		"job_pods{name=once,namespace=default,state=failed}":                                 3,
		"cronjob_suspended{name=often,namespace=default}":                                    1,
		"cronjob_active{name=often,namespace=default}":                                       1,
		"cronjob_last_scheduled_timestamp_seconds{name=often,namespace=default}":             2000,
		"cronjob_last_successful_timestamp_seconds{name=often,namespace=default}":            0,
		"drift_unknown_total{}": 7, "drift_total{reason=changes}": 2, "drift_total{reason=unknown}": 1,
		"service_requests_total{namespace=default,port=80,service=web}": 10,
		"service_errors_total{namespace=default,port=80,service=web}":   1,
		"service_open_requests{namespace=default,port=80,service=web}":  2,
		"service_listening{namespace=default,port=80,service=web}":      1,
		"image_layers{image=sha256:a,verdict=Clean}":                    0,
		"image_layers{image=sha256:a,verdict=Drifted}":                  1,
		"image_layers{image=sha256:a,verdict=Unknown}":                  0,
		"image_layers_compared_timestamp_seconds{image=sha256:a}":       1000,
		"events_delivered_total{sink=webhook}":                          0,
		"events_lost_total{sink=webhook}":                               3,
		"events_delivery_failures_total{sink=webhook}":                  0,
		"events_last_sequence{}":                                        42,
	}
	if diff := cmp.Diff(values(families), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	for _, name := range []string{"process_start_time_seconds", "go_goroutines"} {
		if families[name] == nil {
			t.Errorf("no metric %s of the process", name)
		}
	}
	// The rules of promlint for names, for all of them.
	counters := regexp.MustCompile(`(_total|_sequence)$`)
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		if strings.HasPrefix(name, "adamant_") && (f.GetHelp() == "" || (f.GetType() == dto.MetricType_COUNTER) != counters.MatchString(name)) {
			t.Errorf("%s: help %q, type %v", name, f.GetHelp(), f.GetType())
		}
	}
}

// TestMetricsPort checks that the port answers nothing else, and that metrics of the
// process are there if the store cannot be read.
func TestMetricsPort(t *testing.T) {
	h := metricsHandler(func() (reading, error) { return reading{}, errors.New("no store") })
	port, err := listenMetrics("127.0.0.1:0", h)
	if err != nil {
		t.Fatal(err)
	}
	defer port.close()
	url := "http://" + port.listener.Addr().String()
	if f := scrape(t, url+"/metrics"); f["go_goroutines"] == nil {
		t.Error("no metrics of the process")
	}
	for _, path := range []string{"/", "/v1/workloads", "/v1/events"} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	resp, err := http.Post(url+"/metrics", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", resp.Status)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if _, err := io.ReadAll(w.Body); err != nil || w.Code != http.StatusOK {
		t.Errorf("on the socket: %d, %v", w.Code, err)
	}
}
