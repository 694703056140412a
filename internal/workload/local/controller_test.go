package local

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/web"
)

// freePort returns a loopback port that no program listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return strings.TrimSpace(string(body))
}

func TestAWorkloadIsKeptAndReplaced(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "kept:1", "one", "")
	loadVersion(t, e, "kept2:1", "two", "")
	c := openController(t, e)
	port := freePort(t)
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + "/"

	out := apply(t, c, deployment("kept", "kept:1", 2, nil, "")+serviceOf("kept", port))
	if len(out.Results) != 2 || out.Results[1].Action != Created {
		t.Fatalf("got %+v", out)
	}
	s := ended(t, c, "kept", rollout.Complete)
	if s.Ready != 2 || s.Generation != 1 {
		t.Errorf("got %+v", s)
	}
	if got := fetch(t, url); got != "one" {
		t.Errorf("served %q", got)
	}
	if out := apply(t, c, deployment("kept", "kept:1", 2, nil, "")+serviceOf("kept", port)); out.Results[1].Action != Unchanged {
		t.Errorf("the same again: got %+v", out)
	}
	apply(t, c, deployment("kept", "kept2:1", 2, nil, "")+serviceOf("kept", port))
	if s = ended(t, c, "kept", rollout.Complete); s.Generation != 2 || s.Ready != 2 {
		t.Errorf("got %+v", s)
	}
	if got := fetch(t, url); got != "two" {
		t.Errorf("served %q", got)
	}
	must(t, c.Scale(s.Key, 3, Author{}))
	until(t, "there are three", func() bool {
		s, err := c.Status(s.Key)
		must(t, err)
		return s.Ready == 3
	})
	must(t, c.Scale(s.Key, 1, Author{}))
	until(t, "there is one", func() bool {
		s, err := c.Status(s.Key)
		must(t, err)
		return len(s.Instances) == 1
	})
}

func TestTheSameTagWithOtherContentIsAnotherGeneration(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "pinned:1", "one", "")
	c := openController(t, e)
	apply(t, c, deployment("pinned", "pinned:1", 1, nil, ""))
	s := ended(t, c, "pinned", rollout.Complete)
	loadVersion(t, e, "pinned:1", "other", "")
	// A lost instance comes back with the pinned image, whatever the tag refers
	// to now.
	p, err := e.Find(t.Context(), s.Instances[0].Name)
	must(t, err)
	must(t, p.Remove(context.Background(), 0, nil))
	until(t, "another takes its place", func() bool {
		s, err := c.Status(s.Key)
		must(t, err)
		return s.Ready == 1 && len(s.Instances) == 1 && s.Instances[0].Name != p.Name
	})
	s, err = c.Status(s.Key)
	must(t, err)
	if got := fetch(t, "http://"+net.JoinHostPort(serving(s).IP, "8080")+"/"); got != "one" {
		t.Errorf("after the tag moved it serves %q", got)
	}
	out := apply(t, c, deployment("pinned", "pinned:1", 1, nil, ""))
	if out.Results[0].Action != Replaced || !strings.Contains(strings.Join(out.Results[0].Changes, "\n"), "image") {
		t.Errorf("got %+v", out)
	}
	s = ended(t, c, "pinned", rollout.Complete)
	if got := fetch(t, "http://"+net.JoinHostPort(serving(s).IP, "8080")+"/"); got != "other" {
		t.Errorf("after another apply it serves %q", got)
	}
}

// TestAnInitContainerMayWait checks that a version whose init container fails until
// what it waits for is there is not given up.
func TestAnInitContainerMayWait(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "waits:1", "one", "")
	loadVersion(t, e, "waits2:1", "two", "")
	c := openController(t, e)
	apply(t, c, deployment("waits", "waits:1", 1, nil, ""))
	ended(t, c, "waits", rollout.Complete)
	dir := t.TempDir()
	apply(t, c, deployment("waits", "waits2:1", 1, nil, `      initContainers:
      - name: setup
        image: adamant.test/waits2:1
        imagePullPolicy: Never
        command: [/bin/sh, -c, test -e /late/database]
        volumeMounts: [{name: late, mountPath: /late}]
      volumes: [{name: late, hostPath: {path: `+dir+`}}]
`))
	var waits InstanceStatus
	until(t, "the init container failed four times", func() bool {
		s, err := c.Status(Key{"default", "Deployment", "waits"})
		must(t, err)
		if s.Phase != rollout.Progressing {
			t.Fatalf("the rollout is %s: %s", s.Phase, s.Reason)
		}
		for _, i := range s.Instances {
			p, err := e.Find(t.Context(), i.Name)
			if err == nil && i.Generation == 2 && i.Waiting == "CrashLoopBackOff" && p.Containers[0].Crashes >= 4 {
				waits = i
			}
		}
		return waits.Name != ""
	})
	if waits.Phase != "Crashed" || waits.Crashes != 0 || !strings.Contains(waits.Message, "container setup ended with exit code 1") {
		t.Errorf("got %+v", waits)
	}
	must(t, os.WriteFile(filepath.Join(dir, "database"), nil, 0o600))
	s := ended(t, c, "waits", rollout.Complete)
	if i := serving(s); i.Name != waits.Name || i.Waiting != "" {
		t.Errorf("got %+v, want that %s serves", i, waits.Name)
	}
}

func TestABrokenVersionGoesBackByItself(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "back:1", "one", "")
	loadVersion(t, e, "back-crash:1", "two", web.Crashes)
	loadVersion(t, e, "back-errors:1", "three", web.Errors)
	c := openController(t, e)
	apply(t, c, deployment("back", "back:1", 2, nil, ""))
	ended(t, c, "back", rollout.Complete)
	apply(t, c, deployment("back", "back-crash:1", 2, nil, ""))
	s := ended(t, c, "back", rollout.RolledBack)
	if s.Generation != 1 || s.Ready != 2 || !strings.Contains(s.Reason, "crashed, 3 times: container web ended with exit code 1") {
		t.Errorf("got %+v", s)
	}
	// The probe passes, but the gate checks the application.
	apply(t, c, deployment("back", "back-errors:1", 2, map[string]string{rollout.AnnotationHTTP: "/"}, ""))
	if s = ended(t, c, "back", rollout.RolledBack); !strings.Contains(s.Reason, "500") {
		t.Errorf("the reason is %q", s.Reason)
	}
	h, err := c.History(s.Key)
	must(t, err)
	var outcomes []rollout.Phase
	for _, a := range h.Rollouts {
		outcomes = append(outcomes, a.Outcome)
		if a.By.User != "tester" || a.Ended.IsZero() {
			t.Errorf("rollout %+v: who and when are not known", a)
		}
	}
	if len(outcomes) != 3 || outcomes[0] != rollout.Complete || outcomes[1] != rollout.RolledBack || outcomes[2] != rollout.RolledBack {
		t.Errorf("outcomes %v", outcomes)
	}
	if to, err := c.Undo(s.Key, 0, Author{}); err == nil {
		t.Errorf("undo chose generation %d, though no other ever completed", to)
	}
}
