package api

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/adamant-sh/adamant/internal/workload/batch"
	"github.com/adamant-sh/adamant/internal/workload/event"
	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A metric is the description of one of ours. Its labels are namespaces, kinds and names
// of declared objects, and values from fixed sets, so that their number is bounded.
type metric struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("adamant_"+name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("adamant_"+name, help, labels, nil), prometheus.CounterValue}
}

var (
	mInstances    = gauge("instances", "Instances by the verdict of their last comparison with their image.", "namespace", "kind", "name", "drift")
	mWanted       = gauge("workload_instances_wanted", "Instances that the workload should have.", "namespace", "kind", "name")
	mReady        = gauge("workload_instances_ready", "Instances that are ready.", "namespace", "kind", "name")
	mUpdated      = gauge("workload_instances_updated", "Instances of the generation that the rollout moves to.", "namespace", "kind", "name")
	mCompromised  = gauge("workload_instances_compromised", "Instances that drifted and still exist.", "namespace", "kind", "name")
	mGeneration   = gauge("workload_generation", "The generation that the rollout moves to.", "namespace", "kind", "name")
	mPhase        = gauge("workload_phase", "1 for the phase of the latest rollout, 0 for the others.", "namespace", "kind", "name", "phase")
	mPaused       = gauge("workload_paused", "1 while a user holds the rollout.", "namespace", "kind", "name")
	mJobState     = gauge("job_state", "1 for the state of the Job, 0 for the others.", "namespace", "name", "state")
	mJobPods      = gauge("job_pods", "Pods of the Job: active, and those that succeeded and failed.", "namespace", "name", "state")
	mCronPaused   = gauge("cronjob_suspended", "1 while the CronJob is suspended.", "namespace", "name")
	mCronActive   = gauge("cronjob_active", "Jobs of the CronJob that run.", "namespace", "name")
	mCronLast     = gauge("cronjob_last_scheduled_timestamp_seconds", "When a Job of the CronJob was last due, 0 for never.", "namespace", "name")
	mCronGood     = gauge("cronjob_last_successful_timestamp_seconds", "When a Job of the CronJob was last complete, 0 for never.", "namespace", "name")
	mRollouts     = counter("rollouts_total", "Rollouts that ended, by outcome.", "namespace", "kind", "name", "outcome")
	mGates        = counter("gate_results_total", "Results of gates.", "namespace", "kind", "name", "result")
	mCrashes      = counter("container_crashes_total", "Crashes of containers, those of init containers included.", "namespace", "kind", "name")
	mRestarts     = counter("container_restarts_total", "Containers that were started again in their pod.", "namespace", "kind", "name")
	mEnded        = counter("instances_ended_total", "Instances that ended by themselves.", "namespace", "kind", "name")
	mWorkDrift    = counter("workload_drift_total", "Instances that drifted: by changes that were found, or because they could not be compared.", "namespace", "kind", "name", "reason")
	mWorkUnknown  = counter("workload_drift_unknown_total", "Comparisons of instances that left something unknown.", "namespace", "kind", "name")
	mReplaced     = counter("workload_drift_replaced_total", "Instances that were replaced for drift.", "namespace", "kind", "name")
	mUnknown      = counter("drift_unknown_total", "Comparisons of instances that left something unknown.")
	mDrift        = counter("drift_total", "Instances that drifted.", "reason")
	mRequests     = counter("service_requests_total", "HTTP requests, and connections of other protocols, that were passed to instances.", "namespace", "service", "port")
	mErrors       = counter("service_errors_total", "Of those: failed connections, missing or malformed responses, and status 500 or above.", "namespace", "service", "port")
	mConnections  = gauge("service_open_requests", "Requests, and connections of other protocols, that are open.", "namespace", "service", "port")
	mOpen         = gauge("service_listening", "1 if the port is listened on.", "namespace", "service", "port")
	mLayers       = gauge("image_layers", "1 for the verdict of the last comparison of an image's unpacked layers with its digests, 0 for the others.", "image", "verdict")
	mLayersAt     = gauge("image_layers_compared_timestamp_seconds", "When the unpacked layers of an image were last compared.", "image")
	mDelivered    = counter("events_delivered_total", "Events that were delivered.", "sink")
	mLost         = counter("events_lost_total", "Events that were not delivered, because the sink fell behind or refused them.", "sink")
	mFailed       = counter("events_delivery_failures_total", "Attempts to deliver events that failed and are repeated.", "sink")
	mLastSequence = counter("events_last_sequence", "Sequence number of the latest event.")
)

var ours = []metric{
	mInstances, mWanted, mReady, mUpdated, mCompromised, mGeneration, mPhase, mPaused, mJobState, mJobPods, mCronPaused, mCronActive, mCronLast, mCronGood, mRollouts, mGates, mCrashes, mRestarts, mEnded, mWorkDrift,
	mWorkUnknown, mReplaced, mUnknown, mDrift, mRequests, mErrors, mConnections, mOpen, mLayers, mLayersAt, mDelivered, mLost, mFailed, mLastSequence,
}

// A reading is what metrics show of a moment.
type reading struct {
	workloads []local.Status
	counts    map[local.Key]local.Counts
	drift     local.DriftCounts
	traffic   []local.PortTraffic
	layers    map[string]local.Layers
	sinks     map[string]*event.Counts
	last      uint64 // sequence number of the latest event
}

func readController(c *local.Controller, sinks map[string]*event.Counts) (reading, error) {
	r := reading{counts: c.Counts(), drift: c.DriftCounts(), traffic: c.Traffic(), layers: c.Layers(), sinks: sinks}
	var err, lastErr error
	r.workloads, err = c.List()
	r.last, lastErr = c.EventLog().Last()
	return r, errors.Join(err, lastErr)
}

// A collector reads our metrics when they are asked for.
type collector struct{ read func() (reading, error) }

// Describe implements prometheus.Collector.
func (c collector) Describe(descs chan<- *prometheus.Desc) {
	for _, m := range ours {
		descs <- m.Desc
	}
}

// A sample receives values of metrics.
type sample chan<- prometheus.Metric

func (s sample) put(m metric, value float64, labels ...string) {
	v, err := prometheus.NewConstMetric(m.Desc, m.kind, value, labels...)
	if err != nil {
		v = prometheus.NewInvalidMetric(m.Desc, err)
	}
	s <- v
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := sample(to)
	r, err := c.read()
	if err != nil {
		to <- prometheus.NewInvalidMetric(mWanted.Desc, err)
		return
	}
	for _, st := range r.workloads {
		s.workload(st)
		if n, ok := r.counts[st.Key]; ok {
			s.counts(st.Key, n)
		}
	}
	s.put(mUnknown, float64(r.drift.Unknown))
	s.put(mDrift, float64(r.drift.Drifted), "changes")
	s.put(mDrift, float64(r.drift.Escalated), "unknown")
	for _, t := range r.traffic {
		at := []string{t.Namespace, t.Service, strconv.Itoa(int(t.Port))}
		s.put(mRequests, float64(t.Requests), at...)
		s.put(mErrors, float64(t.Errors), at...)
		s.put(mConnections, float64(t.Active), at...)
		s.put(mOpen, number(t.Open), at...)
	}
	for image, l := range r.layers {
		for _, verdict := range verdicts {
			s.put(mLayers, number(l.Verdict == verdict), image, string(verdict))
		}
		s.put(mLayersAt, seconds(l.Time), image)
	}
	for name, n := range r.sinks {
		s.put(mDelivered, float64(n.Delivered.Load()), name)
		s.put(mLost, float64(n.Lost.Load()), name)
		s.put(mFailed, float64(n.Failed.Load()), name)
	}
	s.put(mLastSequence, float64(r.last))
}

var (
	verdicts  = []rollout.Drift{rollout.Clean, rollout.Drifted, rollout.Unknown}
	phases    = []rollout.Phase{rollout.Progressing, rollout.RollingBack, rollout.Complete, rollout.RolledBack, rollout.Failed}
	outcomes  = []rollout.Phase{rollout.Complete, rollout.RolledBack, rollout.Failed}
	jobStates = []batch.Phase{batch.Running, batch.Suspended, batch.Complete, batch.Failed}
	results   = []string{"passed", "failed", "inconclusive"}
)

func (s sample) workload(st local.Status) {
	at := []string{st.Namespace, st.Kind, st.Name}
	compared := map[rollout.Drift]int{}
	for _, i := range st.Instances {
		if i.Phase != "Succeeded" && i.Phase != "Failed" { // pods of a Job that are kept
			compared[i.Drift]++
		}
	}
	for _, verdict := range verdicts {
		s.put(mInstances, float64(compared[verdict]), append(at, string(verdict))...)
	}
	if st.Job != nil || st.CronJob != nil {
		s.batch(st) // nothing is wanted to be ready
		return
	}
	for _, phase := range phases {
		s.put(mPhase, number(st.Phase == phase), append(at, string(phase))...)
	}
	s.put(mWanted, float64(st.Replicas), at...)
	s.put(mReady, float64(st.Ready), at...)
	s.put(mUpdated, float64(st.Updated), at...)
	s.put(mCompromised, float64(st.Compromised), at...)
	s.put(mGeneration, float64(st.Generation), at...)
	s.put(mPaused, number(st.Paused), at...)
}

func (s sample) batch(st local.Status) {
	if j := st.Job; j != nil {
		for _, state := range jobStates {
			s.put(mJobState, number(j.State == state), st.Namespace, st.Name, string(state))
		}
		s.put(mJobPods, float64(j.Active), st.Namespace, st.Name, "active")
		s.put(mJobPods, float64(j.Succeeded), st.Namespace, st.Name, "succeeded")
		s.put(mJobPods, float64(j.Failed), st.Namespace, st.Name, "failed")
	}
	if c := st.CronJob; c != nil {
		s.put(mCronPaused, number(c.Suspended), st.Namespace, st.Name)
		s.put(mCronActive, float64(len(c.Active)), st.Namespace, st.Name)
		s.put(mCronLast, seconds(c.LastScheduled), st.Namespace, st.Name)
		s.put(mCronGood, seconds(c.LastSuccessful), st.Namespace, st.Name)
	}
}

func (s sample) counts(k local.Key, n local.Counts) {
	at := []string{k.Namespace, k.Kind, k.Name}
	for _, outcome := range outcomes {
		s.put(mRollouts, float64(n.Rollouts[outcome]), append(at, string(outcome))...)
	}
	for _, result := range results {
		s.put(mGates, float64(n.Gates[result]), append(at, result)...)
	}
	s.put(mCrashes, float64(n.Crashes), at...)
	s.put(mRestarts, float64(n.Restarts), at...)
	s.put(mEnded, float64(n.Ended), at...)
	s.put(mWorkDrift, float64(n.Drifted), append(at, "changes")...)
	s.put(mWorkDrift, float64(n.Escalated), append(at, "unknown")...)
	s.put(mWorkUnknown, float64(n.Unknown), at...)
	s.put(mReplaced, float64(n.Replaced), at...)
}

// seconds returns the seconds since 1970, 0 for no time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// metricsHandler answers with our metrics and those of this process, in the text format of
// Prometheus.
func metricsHandler(read func() (reading, error)) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{read}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// What could be collected is worth more than nothing.
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4})
}

// A metricsPort answers GET /metrics on a TCP port.
type metricsPort struct {
	address  string
	listener net.Listener
	server   *http.Server
	served   chan error
}

// listenMetrics opens a port.
func listenMetrics(address string, h http.Handler) (*metricsPort, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	p := &metricsPort{address: address, listener: l, served: make(chan error, 1), server: &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: noLog,
	}}
	go func() { p.served <- p.server.Serve(l) }()
	return p, nil
}

func (p *metricsPort) close() error {
	if p == nil {
		return nil
	}
	err := p.server.Close()
	<-p.served
	return err
}
