package pod

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/probe"
)

// probeKind is one of the three probes of a container.
type probeKind string

const (
	startup   probeKind = "startup"
	liveness  probeKind = "liveness"
	readiness probeKind = "readiness"
	// settled is no probe: it passes once a container that has neither of the
	// other two has run for a while.
	settled probeKind = "settled"
)

// A reading is what a probe of a running container says.
type probeResult struct {
	kind    probeKind
	verdict probe.Verdict
	probe   *corev1.Probe
}

// runProbes runs the probes of one attempt at a container until ctx ends: first
// the startup probe until it passes, then the other two. Readings go to
// report, one at a time. It returns early if the startup probe fails for good.
// fail hears that the runtime does not say whether the container runs.
func (w *worker) runProbes(ctx context.Context, ctr *corev1.Container, a attempt, report func(probeResult), fail func(error)) {
	var mu sync.Mutex
	tell := func(r probeResult) {
		mu.Lock()
		defer mu.Unlock()
		report(r)
	}
	if p := ctr.StartupProbe; p != nil {
		passed := false
		w.runProbe(ctx, ctr, a, startup, p, func(r probeResult) bool {
			passed = r.verdict.OK
			tell(r)
			return !r.verdict.Known
		})
		if !passed {
			return
		}
	}
	var wg sync.WaitGroup
	for kind, p := range map[probeKind]*corev1.Probe{liveness: ctr.LivenessProbe, readiness: ctr.ReadinessProbe} {
		if p == nil {
			continue
		}
		wg.Go(func() {
			w.runProbe(ctx, ctr, a, kind, p, func(r probeResult) bool { tell(r); return true })
		})
	}
	if ctr.StartupProbe == nil && ctr.ReadinessProbe == nil {
		wg.Go(func() {
			runs, err := w.waitSettled(ctx, a.id)
			if err != nil {
				fail(err)
			} else if runs {
				tell(probeResult{kind: settled, verdict: probe.Verdict{OK: true, Known: true, Changed: true}})
			}
		})
	}
	wg.Wait()
}

func (w *worker) runProbe(ctx context.Context, ctr *corev1.Container, a attempt, kind probeKind, p *corev1.Probe, report func(probeResult) bool) {
	h, err := w.handler(ctr, a.id, p)
	if err != nil {
		report(probeResult{kind, probe.Verdict{Known: true, Changed: true, Last: probe.Result{Output: err.Error()}}, p})
		return
	}
	s := schedule(p)
	// To be ready is worth more than to be asked as a kubelet asks; a command
	// costs the machine more than it is worth.
	s.Eager = kind == readiness && p.Exec == nil
	probe.Run(ctx, h, s, a.began, func(v probe.Verdict) bool {
		if !v.Last.OK {
			w.eventf(ctr.Name, "Unhealthy", "container %s: %s probe failed: %s", ctr.Name, kind, firstLines([]byte(v.Last.Output)))
		}
		return report(probeResult{kind, v, p})
	})
}

func schedule(p *corev1.Probe) probe.Schedule {
	return probe.Schedule{
		InitialDelay:     time.Duration(p.InitialDelaySeconds) * time.Second,
		Period:           time.Duration(p.PeriodSeconds) * time.Second,
		Timeout:          time.Duration(p.TimeoutSeconds) * time.Second,
		SuccessThreshold: int(p.SuccessThreshold),
		FailureThreshold: int(p.FailureThreshold),
	}
}

// handler translates what a probe does.
func (w *worker) handler(ctr *corev1.Container, id string, p *corev1.Probe) (probe.Handler, error) {
	host := w.ip()
	switch {
	case p.Exec != nil:
		return probe.Exec{Command: p.Exec.Command, Run: w.runner(id)}, nil
	case p.HTTPGet != nil:
		return httpTarget(ctr, p.HTTPGet, host)
	case p.TCPSocket != nil:
		port, err := portNumber(ctr, p.TCPSocket.Port)
		return probe.TCP{Host: cmp.Or(p.TCPSocket.Host, host), Port: port}, err
	case p.GRPC != nil:
		return probe.GRPC{Host: host, Port: int(p.GRPC.Port), Service: ptr.Deref(p.GRPC.Service, "")}, nil
	}
	return nil, fmt.Errorf("the probe has no handler")
}

func (w *worker) runner(id string) probe.Runner {
	return func(ctx context.Context, command []string, timeout time.Duration) ([]byte, int, error) {
		res, err := w.e.cri.Run(ctx, id, command, timeout)
		if cri.IsUnavailable(err) {
			err = fmt.Errorf("%w: %w", probe.ErrCannotAsk, err)
		}
		return append(res.Stdout, res.Stderr...), res.ExitCode, err
	}
}

// httpTarget translates an httpGet of a probe or hook.
func httpTarget(ctr *corev1.Container, g *corev1.HTTPGetAction, host string) (probe.HTTP, error) {
	port, err := portNumber(ctr, g.Port)
	if err != nil {
		return probe.HTTP{}, err
	}
	header := http.Header{}
	for _, h := range g.HTTPHeaders {
		header.Add(h.Name, h.Value)
	}
	return probe.HTTP{
		Scheme: string(g.Scheme), Host: cmp.Or(g.Host, host), Port: port, Path: g.Path, Header: header,
	}, nil
}

// portNumber resolves a port that may be the name of one of the container's.
func portNumber(ctr *corev1.Container, port intstr.IntOrString) (int, error) {
	n := port.IntValue() // also of a string of digits
	if port.Type == intstr.String && n == 0 {
		for _, p := range ctr.Ports {
			if p.Name == port.StrVal {
				n = int(p.ContainerPort)
			}
		}
	}
	if n < 1 || n > 65535 {
		return 0, fmt.Errorf("container %s has no port %q", ctr.Name, port.String())
	}
	return n, nil
}
