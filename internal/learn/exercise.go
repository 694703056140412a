package learn

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/learn/observe"
	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/text"
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
	if err == nil {
		err = o.restart(ctx, p, watch, t)
	}
	cut := watch.ctx.Err() != nil // before end, which cancels it in any case
	ended := watch.end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ended != nil && !t.lost() {
		if err := p.Refresh(ctx); err != nil {
			return err
		}
		failure := ended.Error()
		if why := t.stayedUp(p); why != nil {
			failure += ": " + why.Error()
		}
		t.fell(ctx, p, failure)
	}
	// The load failed because the watch ended it, and the reason is in t.
	if cut {
		return nil
	}
	return err
}

func (o Options) loadWatched(ctx context.Context, p *pod.Pod, traceDir string, watch *watch, t *trial) error {
	t.Weak = append(t.Weak, t.beside.begin(ctx, time.Now().Add(orElse(o.Ready, defaultReady)))...)
	members := append([]member{{o.subject, p}}, t.beside.members()...)
	began := time.Now()
	until := began.Add(orElse(o.patience, orElse(o.Ready, defaultReady)))
	var err error
	if t.pieces, t.listening, err = o.prepare(ctx, members, until); err != nil {
		return err
	}
	for end := began.Add(o.Load.For); ; {
		outcomes := o.round(ctx, members, t.pieces, until)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if t.Outcomes == nil {
			t.answered = time.Since(began)
		}
		t.add(outcomes)
		if !time.Now().Before(end) || failed(t.Outcomes) {
			break
		}
		until = time.Time{} // everything was up once
	}
	if o.patience == 0 && o.Load.For == 0 && !failed(t.Outcomes) {
		o.printAgain(ctx, members, t)
	}
	if o.meantToEnd(p.Spec().Spec) && !failed(t.Outcomes) {
		if err := o.restartAtWork(watch.parent, p, watch, t); err != nil || t.lost() {
			return err
		}
		limit := orElse(o.Load.For, completion)
		o.say("  it is meant to end: waiting for that, %s at most", limit)
		if watch.wait(limit) {
			return nil
		}
		t.Weak = append(t.Weak, fmt.Sprintf("it had not ended after %s: what it writes later is not known", limit))
	}
	before := connectionsOf(p)
	err = o.settle(ctx, traceDir, t)
	o.witness(ctx, p, watch, t, before)
	return err
}

// add adds the outcomes of a round. The results are those of the last round.
func (t *trial) add(outcomes []Outcome) {
	for i := range t.Outcomes {
		outcomes[i].add(t.Outcomes[i])
	}
	t.Outcomes = outcomes
}

// printAgain runs each quick command once more, to find out what it prints
// differently each time, see otherOutput. The result does not count, because a
// command may work only once.
func (o Options) printAgain(ctx context.Context, members []member, t *trial) {
	for i := range t.Outcomes {
		first := &t.Outcomes[i]
		if first.piece.command != "" && first.took <= quickCommand {
			again := command(ctx, find(members, first.piece.workload).Pod, first.piece)
			first.prints = append(first.prints, again.prints...)
		}
	}
}

// meantToEnd reports whether a pod does its work and ends: it is not restarted,
// gets no load, and none of its containers serves requests.
func (o Options) meantToEnd(spec corev1.PodSpec) bool {
	isLoaded := func(l piece) bool { return l.workload == o.subject.key() }
	if spec.RestartPolicy == corev1.RestartPolicyAlways || slices.ContainsFunc(o.pieces, isLoaded) {
		return false
	}
	return !slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return c.ReadinessProbe != nil || len(c.Ports) > 0 })
}

func failed(outcomes []Outcome) bool {
	return slices.ContainsFunc(outcomes, func(o Outcome) bool { return !o.OK && !o.Free })
}

// A member is a running pod of a trial.
type member struct {
	workload Workload
	*pod.Pod
}

// find returns the pod of a workload.
func find(members []member, key string) member {
	i := slices.IndexFunc(members, func(m member) bool { return m.workload.key() == key })
	return members[max(i, 0)]
}

// isMember reports whether the pod of a workload runs.
func isMember(members []member, key string) bool {
	return slices.ContainsFunc(members, func(m member) bool { return m.workload.key() == key })
}

// loadOf returns the load that is meant for the pods that run. The rest is for the
// trials of other workloads.
func loadOf(members []member, all []piece) []piece {
	return slices.DeleteFunc(slices.Clone(all), func(l piece) bool { return !isMember(members, l.workload) })
}

// round runs all of the load once. What fails is tried again until then.
func (o Options) round(ctx context.Context, members []member, pieces []piece, until time.Time) []Outcome {
	outcomes := []Outcome{}
	for _, l := range pieces {
		if !isMember(members, l.workload) { // it ran in the first run
			gone := Outcome{Load: l.label, Result: "its pod does not run", final: true, piece: l}
			outcomes = append(outcomes, gone)
			if l.http != "" {
				outcomes = append(outcomes, gone, gone) // as many as there are requests
			}
			continue
		}
		m := find(members, l.workload)
		c := client(address(m.Pod))
		for _, run := range o.runs(m.Pod, c, l) {
			out := o.patiently(ctx, until, run)
			if out.piece = l; len(members) > 1 && l.http != "" {
				out.Load = m.workload.Name() + " " + out.Load
			}
			outcomes = append(outcomes, out)
		}
		c.CloseIdleConnections()
	}
	return outcomes
}

// runs returns what a piece of load consists of.
func (o Options) runs(p *pod.Pod, c *http.Client, l piece) []func(context.Context) Outcome {
	switch {
	case l.command != "":
		return []func(context.Context) Outcome{func(ctx context.Context) Outcome { return command(ctx, p, l) }}
	case l.replay != nil:
		return []func(context.Context) Outcome{func(ctx context.Context) Outcome {
			return l.replay.replay(ctx, c, l.label, httpBases(ctx, address(p), declaredPorts(p.Spec().Spec, l.container)))
		}}
	}
	url, err := l.url(p)
	if err != nil {
		return []func(context.Context) Outcome{func(context.Context) Outcome { return Outcome{Load: l.http, Result: err.Error(), final: true} }}
	}
	var runs []func(context.Context) Outcome
	for _, r := range requests(url) {
		runs = append(runs, func(ctx context.Context) Outcome {
			out := r.run(ctx, c)
			out.Free = out.Free || l.found
			return out
		})
	}
	return runs
}

// url returns the URL of HTTP load.
func (l piece) url(p *pod.Pod) (string, error) {
	return target(atPort(l.http, declaredPorts(p.Spec().Spec, l.container)), address(p))
}

const (
	firstRetry   = 500 * time.Millisecond
	lastRetry    = 2 * time.Second
	quickCommand = 10 * time.Second // a command that takes longer runs once a trial
)

// patiently repeats a piece of load until it passes: a server may not listen yet.
func (o Options) patiently(ctx context.Context, until time.Time, run func(context.Context) Outcome) Outcome {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		out := run(ctx)
		left := time.Until(until)
		if out.OK || out.Free || out.final || left <= 0 || ctx.Err() != nil {
			return out
		}
		if wait == firstRetry {
			o.say("  %s: %s; trying again, for %s at most", out.Load, text.FirstLine(out.Result), left.Round(time.Second))
		}
		if clock.Sleep(ctx, min(wait, left)) != nil {
			return out
		}
	}
}

// address returns the host of a pod's ports: the loopback address if the pod is
// on the machine's network.
func address(p *pod.Pod) string {
	if p.IP == "" || p.Spec().Spec.HostNetwork {
		return "127.0.0.1"
	}
	return p.IP
}

// prepare waits until the pods with load listen at the ports that they declare and
// that are requested. It returns the load and the ports that are open. Without any
// load, it is the root page of each declared port that answers HTTP.
func (o Options) prepare(ctx context.Context, members []member, until time.Time) (pieces []piece, listening []openPort, err error) {
	given := o.pieces
	if o.listening == nil { // other runs have the load of the first
		given = loadOf(members, given)
	}
	pieces = given
	for _, m := range members {
		hasLoad := len(given) == 0
		for _, l := range given {
			if find(members, l.workload).Pod != m.Pod {
				continue
			}
			hasLoad = true
			if l.http == "" {
				continue
			}
			url, err := l.url(m.Pod)
			if err != nil {
				return nil, nil, err
			}
			patience, cancel := context.WithDeadline(ctx, until)
			accepts(patience, net.JoinHostPort(address(m.Pod), portOf(url)))
			cancel()
		}
		if !hasLoad {
			continue
		}
		open := o.waitPorts(ctx, m, until)
		listening = append(listening, open...)
		if len(given) == 0 {
			pieces = append(pieces, o.findHTTP(ctx, m, open)...)
		}
	}
	return pieces, listening, ctx.Err()
}

// An openPort is a port of a workload at which a server listens.
type openPort struct {
	workload string
	port     int32
}

// waitPorts waits until a pod listens at its declared ports, and returns those at
// which it does. A port that was not open in the writable run is not waited for.
func (o Options) waitPorts(ctx context.Context, m member, until time.Time) []openPort {
	if soon := time.Now().Add(portPatience); until.After(soon) {
		until = soon
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	ports := declaredPorts(m.Spec().Spec, "")
	if o.listening != nil {
		ports = slices.DeleteFunc(ports, func(port int32) bool { return !slices.Contains(o.listening, openPort{m.workload.key(), port}) })
	}
	var group errgroup.Group
	group.SetLimit(maxPorts)
	accepted := make([]bool, len(ports))
	for i, port := range ports {
		group.Go(func() error {
			accepted[i] = accepts(ctx, net.JoinHostPort(address(m.Pod), fmt.Sprint(port)))
			return nil
		})
	}
	group.Wait()
	var open []openPort
	for i, port := range ports {
		if accepted[i] {
			open = append(open, openPort{m.workload.key(), port})
		}
	}
	return open
}

// findHTTP returns load for the root pages of the ports that answer HTTP.
func (o Options) findHTTP(ctx context.Context, m member, open []openPort) []piece {
	var ports []int32
	for _, p := range open {
		ports = append(ports, p.port)
	}
	var pieces []piece
	for _, url := range httpBases(ctx, address(m.Pod), ports) {
		o.say("  port %s answers HTTP: it is asked for /", portOf(url))
		pieces = append(pieces, piece{workload: m.workload.key(), http: elsewhere(url), found: true})
	}
	return pieces
}

// elsewhere returns the URL of a detected page as load for another instance of the
// pod, which has its own address.
func elsewhere(url string) string {
	if rest, isPlain := strings.CutPrefix(url, "http://"); isPlain {
		return rest[strings.LastIndex(rest, ":"):]
	}
	return url
}

// maxPorts is the number of ports of a pod that are tried at the same time.
const maxPorts = 64

// httpBases returns the URLs of the root pages of the ports that answer HTTP.
func httpBases(ctx context.Context, ip string, ports []int32) []string {
	found := make([]string, len(ports))
	var group errgroup.Group
	group.SetLimit(maxPorts)
	for i, port := range ports {
		group.Go(func() error {
			found[i] = httpAt(ctx, ip, port)
			return nil
		})
	}
	group.Wait()
	return slices.DeleteFunc(found, func(url string) bool { return url == "" })
}

// atPort prepends the pod's port to an argument that is only a path, if the pod
// declares exactly one port.
func atPort(arg string, declared []int32) string {
	if strings.HasPrefix(arg, "/") && len(declared) == 1 {
		return fmt.Sprintf(":%d%s", declared[0], arg)
	}
	return arg
}

// asIn returns the options for another run of the workload with the same load as
// the first run, detected ports included. What was answered after some time there
// may take longer, but not for as long as a pod may take to get ready.
func (o Options) asIn(first trial) Options {
	o.pieces, o.listening = first.pieces, first.listening
	if o.listening == nil {
		o.listening = []openPort{}
	}
	o.patience = min(orElse(o.Ready, defaultReady), 2*first.answered+morePatience)
	return o
}

// morePatience is what a sealed run may take longer until its load is answered.
const morePatience = 10 * time.Second

// declaredPorts returns the TCP ports of a container, or of all containers.
func declaredPorts(spec corev1.PodSpec, container string) []int32 {
	var out []int32
	eachContainer(&spec, func(c *corev1.Container) {
		if container != "" && c.Name != container {
			return
		}
		for _, p := range c.Ports {
			if (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") && !slices.Contains(out, p.ContainerPort) {
				out = append(out, p.ContainerPort)
			}
		}
	})
	return out
}

// quiet returns how long nothing must happen after the load.
func (o Options) quiet() time.Duration { return orElse(o.Load.Quiet, defaultQuiet) }

// settle waits until the pod has written nothing new for a while.
func (o Options) settle(ctx context.Context, traceDir string, t *trial) error {
	quiet, began := o.quiet(), time.Now()
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
	t.Weak = append(t.Weak, fmt.Sprintf("it still wrote new files %s after its load, and was not watched for longer: --for does that", maxWait))
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
