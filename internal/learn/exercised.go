package learn

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/pod"
)

// notExercised is the weakness of a trial in which nothing showed that the workload
// does its work.
const notExercised = "it was not exercised: no startup, readiness or liveness probe passed, no declared port answered and no exercise ran; " +
	"give it load with --exercise or --exercise-http"

// portTime is how long a declared port may take to accept a connection once the
// load is over.
const portTime = time.Second

// witness records at the end of the load whether the workload was exercised, and
// whether it still waits for something. before is the state of its connections at
// the beginning of its quiet time.
func (o Options) witness(ctx context.Context, p *pod.Pod, w *watch, t *trial, before connections) {
	if reasons := waiting(p, before, connectionsOf(p)); len(reasons) > 0 {
		t.Weak = append(t.Weak, "it was still waiting for something when the trial ended: "+strings.Join(reasons, "; "))
	}
	passed := func(out Outcome) bool { return out.OK && out.piece.workload == o.subject.key() }
	t.exercised = slices.ContainsFunc(t.Outcomes, passed) || probed(p, w) || answers(ctx, p)
}

// probed reports whether a probe of a container has passed. The pod is ready.
func probed(p *pod.Pod, w *watch) bool {
	spec := p.Spec().Spec
	for i := range p.Containers {
		c := &p.Containers[i]
		s, ok := containerOf(spec, c.Name)
		if !ok || c.Init && !c.Sidecar {
			continue
		}
		if s.StartupProbe != nil || s.ReadinessProbe != nil {
			return true
		}
		// Only failures of a liveness probe are reported, so it counts once it must
		// have run.
		if live := s.LivenessProbe; live != nil && !w.probesFailed(c.Name) {
			first := time.Duration(live.InitialDelaySeconds+live.PeriodSeconds) * time.Second
			if c.State == pod.Started && time.Since(c.Started) > first {
				return true
			}
		}
	}
	return false
}

// answers reports whether a declared port of the pod accepts connections.
func answers(ctx context.Context, p *pod.Pod) bool {
	ctx, cancel := context.WithTimeout(ctx, portTime)
	defer cancel()
	var group errgroup.Group
	ports := declaredPorts(p.Spec().Spec, "")
	open := make([]bool, len(ports))
	for i, port := range ports {
		group.Go(func() error {
			open[i] = accepts(ctx, net.JoinHostPort(address(p), fmt.Sprint(port)))
			return nil
		})
	}
	group.Wait()
	return slices.Contains(open, true)
}

// connections is the state of the connections that a pod opens.
type connections struct {
	failed  uint64           // that were refused, since the pod exists
	pending []netip.AddrPort // that are not answered yet
}

// connectionsOf reads the state of a pod's network from the kernel. It is zero for
// a pod on the machine's network, where it would be that of all programs.
func connectionsOf(p *pod.Pod) connections {
	if p.Spec().Spec.HostNetwork {
		return connections{}
	}
	i := slices.IndexFunc(p.Containers, func(c pod.Container) bool { return c.PID != 0 })
	if i < 0 {
		return connections{}
	}
	dir := fmt.Sprintf("/proc/%d/net/", p.Containers[i].PID)
	out := connections{failed: failedConnects(readProc(dir + "snmp"))}
	for _, table := range []string{"tcp", "tcp6"} {
		out.pending = append(out.pending, pendingConnects(readProc(dir+table))...)
	}
	return out
}

// maxProc bounds how much of a file in /proc is read, in bytes.
const maxProc = 1 << 20

// readProc reads the beginning of a file. It returns nothing if the process has
// ended.
func readProc(name string) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, maxProc))
	return data
}

// failedConnects returns the counter AttemptFails of /proc/net/snmp (RFC 4022): the
// connections that were refused or given up.
func failedConnects(snmp []byte) uint64 {
	var names []string
	for line := range strings.Lines(string(snmp)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || fields[0] != "Tcp:":
		case names == nil:
			names = fields
		default:
			if i := slices.Index(names, "AttemptFails"); i >= 0 && i < len(fields) {
				n, _ := strconv.ParseUint(fields[i], 10, 64)
				return n
			}
		}
	}
	return 0
}

// synSent is the state of a connection that is not answered yet, as in
// include/net/tcp_states.h.
const synSent = "02"

// pendingConnects returns the other ends of the connections in /proc/net/tcp that
// are not answered yet.
func pendingConnects(table []byte) []netip.AddrPort {
	var out []netip.AddrPort
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		// "sl local_address rem_address st …"
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != synSent {
			continue
		}
		if at, ok := parseEnd(fields[2]); ok && !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	return out
}

// parseEnd parses an address of /proc/net/tcp: "0100007F:1538". Its bytes are in the
// order of the machine, in groups of four.
func parseEnd(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for group := range slices.Chunk(raw, 4) { // both supported architectures are little endian
		slices.Reverse(group)
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok
}

// waits matches the last line of a program that waits for something that it needs.
// A server that waits for work is none.
var (
	waits = regexp.MustCompile(`(?i)\bwaiting (for|on|until)\b|\bretry(ing)?\b|connection refused|(could not|couldn't|cannot|can't|unable to|failed to) connect|` +
		`no such host|name or service not known|temporary failure in name resolution|\b(ECONNREFUSED|ENOTFOUND|EAI_AGAIN)\b`)
	waitsForWork = regexp.MustCompile(`(?i)waiting (for|on) (new |incoming |client |more )*(connection|request|job|work|message|event|client|task|command|input|signal)`)
)

// waiting returns why a pod seems to wait for something that it needs: connections
// that are pending, or were refused in its quiet time, and the last lines of its
// logs.
func waiting(p *pod.Pod, before, after connections) []string {
	var out []string
	for _, at := range after.pending {
		out = append(out, fmt.Sprintf("a connection to %s is not answered", at))
	}
	if n := after.failed - min(before.failed, after.failed); n > 0 {
		out = append(out, fmt.Sprintf("connections that it opened were refused (%d after the load)", n))
	}
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.State != pod.Started {
			continue
		}
		if lines := p.LastLines(c.Name, 1); len(lines) == 1 && isWaiting(lines[0]) {
			out = append(out, fmt.Sprintf("container %s: %s", c.Name, shortened(lines[0])))
		}
	}
	return out
}

func isWaiting(line string) bool { return waits.MatchString(line) && !waitsForWork.MatchString(line) }

// maxLine bounds a quoted line of a log, in bytes.
const maxLine = 200

func shortened(line string) string {
	return strings.ToValidUTF8(strings.TrimSpace(line[:min(len(line), maxLine)]), "")
}
