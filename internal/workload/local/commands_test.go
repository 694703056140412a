package local

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/web"
)

// TestCommandsDuringACanary checks what commands do while a canary waits for a user: the
// running generation keeps its capacity and the rest of the traffic in all of them.
func TestCommandsDuringACanary(t *testing.T) {
	notes := map[string]string{rollout.AnnotationStrategy: "Canary", rollout.AnnotationSteps: "25% pause"}
	c, key, url := beginRollout(t, "commands", web.Good, notes)
	waits := func(stable, canary int) Status {
		t.Helper()
		var s Status
		until(t, fmt.Sprintf("%d instances of generation 1 and %d of generation 2 wait", stable, canary), func() bool {
			var err error
			s, err = c.Status(key)
			must(t, err)
			return s.Phase == rollout.Progressing && readyOf(s, 1) == stable && readyOf(s, 2) == canary && strings.Contains(s.Waiting, "step 1")
		})
		return s
	}
	s := waits(1, 1)
	if s.Rollout != 2 || s.Shares[2] != 25 {
		t.Errorf("rollout %d, shares %v", s.Rollout, s.Shares)
	}

	// An unchanged apply does not end a pause by hand.
	must(t, c.Pause(key, Author{}))
	text := func(version string) string { return deployment("commands", version, 2, notes, "") }
	if out := apply(t, c, text("commands2:1")); out.Results[0].Action != Unchanged {
		t.Errorf("apply of the same: %+v", out.Results[0])
	}
	if s, err := c.Status(key); err != nil || !s.Paused {
		t.Errorf("after an unchanged apply: paused %v, %v", s.Paused, err)
	}
	must(t, c.Resume(key, Author{}))

	// More replicas are those of the generation that runs.
	must(t, c.Scale(key, 4, Author{}))
	waits(3, 1)

	// A lost instance of the running generation comes back.
	c.kill(t, waits(3, 1), 1)
	waits(3, 1)

	// Going to what runs ends the canary at once, without its steps.
	to, err := c.Undo(key, 0, Author{User: "tester"})
	must(t, err)
	s = ended(t, c, "commands", rollout.Complete)
	if to != 1 || s.Generation != 1 || readyOf(s, 1) != 4 || fetch(t, url) != "one" {
		t.Errorf("undo went to %d: %+v", to, s)
	}
	h, err := c.History(key)
	must(t, err)
	if a := h.Rollouts[1]; a.Outcome != rollout.Failed || a.Reason != "undo of generation 1 by tester took its place" {
		t.Errorf("the canary ended as %s: %s", a.Outcome, a.Reason)
	}
	if _, err := c.Undo(key, 1, Author{}); err == nil || !strings.Contains(err.Error(), "runs generation 1 already") {
		t.Errorf("undo to what runs: %v", err)
	}
}

// readyOf returns how many instances of a generation are ready.
func readyOf(s Status, generation int) int {
	n := 0
	for _, i := range s.Instances {
		if i.Generation == generation && i.Phase == "Ready" {
			n++
		}
	}
	return n
}

// kill ends the sandbox of an instance of a generation, as the machine might, and waits
// until it is gone.
func (c *Controller) kill(t *testing.T, s Status, generation int) {
	t.Helper()
	for _, i := range s.Instances {
		if i.Generation != generation {
			continue
		}
		p, err := c.engine.Find(t.Context(), i.Name)
		must(t, err)
		must(t, p.Remove(t.Context(), 0, nil))
		until(t, i.Name+" is gone", func() bool {
			s, err := c.Status(s.Key)
			must(t, err)
			for _, other := range s.Instances {
				if other.Name == i.Name {
					return false
				}
			}
			return true
		})
		return
	}
	t.Fatalf("no instance of generation %d in %+v", generation, s)
}

func TestAFailedGenerationIsRetriedOnlyOnRequest(t *testing.T) {
	c, key, _ := beginRollout(t, "retry", web.Crashes, nil)
	ended(t, c, "retry", rollout.RolledBack)
	text := deployment("retry", "retry2:1", 2, nil, "")
	out := apply(t, c, text)
	if r := out.Results[0]; r.Action != NotRetried || r.Generation != 2 || r.Rollout != 2 {
		t.Errorf("the same again: %+v", r)
	}
	if len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "crashed") || !strings.Contains(out.Notes[0], "--retry") {
		t.Errorf("notes %q", out.Notes)
	}
	if s, err := c.Status(key); err != nil || s.Phase != rollout.RolledBack || s.Generation != 1 {
		t.Errorf("got %+v, %v", s, err)
	}
	f, err := manifest.Parse("retry.yaml", []byte(text))
	must(t, err)
	out, err = c.Apply(t.Context(), f, ApplyOptions{Retry: true})
	must(t, err)
	if r := out.Results[0]; r.Action != Replaced || r.Rollout != 3 {
		t.Errorf("retried: %+v", r)
	}
	ended(t, c, "retry", rollout.RolledBack)
}

// TestATakenPortIsRefusedBeforeAnythingIsStored checks ports of other programs and of
// other Services, of a type that needs them.
func TestATakenPortIsRefusedBeforeAnythingIsStored(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "port:1", "one", web.Good)
	c := openController(t, e)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	taken, free := l.Addr().(*net.TCPAddr).Port, freePort(t)
	for _, tt := range []struct{ text, want string }{
		{serviceOf("port", taken), "another program listens there"},
		{serviceOf("port", free) + serviceOf("other", free), "belongs to service default/"},
	} {
		f, err := manifest.Parse("port.yaml", []byte(deployment("port", "port:1", 1, nil, "")+strings.ReplaceAll(tt.text, "selector:", "type: LoadBalancer\n  selector:")))
		must(t, err)
		if _, err = c.Apply(t.Context(), f, ApplyOptions{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
	list, err := c.List()
	if err != nil || len(list) != 0 {
		t.Errorf("stored: %+v, %v", list, err)
	}
}

// TestHistoryOutlivesADeletion checks who deleted a workload, and that an apply waits
// until it is gone.
func TestHistoryOutlivesADeletion(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "deleted:1", "one", web.Good)
	c := openController(t, e)
	text := deployment("deleted", "deleted:1", 1, nil, "")
	apply(t, c, text)
	key := ended(t, c, "deleted", rollout.Complete).Key
	must(t, c.Delete(key, Author{User: "tester"}))
	if err := c.Delete(key, Author{}); !errors.Is(err, ErrDeleting) {
		t.Errorf("deleted twice: %v", err)
	}
	again := apply(t, c, text)
	if r := again.Results[0]; r.Action != Created || r.Rollout != 2 {
		t.Errorf("applied while it was being deleted: %+v", r)
	}
	ended(t, c, "deleted", rollout.Complete)
	must(t, c.Delete(key, Author{User: "another"}))
	until(t, "it is gone", func() bool {
		_, err := c.Status(key)
		return errors.Is(err, ErrNotFound)
	})
	h, err := c.History(key)
	must(t, err)
	var deleted []string
	for _, e := range h.Events {
		if e.Reason == "Deleted" {
			deleted = append(deleted, e.Message)
		}
	}
	if fmt.Sprint(deleted) != "[deleted by tester deleted by another]" || len(h.Rollouts) != 2 {
		t.Errorf("%v, rollouts %+v", deleted, h.Rollouts)
	}
	list, err := c.Deleted()
	if err != nil || !slices.ContainsFunc(list, func(d Deletion) bool { return d.Key == key }) {
		t.Errorf("deleted workloads %+v, %v", list, err)
	}
}
