package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/adamant-sh/adamant/internal/workload/event"
)

// A hook is a receiver of events.
type hook struct {
	*httptest.Server
	mu   sync.Mutex
	got  []event.Event
	down bool
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		var list []event.Event
		if h.down || r.Header.Get("Authorization") != "Bearer s3cret" || json.NewDecoder(r.Body).Decode(&list) != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.got = append(h.got, list...)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) set(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
}

func (h *hook) events() []event.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

// metrics scrapes a port as Prometheus does. It returns the sums of ours, by name.
func (s *served) metrics(address string) map[string]float64 {
	s.t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	check(s.t, err)
	defer resp.Body.Close()
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(resp.Body)
	check(s.t, err)
	sums := map[string]float64{}
	for name, f := range families {
		for _, m := range f.Metric {
			sums[name] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sums
}

// fileEvents returns the events of a file.
func fileEvents(t *testing.T, path string) []event.Event {
	t.Helper()
	data, err := os.ReadFile(path)
	check(t, err)
	var list []event.Event
	for line := range strings.Lines(string(data)) {
		var e event.Event
		check(t, json.Unmarshal([]byte(line), &e))
		check(t, checkDocuments(line))
		list = append(list, e)
	}
	return list
}

// complete returns an error if a sink misses an event up to the last one, or has them in
// another order. It may have one twice.
func complete(list []event.Event) error {
	var last uint64
	for _, e := range list {
		if e.Sequence > last+1 {
			return fmt.Errorf("event %d follows %d", e.Sequence, last)
		}
		last = max(last, e.Sequence)
	}
	return nil
}

// TestOperators runs a daemon by a configuration file, with all that operators watch it by:
// metrics on a port, events in a file and to a webhook, and a group that may read. It kills
// the daemon while the webhook is down, rotates the file, reads the configuration again, and
// stops the daemon. Clients get an answer all the time, though a probe takes long.
func TestOperators(t *testing.T) {
	t.Parallel()
	l := ownLab(t, "")
	const group, reader = 23456, 12345
	h := newHook(t)
	port, metrics := freePort(t), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	token, file, config := filepath.Join(l.dir, "token"), filepath.Join(l.dir, "events.jsonl"), filepath.Join(l.dir, "serve.yaml")
	check(t, os.WriteFile(token, []byte("Bearer s3cret\n"), 0o600))
	configure := func(more string) {
		text := fmt.Sprintf("apiVersion: adamant.sh/v1\nkind: ServeConfig\nmetrics: %s\nevents:\n  file: %s\n  webhook: {url: %q, authorizationFile: %s}\n%s",
			metrics, file, h.URL, token, more)
		check(t, os.WriteFile(config, []byte(text), 0o644))
	}
	configure(fmt.Sprintf("readGroup: %q\n", fmt.Sprint(group)))
	check(t, l.adamant("serve", "--config", config, "--check-config"))
	s := serveWith(t, l, "--config", config)
	s.load("operate", "a", "")
	manifest := strings.Replace(webManifest("operate", 2, port), "httpGet: {path: /ready, port: http}, periodSeconds: 1", "httpGet: {path: '/slow?for=6s', port: http}, timeoutSeconds: 10", 1)
	s.apply(manifest)
	s.ended("web")

	// A daemon that is killed while the webhook is down.
	h.set(true)
	check(t, s.adamant("rollout", "pause", "web"))
	s.kill()
	s.start()
	h.set(false)
	for range 20 { // the first probe is under way, and its connections wait
		if _, err := httpGet(fmt.Sprintf("http://127.0.0.1:%d/", port)); err != nil {
			t.Errorf("after the daemon was killed: %v", err)
		}
	}
	s.until("the metrics port is open", func() bool { // later than the socket
		_, err := httpGet("http://" + metrics + "/metrics")
		return err == nil
	})
	if m := s.metrics(metrics); m["adamant_workload_instances_ready"] != 2 {
		t.Errorf("%v instances are ready while they are probed again", m["adamant_workload_instances_ready"])
	}
	check(t, os.Rename(file, file+".1"))
	check(t, s.adamant("rollout", "resume", "web"))
	resumed := func(list []event.Event) bool {
		return slices.ContainsFunc(list, func(e event.Event) bool { return e.Reason == "Resumed" })
	}
	s.until("the webhook has all events", func() bool { return resumed(h.events()) })
	check(t, complete(h.events()))
	s.until("the rotated file goes on", func() bool { _, err := os.Stat(file); return err == nil && resumed(fileEvents(t, file)) })
	all := append(fileEvents(t, file+".1"), fileEvents(t, file)...)
	check(t, complete(all))
	var reasons []string
	for _, e := range all {
		if len(reasons) == 0 || reasons[len(reasons)-1] != e.Reason {
			reasons = append(reasons, e.Reason)
		}
	}
	if want := []string{"Began", "Complete", "Paused", "Resumed"}; !slices.Equal(reasons, want) {
		t.Errorf("the file has %q, want %q", reasons, want)
	}

	// Metrics, also when the balancer is killed.
	s.until("requests are counted", func() bool { return s.metrics(metrics)["adamant_service_requests_total"] >= 20 })
	m := s.metrics(metrics)
	if m["adamant_workload_instances_wanted"] != 2 || m["process_resident_memory_bytes"] == 0 || m["adamant_service_errors_total"] != 0 || m["adamant_events_lost_total"] != 0 {
		t.Errorf("got %v", m)
	}

	// Who may read, and who may not.
	check(t, os.Chmod(s.dir, 0o711))
	check(t, os.Link(filepath.Join(s.bin, "adamant"), filepath.Join(s.dir, "adamant")))
	as := func(groups []uint32, args ...string) (string, int) {
		cmd := s.command(args...)
		cmd.Path = filepath.Join(s.dir, "adamant")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: reader, Gid: reader, Groups: groups}}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	for _, tt := range []struct {
		groups []uint32
		args   string
		code   int
		want   string
	}{
		{[]uint32{group}, "get", 0, "web"},
		{[]uint32{1, group, 2}, "status web", 0, "2 of 2 ready"},
		{[]uint32{group}, "rollout status web", 0, "Complete"},
		{[]uint32{group}, "rollout history web", 0, "Paused"},
		{[]uint32{group}, "events web", 0, "Resumed"},
		{[]uint32{group}, "drift", 0, "no changes"},
		{[]uint32{group}, "scale web --replicas 0", 1, "may read and not change anything"},
		{[]uint32{group}, "rollout undo web", 1, "may read and not change anything"},
		{[]uint32{group}, "delete web", 1, "may read and not change anything"},
		{[]uint32{group}, "serve --stop", 1, "may read and not change anything"},
		{[]uint32{group}, "apply -f " + config, 1, ""},
		{[]uint32{group}, "logs web", 1, "run it with sudo"},
		{nil, "get", 1, "permission denied"},
	} {
		if out, code := as(tt.groups, strings.Fields(tt.args)...); code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("%s as %v: exit code %d, want %d and %q: %s", tt.args, tt.groups, code, tt.code, tt.want, out)
		}
	}

	// The configuration is read again: an invalid one changes nothing.
	configure("readGrup: x\n")
	reload := func(log string) {
		t.Helper()
		check(t, s.cmd.Process.Signal(syscall.SIGHUP))
		s.until(log, func() bool { return strings.Contains(s.log.String(), log) })
	}
	reload("serve.yaml:7:1: readGrup: unknown field (did you mean readGroup?)")
	if out, code := as([]uint32{group}, "get"); code != 0 {
		t.Errorf("after an invalid configuration: %s", out)
	}
	configure("")
	reload("the configuration was read again")
	if out, code := as([]uint32{group}, "get"); code != 1 || !strings.Contains(out, "permission denied") {
		t.Errorf("without a group: exit code %d: %s", code, out)
	}

	// Stopped, the daemon leaves what it keeps.
	out, err := s.command("serve", "--stop").CombinedOutput()
	if want := "stopped; 2 instances and 1 port of a Service go on."; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("got %s, %v, want %q", out, err, want)
	}
	check(t, s.cmd.Wait())
	if _, err := httpGet(fmt.Sprintf("http://127.0.0.1:%d/", port)); err != nil {
		t.Error(err)
	}
	out, err = s.command("serve", "--stop").CombinedOutput()
	if _, failed := err.(*exec.ExitError); !failed || !strings.Contains(string(out), "no adamant serves here") {
		t.Errorf("stopped twice: %s, %v", out, err)
	}
	s.start()
	check(t, s.adamant("delete", "web", "svc/web"))
}
