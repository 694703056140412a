package local

import (
	"context"
	"net"
	"net/http"
	"strconv"

	"github.com/adamant-sh/adamant/internal/workload/gate"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// askGate starts a gate unless it is running. The caller holds mu.
func (w *workload) askGate(name string) {
	if name == "" || w.gate.IsAsked(name) {
		return
	}
	r, err := w.controller.record(w.key)
	if err != nil {
		w.controller.log(err)
		return
	}
	g := gate.New(name)
	w.gate = g
	w.wg.Go(func() {
		g.Ask(w.ctx, r.Policy.Gates, func() []gate.Candidate { return w.candidates(r.State.Target) })
		w.countGate(g.Result())
		w.notify()
	})
}

// candidates returns the instances of a generation that gates can ask now.
func (w *workload) candidates(generation int) []gate.Candidate {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []gate.Candidate
	for _, i := range w.sorted() {
		if i.Ready && !i.Ending && i.Generation == generation {
			list = append(list, gate.Candidate{ID: i.ID, Instance: gateInstance{i}, Spec: i.template})
		}
	}
	return list
}

// A gateInstance implements gate.Instance.
type gateInstance struct{ *instance }

// Run implements gate.Instance.
func (r gateInstance) Run(ctx context.Context, command []string) (int, []byte, error) {
	p, err := r.pod.Fresh(ctx)
	if err != nil {
		return 0, nil, err
	}
	res, err := p.ExecSync(ctx, "", command, gate.Timeout)
	return int(res.ExitCode), append(res.Stderr, res.Stdout...), err
}

// Fetch implements gate.Instance.
func (r gateInstance) Fetch(ctx context.Context, port int, page string) (int, error) {
	url := "http://" + net.JoinHostPort(r.address(), strconv.Itoa(port)) + page
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// address returns the host of an instance's ports.
func (i *instance) address() string {
	if i.ip == "" || i.template.HostNetwork {
		return "127.0.0.1"
	}
	return i.ip
}

// judgeTraffic judges the requests to the target of a rollout: see
// rollout.Policy.TrafficFault. The caller holds mu.
func (w *workload) judgeTraffic() (fault, unjudged string) {
	r, err := w.controller.record(w.key)
	if err != nil || r.State.Phase != rollout.Progressing {
		return "", ""
	}
	if r.Policy.ErrorRate == nil {
		return r.Policy.TrafficFault(0, 0) // without asking the balancer
	}
	requests, failures := w.controller.services.requestCounts(group(w.key, r.State.Target))
	if requests < w.requests || failures < w.failures {
		w.requests, w.failures = 0, 0 // the balancer was killed, and counts anew
	}
	// The counters include earlier rollouts of the same generation.
	return r.Policy.TrafficFault(requests-w.requests, failures-w.failures)
}
