package local

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/adamant-sh/adamant/internal/workload/gate"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// minRequests is the number of requests to a new generation below which an
// error rate means nothing.
const minRequests = 20

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
	var asked []gate.Candidate
	for _, i := range w.sorted() {
		if i.Ready && !i.Ending && i.Generation == r.State.Target {
			asked = append(asked, gate.Candidate{ID: i.ID, Instance: gateInstance{i}, Spec: i.template})
		}
	}
	w.wg.Go(func() {
		g.Ask(w.ctx, r.Policy.Gates, asked)
		w.notify()
	})
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

// trafficFault returns why the target's traffic fails the rollout, empty if it
// does not. The caller holds mu.
func (w *workload) trafficFault() string {
	r, err := w.controller.record(w.key)
	if err != nil || r.Policy.ErrorRate == 0 || r.State.Phase != rollout.Progressing {
		return ""
	}
	requests, failures := w.controller.services.requestCounts(group(w.key, r.State.Target))
	// The counters include earlier rollouts of the same generation.
	requests, failures = requests-w.requests, failures-w.failures
	if requests < minRequests || float64(failures) <= r.Policy.ErrorRate*float64(requests) {
		return ""
	}
	return fmt.Sprintf("%d of %d requests to it failed, more than %.3g%%", failures, requests, r.Policy.ErrorRate*100)
}
