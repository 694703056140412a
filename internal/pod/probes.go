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
	// settled is not a probe: it passes once a container without startup and
	// readiness probes has run for a second.
	settled probeKind = "settled"
)

// A probeResult is the verdict of a probe on a running container.
type probeResult struct {
	kind    probeKind
	verdict probe.Verdict
	probe   *corev1.Probe
}

// A prober runs the probes of one attempt at a container.
type prober struct {
	*podRuntime
	ctr     *corev1.Container
	attempt attempt
	ip      string // of the pod
	eventf  func(container, reason, format string, args ...any)
}

// run runs the probes until ctx ends: first the startup probe until it passes,
// then the other two. It returns early if the startup probe fails for good.
// report is called with each result; calls do not overlap. fail is called with
// the error if the status of the container cannot be read.
func (p *prober) run(ctx context.Context, report func(probeResult), fail func(error)) {
	var mu sync.Mutex
	tell := func(r probeResult) {
		mu.Lock()
		defer mu.Unlock()
		report(r)
	}
	ctr := p.ctr
	if ctr.StartupProbe != nil {
		passed := false
		p.runProbe(ctx, startup, ctr.StartupProbe, func(r probeResult) bool {
			passed = r.verdict.OK
			tell(r)
			return !r.verdict.Known
		})
		if !passed {
			return
		}
	}
	var wg sync.WaitGroup
	for kind, spec := range map[probeKind]*corev1.Probe{liveness: ctr.LivenessProbe, readiness: ctr.ReadinessProbe} {
		if spec == nil {
			continue
		}
		wg.Go(func() {
			p.runProbe(ctx, kind, spec, func(r probeResult) bool { tell(r); return true })
		})
	}
	if ctr.StartupProbe == nil && ctr.ReadinessProbe == nil {
		wg.Go(func() {
			runs, err := p.waitSettled(ctx, p.attempt.id)
			if err != nil {
				fail(err)
			} else if runs {
				tell(probeResult{kind: settled, verdict: probe.Verdict{OK: true, Known: true, Changed: true}})
			}
		})
	}
	wg.Wait()
}

func (p *prober) runProbe(ctx context.Context, kind probeKind, spec *corev1.Probe, report func(probeResult) bool) {
	h, err := p.handler(spec)
	if err != nil {
		report(probeResult{kind, probe.Verdict{Known: true, Changed: true, Last: probe.Result{Output: err.Error()}}, spec})
		return
	}
	s := schedule(spec)
	// Until it passes, a readiness probe runs more often than under a kubelet,
	// because every rollout waits for it. This does not apply to commands,
	// because starting processes so often costs too much.
	s.Eager = kind == readiness && spec.Exec == nil
	probe.Run(ctx, h, s, p.attempt.began, func(v probe.Verdict) bool {
		if !v.Last.OK {
			p.eventf(p.ctr.Name, "Unhealthy", "container %s: %s probe failed: %s", p.ctr.Name, kind, excerpt(v.Last.Output))
		}
		return report(probeResult{kind, v, spec})
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

// handler translates the action of a probe.
func (p *prober) handler(spec *corev1.Probe) (probe.Handler, error) {
	switch {
	case spec.Exec != nil:
		return probe.Exec{Command: spec.Exec.Command, Run: p.exec}, nil
	case spec.HTTPGet != nil:
		return httpTarget(p.ctr, spec.HTTPGet, p.ip)
	case spec.TCPSocket != nil:
		port, err := portNumber(p.ctr, spec.TCPSocket.Port)
		return probe.TCP{Host: cmp.Or(spec.TCPSocket.Host, p.ip), Port: port}, err
	case spec.GRPC != nil:
		return probe.GRPC{Host: p.ip, Port: int(spec.GRPC.Port), Service: ptr.Deref(spec.GRPC.Service, "")}, nil
	}
	return nil, fmt.Errorf("the probe has no handler")
}

// exec implements probe.Runner.
func (p *prober) exec(ctx context.Context, command []string, timeout time.Duration) ([]byte, int, error) {
	res, err := p.e.cri.Run(ctx, p.attempt.id, command, timeout)
	if cri.IsUnavailable(err) {
		err = fmt.Errorf("%w: %w", probe.ErrCannotAsk, err)
	}
	return append(res.Stdout, res.Stderr...), res.ExitCode, err
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

// portNumber resolves a port, which may be the name of a port of the container.
func portNumber(ctr *corev1.Container, port intstr.IntOrString) (int, error) {
	n := port.IntValue() // parses a string of digits too
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
