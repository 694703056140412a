// Package gate checks a new generation by asking the application: it runs a command
// in each ready instance, requests a page from it, and evaluates a query of a
// Prometheus, as often as the policy says. A ready process may still be wrong.
//
// internal/workload/rollout decides when a gate is asked; drivers implement how
// an instance is reached.
package gate

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// Timeout bounds the checks of one instance.
const Timeout = time.Minute

// An Instance is one that gates can reach.
type Instance interface {
	// Run runs a command in the first container and returns its exit status and
	// output.
	Run(ctx context.Context, command []string) (exit int, output []byte, err error)
	// Fetch requests a page, follows no redirect and returns the status.
	Fetch(ctx context.Context, port int, page string) (status int, err error)
}

// A Candidate is an instance to check.
type Candidate struct {
	ID string
	Instance
	Spec *corev1.PodSpec
}

// A Gate is asked once and keeps the result. A nil Gate was never asked. It is
// safe for concurrent use.
type Gate struct {
	name string

	mu     sync.Mutex
	done   bool
	result result
	again  time.Time // when a gate without a result can be asked again
}

// A result is that of one measurement, or of all. Without a reason it passed.
type result struct {
	failed    string // why it failed
	undecided string // why it neither passed nor failed
}

// New returns a gate with a name, which is that of rollout.Decision.Gate.
func New(name string) *Gate { return &Gate{name: name} }

// IsAsked reports whether the gate has this name and asking now is useless: it is being
// asked, has failed, or had no result a moment ago.
func (g *Gate) IsAsked(name string) bool {
	if g == nil || g.name != name {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.done || g.result.failed != "" || time.Now().Before(g.again)
}

// Result returns the result so far.
func (g *Gate) Result() rollout.GateResult {
	if g == nil {
		return rollout.GateResult{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return rollout.GateResult{Gate: g.name, Done: g.done, Reason: g.result.failed, Inconclusive: g.result.undecided}
}

// askAgain is how long after a gate without a result the next one is asked.
const askAgain = 10 * time.Second

// Ask measures as often as the gates say, until more measurements failed than may. Each
// measurement checks the candidates of that moment, one after the other, up to the first
// that fails; one that cannot be reached fails. If ctx ends first there is no result.
func (g *Gate) Ask(ctx context.Context, q rollout.Gates, candidates func() []Candidate) {
	clock.Sleep(ctx, q.WarmUp)
	var last result
	failures := 0
	for n := range max(q.Count, 1) {
		if n > 0 {
			clock.Sleep(ctx, q.Interval)
		}
		if ctx.Err() != nil {
			return
		}
		m := measure(ctx, q, candidates())
		if m.failed != "" {
			if failures++; failures > q.Failures {
				last = result{failed: m.failed}
				if q.Count > 1 {
					last.failed = fmt.Sprintf("%d of %d measurements failed, %d may: %s", failures, n+1, q.Failures, m.failed)
				}
				break
			}
		}
		if m.undecided != "" {
			last.undecided = m.undecided
		}
	}
	if ctx.Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done, g.result, g.again = true, last, time.Time{}
	if last.undecided != "" {
		g.again = time.Now().Add(askAgain)
	}
}

// measure makes one measurement.
func measure(ctx context.Context, q rollout.Gates, candidates []Candidate) result {
	asks := q.Command != "" || q.HTTP != ""
	if asks && len(candidates) == 0 {
		return result{undecided: "no instance is ready to be asked"}
	}
	for _, c := range candidates {
		if err := ask(ctx, q, c); err != nil {
			return result{failed: fmt.Sprintf("instance %s: %v", c.ID, err)}
		}
	}
	if q.Query == "" {
		return result{}
	}
	return query(ctx, q.Server, q.Query)
}

func ask(ctx context.Context, q rollout.Gates, c Candidate) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if q.Command != "" {
		if err := askCommand(ctx, q.Command, c); err != nil {
			return fmt.Errorf("command %q: %w", q.Command, err)
		}
	}
	if q.HTTP == "" {
		return nil
	}
	port, page, err := splitPage(q.HTTP, c.Spec)
	if err != nil {
		return err
	}
	status, err := c.Fetch(ctx, port, page)
	if err == nil && status >= 400 {
		err = fmt.Errorf("status %d %s", status, http.StatusText(status))
	}
	if err != nil {
		return fmt.Errorf("GET %s: %w", q.HTTP, err)
	}
	return nil
}

func askCommand(ctx context.Context, command string, c Candidate) error {
	exit, output, err := c.Run(ctx, []string{"/bin/sh", "-c", command})
	if err == nil && exit != 0 {
		err = fmt.Errorf("exit status %d: %s", exit, firstLine(output))
	}
	return err
}

// splitPage splits ":8080/path" into port and path. The default is the first port
// that the pod declares.
func splitPage(page string, spec *corev1.PodSpec) (port int, path string, err error) {
	rest, named := strings.CutPrefix(page, ":")
	if !named {
		if port = firstPort(spec); port == 0 {
			return 0, "", fmt.Errorf("%q: the pod declares no port; write :PORT%s", page, page)
		}
		return port, page, nil
	}
	number, path, _ := strings.Cut(rest, "/")
	port, err = strconv.Atoi(number)
	if err != nil || port < 1 || port > 65535 {
		return 0, "", fmt.Errorf("%q: want a port from 1 to 65535", page)
	}
	return port, "/" + path, nil
}

func firstPort(spec *corev1.PodSpec) int {
	for _, c := range spec.Containers {
		for _, p := range c.Ports {
			return int(p.ContainerPort)
		}
	}
	return 0
}

// firstLine returns the beginning of a command's output.
func firstLine(out []byte) string {
	line := text.FirstLine(strings.TrimSpace(string(out)))
	return strings.ToValidUTF8(line[:min(len(line), 200)], "\uFFFD")
}
