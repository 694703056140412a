package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/rollout"
)

// gateTime bounds how long the gates of one instance may take.
const gateTime = time.Minute

// minRequests is how many requests of the new generation there must be before
// their errors say anything.
const minRequests = 20

// A gate asks the application, not the process, whether a generation is good:
// a command in each of its ready instances, and a page of each.
type gate struct {
	name string
	mu   sync.Mutex
	done bool
	why  string
}

func (g *gate) result() rollout.GateResult {
	g.mu.Lock()
	defer g.mu.Unlock()
	return rollout.GateResult{Gate: g.name, Done: g.done, Reason: g.why}
}

// ask begins to ask a gate, unless that is under way. The lock is held.
func (k *keeper) ask(name string) {
	if name == "" {
		return
	}
	if k.gate != nil && k.gate.name == name && (!k.gate.result().Done || k.gate.result().Reason != "") {
		return
	}
	g := &gate{name: name}
	k.gate = g
	r, err := k.record()
	if err != nil {
		k.fleet.log(err)
		return
	}
	var asked []*instance
	for _, i := range k.sorted() {
		if i.Ready && !i.Ending && i.Generation == r.State.Target {
			asked = append(asked, i)
		}
	}
	k.wg.Go(func() {
		err := k.askAll(r.Policy, asked)
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.done = true; err != nil {
			g.why = err.Error()
		}
		k.poke()
	})
}

// askAll asks every instance, and fails with the first that does not pass.
func (k *keeper) askAll(p Policy, instances []*instance) error {
	for _, i := range instances {
		ctx, cancel := context.WithTimeout(k.ctx, gateTime)
		err := errors.Join(k.askCommand(ctx, p.Command, i), askHTTP(ctx, p.HTTP, i))
		cancel()
		if err != nil {
			return fmt.Errorf("instance %s: %w", i.ID, err)
		}
	}
	return nil
}

func (k *keeper) askCommand(ctx context.Context, command string, i *instance) error {
	if command == "" {
		return nil
	}
	pod, err := i.pod.Fresh(ctx)
	if err != nil {
		return err
	}
	res, err := pod.ExecSync(ctx, "", []string{"/bin/sh", "-c", command}, gateTime)
	if err != nil {
		return fmt.Errorf("command %q: %w", command, err)
	}
	if res.ExitCode != 0 {
		return fmt.Errorf("command %q: exit status %d: %s", command, res.ExitCode, firstLine(append(res.Stderr, res.Stdout...)))
	}
	return nil
}

func askHTTP(ctx context.Context, page string, i *instance) error {
	if page == "" {
		return nil
	}
	url, err := pageOf(page, i)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		Timeout:       gateTime,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode >= 400 {
		return fmt.Errorf("GET %s: %s", page, resp.Status)
	}
	return nil
}

// pageOf is the address of a page of an instance: at the port that is named, or
// at the first that it declares.
func pageOf(page string, i *instance) (string, error) {
	port, path := firstPort(i.template), page
	if rest, ok := strings.CutPrefix(page, ":"); ok {
		number, after, _ := strings.Cut(rest, "/")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > 65535 {
			return "", fmt.Errorf("%q: want a port from 1 to 65535", page)
		}
		port, path = n, "/"+after
	}
	if port == 0 {
		return "", fmt.Errorf("%q: the pod declares no port; write :PORT%s", page, page)
	}
	return "http://" + net.JoinHostPort(i.address(), strconv.Itoa(port)) + path, nil
}

func firstPort(spec *corev1.PodSpec) int {
	for _, c := range spec.Containers {
		for _, p := range c.Ports {
			return int(p.ContainerPort)
		}
	}
	return 0
}

// address is where an instance's ports are.
func (i *instance) address() string {
	if i.ip == "" || i.template.HostNetwork {
		return "127.0.0.1"
	}
	return i.ip
}

// firstLine is the beginning of what a command printed.
func firstLine(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line[:min(len(line), 200)]
}

// fault is what the traffic says against the generation that is rolled out.
// The lock is held.
func (k *keeper) fault() string {
	r, err := k.record()
	if err != nil || r.Policy.ErrorRate == 0 || r.State.Phase != rollout.Progressing {
		return ""
	}
	requests, failures := k.fleet.services.counted(group(k.key, r.State.Target))
	requests, failures = requests-k.requests, failures-k.failures
	if requests < minRequests || float64(failures) <= r.Policy.ErrorRate*float64(requests) {
		return ""
	}
	return fmt.Sprintf("%d of %d requests to it failed, more than %.3g%%", failures, requests, r.Policy.ErrorRate*100)
}

// record reads what is kept of the workload.
func (k *keeper) record() (record, error) {
	var r record
	err := k.fleet.store.view(func(t tx) (err error) {
		r, _, err = get[record](t, "workloads", k.key.String())
		return err
	})
	return r, err
}
