package learn

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/engine"
	"github.com/adamant-sh/adamant/internal/engine/cri"
	"github.com/adamant-sh/adamant/internal/observe"
)

const (
	commandTime = 2 * time.Minute // for one exercise command
	maxOutput   = 2 << 10         // bytes kept of a command's output
)

// load puts a ready pod under load, until the time is over and it has written
// nothing new for a while. A pod that runs to its end needs no load.
func (o Options) load(ctx context.Context, pod *engine.Pod, traceDir string) ([]Outcome, error) {
	if err := pod.Refresh(ctx); err != nil {
		return nil, err
	}
	if pod.Phase != engine.Running {
		return nil, nil
	}
	targets, err := o.targets(ctx, pod)
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(o.Load.For)
	for {
		outcomes, err := o.round(ctx, pod, targets)
		if err != nil {
			return outcomes, err
		}
		if !time.Now().Before(end) || failed(outcomes) {
			return outcomes, o.settle(ctx, pod, traceDir)
		}
	}
}

func failed(outcomes []Outcome) bool {
	for _, o := range outcomes {
		if !o.OK {
			return true
		}
	}
	return false
}

// round is the whole load once.
func (o Options) round(ctx context.Context, pod *engine.Pod, targets []string) ([]Outcome, error) {
	var outcomes []Outcome
	c := client()
	defer c.CloseIdleConnections()
	for _, t := range targets {
		for _, r := range requests(t) {
			outcomes = append(outcomes, r.run(ctx, c))
		}
	}
	for _, command := range o.Load.Commands {
		outcome, err := o.command(ctx, pod, command)
		if err != nil {
			return outcomes, err
		}
		outcomes = append(outcomes, outcome)
	}
	return outcomes, ctx.Err()
}

// command runs one exercise in the pod's first container.
func (o Options) command(ctx context.Context, pod *engine.Pod, command string) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	var output bytes.Buffer
	code, err := pod.Exec(ctx, "", argv(command), cri.Streams{Stdout: &output, Stderr: &output})
	if err != nil {
		return Outcome{Load: command, Result: err.Error()}, nil
	}
	text := output.String()
	if len(text) > maxOutput {
		text = text[len(text)-maxOutput:]
	}
	outcome := Outcome{Load: command, Result: fmt.Sprintf("exit %d", code), OK: code == 0}
	if !outcome.OK {
		outcome.Output = text
	}
	return outcome, nil
}

// argv is a command for exec: split at spaces if that is all there is to it,
// else given to the container's shell.
func argv(command string) []string {
	if strings.ContainsAny(command, "'\"\\$`|&;<>()*?[]#~=%{}!\n") {
		return []string{"/bin/sh", "-c", command}
	}
	return strings.Fields(command)
}

// targets are the URLs to ask: those of the load or, where none are given, the
// root page of each declared port that answers HTTP.
func (o Options) targets(ctx context.Context, pod *engine.Pod) ([]string, error) {
	ip := pod.IP
	if ip == "" {
		ip = "127.0.0.1"
	}
	var out []string
	for _, arg := range o.Load.HTTP {
		t, err := target(arg, ip)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	if len(out) > 0 || len(o.Load.Commands) > 0 {
		return out, nil
	}
	for _, port := range declaredPorts(pod.Spec().Spec) {
		if speaksHTTP(ctx, ip, port) {
			o.say("  port %d answers HTTP: it is asked for /", port)
			out = append(out, fmt.Sprintf("http://%s:%d/", ip, port))
		}
	}
	return out, nil
}

func declaredPorts(spec corev1.PodSpec) []int32 {
	var out []int32
	eachContainer(&spec, func(c *corev1.Container) {
		for _, p := range c.Ports {
			if p.Protocol == corev1.ProtocolTCP || p.Protocol == "" {
				out = append(out, p.ContainerPort)
			}
		}
	})
	return out
}

// settle waits until the pod has written nothing new for a while, or ended.
func (o Options) settle(ctx context.Context, pod *engine.Pod, traceDir string) error {
	quiet, began := orElse(o.Load.Quiet, defaultQuiet), time.Now()
	known, since := -1, time.Now()
	for time.Since(began) < maxWait {
		if err := pause(ctx, pollTraces); err != nil {
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

func distinct(traces []observe.Trace) int {
	n := 0
	for _, t := range traces {
		n += len(t.Accesses)
	}
	return n
}
