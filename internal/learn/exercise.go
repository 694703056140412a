package learn

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/learn/observe"
	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/pod"
)

const (
	portPatience = 15 * time.Second // for a declared port that is not in the load
	completion   = 10 * time.Minute // for a pod that is meant to end
)

// load puts a ready pod under load until the time is over and the pod has
// written nothing new for a while. If the pod is meant to end, load waits for
// its end instead.
func (o Options) load(ctx context.Context, p *pod.Pod, traceDir string, t *trial) error {
	if err := p.Refresh(ctx); err != nil || p.Phase != pod.Running {
		return err
	}
	watch := o.watch(ctx, p)
	err := o.loadWatched(watch.ctx, p, traceDir, watch, t)
	cut := watch.ctx.Err() != nil // before end, which cancels it in any case
	ended := watch.end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ended != nil {
		t.Healthy, t.Failure = false, ended.Error()
		if err := p.Refresh(ctx); err != nil {
			return err
		}
		if why := stayedUp(p); why != nil {
			t.Failure += ": " + why.Error()
		}
	}
	// The load failed because the watch ended it, and the reason is in t.
	if cut {
		return nil
	}
	return err
}

func (o Options) loadWatched(ctx context.Context, p *pod.Pod, traceDir string, watch *watch, t *trial) error {
	var err error
	if t.asked, err = o.targets(ctx, p); err != nil {
		return err
	}
	end := time.Now().Add(o.Load.For)
	for {
		t.Outcomes = o.round(ctx, p, t.asked)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !time.Now().Before(end) || failed(t.Outcomes) {
			break
		}
	}
	if o.meantToEnd(p.Spec().Spec) && !failed(t.Outcomes) {
		limit := orElse(o.Load.For, completion)
		o.say("  it is meant to end: waiting for that, %s at most", limit)
		if watch.wait(limit) {
			return nil
		}
		t.Weak = append(t.Weak, fmt.Sprintf("it had not ended after %s: what it writes later is not known", limit))
	}
	return o.settle(ctx, p, traceDir)
}

// meantToEnd reports whether a pod does its work and ends: it is not restarted,
// and none of its containers serves requests.
func (o Options) meantToEnd(spec corev1.PodSpec) bool {
	if spec.RestartPolicy == corev1.RestartPolicyAlways || len(o.Load.HTTP)+len(o.Load.Commands) > 0 {
		return false
	}
	return !slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return c.ReadinessProbe != nil || len(c.Ports) > 0 })
}

func failed(outcomes []Outcome) bool {
	return slices.ContainsFunc(outcomes, func(o Outcome) bool { return !o.OK && !o.Free })
}

// round runs all of the load once.
func (o Options) round(ctx context.Context, p *pod.Pod, targets []string) []Outcome {
	isFound := o.Load.found || len(o.Load.HTTP) == 0
	var outcomes []Outcome
	c := client(address(p))
	defer c.CloseIdleConnections()
	for _, t := range targets {
		for _, r := range requests(t) {
			outcome := r.run(ctx, c)
			outcome.Free = outcome.Free || isFound
			outcomes = append(outcomes, outcome)
		}
	}
	for _, line := range o.Load.Commands {
		outcomes = append(outcomes, command(ctx, p, line))
	}
	return outcomes
}

// address returns the host of a pod's ports: the loopback address if the pod is
// on the machine's network.
func address(p *pod.Pod) string {
	if p.IP == "" || p.Spec().Spec.HostNetwork {
		return "127.0.0.1"
	}
	return p.IP
}

// targets returns the URLs to request, each once a server listens there: those
// of the load or, if there are none, the root page of each declared port that
// answers HTTP.
func (o Options) targets(ctx context.Context, p *pod.Pod) ([]string, error) {
	ip := address(p)
	var out []string
	ports := declaredPorts(p.Spec().Spec)
	for _, arg := range o.Load.HTTP {
		t, err := target(atPort(arg, ports), ip)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	// A pod without a probe is ready before its server listens.
	patience, cancel := context.WithTimeout(ctx, orElse(o.Ready, defaultReady))
	defer cancel()
	for _, t := range out {
		accepts(patience, net.JoinHostPort(ip, portOf(t)))
	}
	if len(out) > 0 || len(o.Load.Commands) > 0 {
		return out, ctx.Err()
	}
	return o.findHTTP(ctx, ip, ports)
}

// atPort prepends the pod's port to an argument that is only a path, if the pod
// declares exactly one port.
func atPort(arg string, declared []int32) string {
	if strings.HasPrefix(arg, "/") && len(declared) == 1 {
		return fmt.Sprintf(":%d%s", declared[0], arg)
	}
	return arg
}

// findHTTP returns the root pages of the ports that answer HTTP.
func (o Options) findHTTP(ctx context.Context, ip string, ports []int32) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, portPatience)
	defer cancel()
	found := make([]string, len(ports))
	var group errgroup.Group
	for i, port := range ports {
		group.Go(func() error {
			if accepts(ctx, net.JoinHostPort(ip, fmt.Sprint(port))) {
				found[i] = httpAt(ctx, ip, port)
			}
			return nil
		})
	}
	group.Wait()
	var out []string
	for i, url := range found {
		if url == "" {
			continue
		}
		o.say("  port %d answers HTTP: it is asked for /", ports[i])
		out = append(out, url)
	}
	return out, nil
}

// asIn returns the options for another run of the workload, which makes the
// same requests as the first run, detected ones included.
func (o Options) asIn(first trial) Options {
	if len(o.Load.HTTP) > 0 || len(first.asked) == 0 {
		return o
	}
	o.Load.found = true
	for _, arg := range first.asked {
		if rest, isPlain := strings.CutPrefix(arg, "http://"); isPlain {
			arg = rest[strings.LastIndex(rest, ":"):] // the next pod has its own address
		}
		o.Load.HTTP = append(o.Load.HTTP, arg)
	}
	return o
}

func declaredPorts(spec corev1.PodSpec) []int32 {
	var out []int32
	eachContainer(&spec, func(c *corev1.Container) {
		for _, p := range c.Ports {
			if (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") && !slices.Contains(out, p.ContainerPort) {
				out = append(out, p.ContainerPort)
			}
		}
	})
	return out
}

// settle waits until the pod has written nothing new for a while, or has ended.
func (o Options) settle(ctx context.Context, p *pod.Pod, traceDir string) error {
	quiet, began := orElse(o.Load.Quiet, defaultQuiet), time.Now()
	known, since := -1, time.Now()
	for time.Since(began) < maxWait {
		if err := clock.Sleep(ctx, min(pollTraces, quiet)); err != nil {
			return err
		}
		traces, err := observe.Load(traceDir)
		if err != nil {
			return fmt.Errorf("read traces: %w", err)
		}
		if n := distinct(traces); n != known {
			known, since = n, time.Now()
		}
		if time.Since(since) >= quiet {
			return nil
		}
	}
	o.say("  it still writes new files after %s; going on with what was seen", maxWait)
	return nil
}

// distinct counts the different writes in all traces. A probe that repeats its
// writes adds nothing new.
func distinct(traces []trace.Trace) int {
	seen := map[string]struct{}{}
	for _, t := range traces {
		for _, a := range t.Accesses {
			seen[strings.Join([]string{t.Container, string(a.Op), a.Path, a.Exe, a.Errno}, "\x00")] = struct{}{}
		}
	}
	return len(seen)
}
