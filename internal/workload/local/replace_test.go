package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/web"
)

// write changes a file in an instance, as an intruder would.
func write(t *testing.T, e *pod.Engine, instance, path, content string) {
	t.Helper()
	p, err := e.Find(t.Context(), instance)
	must(t, err)
	resp, err := http.Get(fmt.Sprintf("http://%s:8080/write?path=%s&content=%s", p.IP, path, content))
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("write %s: %s", path, resp.Status)
	}
}

func TestADriftedInstanceIsReplacedAndItsEvidenceKept(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "drifted:1", "one", web.Good)
	c := openController(t, e)
	port := freePort(t)
	apply(t, c, deployment("drifted", "drifted:1", 2, nil, "")+serviceOf("drifted", port))
	s := ended(t, c, "drifted", rollout.Complete)
	victim := s.Instances[0].Name
	write(t, e, victim, "/etc/app.conf", "edited")
	until(t, "the edited instance is replaced", func() bool {
		s, err := c.Status(s.Key)
		must(t, err)
		for _, i := range s.Instances {
			if i.Name == victim {
				return false
			}
		}
		return s.Ready == 2
	})
	files, err := filepath.Glob(filepath.Join(e.Root(), "fleet", "evidence", "default", "Deployment", "drifted", "*-"+victim, "*"))
	must(t, err)
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(file))
	}
	if got := strings.Join(names, " "); got != "changes.tar drift.json drift.txt" {
		t.Errorf("evidence: %s", got)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(files[0]), "drift.txt"))
	must(t, err)
	if !strings.Contains(string(text), "/etc/app.conf") {
		t.Errorf("the report does not name the file:\n%s", text)
	}
	h, err := c.History(s.Key)
	must(t, err)
	if !hasEvent(h, "DriftReplaced") {
		t.Errorf("no event tells of it: %+v", h.Events)
	}
}

// Directories nested so deep that no path leads to the last one are drift too, and go with
// their instance.
func TestADeepTreeIsDriftAndRemoved(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "deep:1", "one", web.Good)
	c := openController(t, e)
	apply(t, c, deployment("deep", "deep:1", 1, nil, ""))
	s := ended(t, c, "deep", rollout.Complete)
	victim := s.Instances[0].Name
	p, err := e.Find(t.Context(), victim)
	must(t, err)
	m, err := p.Overlay(t.Context(), &p.Containers[0])
	must(t, err)
	nest(t, fmt.Sprintf("/proc/%d/root/etc", p.Containers[0].PID), 25_000) // more than containerd may have files open
	until(t, "the instance is replaced", func() bool {
		s, err := c.Status(s.Key)
		must(t, err)
		return s.Ready == 1 && s.Instances[0].Name != victim
	})
	h, err := c.History(s.Key)
	must(t, err)
	if !hasEvent(h, "DriftReplaced") {
		t.Errorf("no event tells of it: %+v", h.Events)
	}
	until(t, "the changes are removed", func() bool {
		_, err := os.Lstat(filepath.Dir(m.Upper))
		return errors.Is(err, fs.ErrNotExist)
	})
}

// nest makes directories in each other.
func nest(t *testing.T, dir string, depth int) {
	t.Helper()
	at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	for range depth {
		must(t, unix.Mkdirat(at, "d", 0o755))
		next, err := unix.Openat(at, "d", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		unix.Close(at)
		at = next
	}
	unix.Close(at)
}

func hasEvent(h History, reason string) bool {
	for _, e := range h.Events {
		if e.Reason == reason {
			return true
		}
	}
	return false
}

func TestAVersionThatDriftsByItselfIsNotRolledOut(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "self:1", "one", web.Good)
	loadVersion(t, e, "self2:1", "two", web.Drifts)
	c := openController(t, e)
	apply(t, c, deployment("self", "self:1", 1, nil, ""))
	ended(t, c, "self", rollout.Complete)
	apply(t, c, deployment("self", "self2:1", 1, nil, ""))
	if s := ended(t, c, "self", rollout.RolledBack); !strings.Contains(s.Reason, "drifted") {
		t.Errorf("the reason is %q", s.Reason)
	}
}

// beginRollout starts to replace a Deployment that answers "one" by a version that
// answers "two". It returns the controller, the key, and the URL of a Service.
func beginRollout(t *testing.T, name, nature string, notes map[string]string) (*Controller, Key, string) {
	t.Helper()
	e := openEngine(t)
	loadVersion(t, e, name+":1", "one", web.Good)
	loadVersion(t, e, name+"2:1", "two", nature)
	c := openController(t, e)
	port := freePort(t)
	apply(t, c, deployment(name, name+":1", 2, notes, "")+serviceOf(name, port))
	s := ended(t, c, name, rollout.Complete)
	apply(t, c, deployment(name, name+"2:1", 2, notes, ""))
	return c, s.Key, fmt.Sprintf("http://127.0.0.1:%d/", port)
}

// TestACanaryGetsItsShare counts the responses of each generation while the
// canary waits.
func TestACanaryGetsItsShare(t *testing.T) {
	notes := map[string]string{rollout.AnnotationStrategy: "Canary", rollout.AnnotationSteps: "20% pause"}
	c, key, url := beginRollout(t, "canary", web.Good, notes)
	until(t, "it waits to be resumed", func() bool {
		s, err := c.Status(key)
		must(t, err)
		return strings.Contains(s.Waiting, "rollout resume") && s.Shares[2] == 20
	})
	until(t, "the canary is asked", func() bool { return fetch(t, url) == "two" })
	answers := map[string]int{}
	for range 100 {
		answers[fetch(t, url)]++
	}
	if answers["two"] < 15 || answers["two"] > 25 || answers["one"]+answers["two"] != 100 {
		t.Errorf("of 100 requests: %v", answers)
	}
	must(t, c.Resume(key, Author{}))
	ended(t, c, "canary", rollout.Complete)
	if got := fetch(t, url); got != "two" {
		t.Errorf("in the end %q answers", got)
	}
}

func TestTrafficMovesAtOnce(t *testing.T) {
	notes := map[string]string{rollout.AnnotationStrategy: "BlueGreen", rollout.AnnotationPromotion: "manual", rollout.AnnotationHold: "1s"}
	c, key, url := beginRollout(t, "bluegreen", web.Good, notes)
	until(t, "the new instances wait beside the old ones", func() bool {
		s, err := c.Status(key)
		must(t, err)
		return s.Ready == 4 && strings.Contains(s.Waiting, "switch")
	})
	for range 20 {
		if got := fetch(t, url); got != "one" {
			t.Fatalf("before the switch %q answers", got)
		}
	}
	must(t, c.Resume(key, Author{}))
	until(t, "the new instances answer", func() bool { return fetch(t, url) == "two" })
	for range 20 {
		if got := fetch(t, url); got != "two" {
			t.Fatalf("after the switch %q answers", got)
		}
	}
	ended(t, c, "bluegreen", rollout.Complete)
}

func TestErrorsOfTheNewGenerationEndItsRollout(t *testing.T) {
	notes := map[string]string{rollout.AnnotationStrategy: "Canary", rollout.AnnotationSteps: "50% pause", rollout.AnnotationErrorRate: "5%"}
	c, key, url := beginRollout(t, "rate", web.Errors, notes)
	until(t, "it is rolled back", func() bool {
		fetch(t, url)
		s, err := c.Status(key)
		must(t, err)
		return s.Phase == rollout.RolledBack && strings.Contains(s.Reason, "requests to it failed")
	})
}

// TestSlowAnswersFinish checks that a request in flight is answered although
// its instance is being removed.
func TestSlowAnswersFinish(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "slow:1", "one", web.Good)
	loadVersion(t, e, "slow2:1", "two", web.Good)
	c := openController(t, e)
	port := freePort(t)
	apply(t, c, deployment("slow", "slow:1", 2, nil, "")+serviceOf("slow", port))
	ended(t, c, "slow", rollout.Complete)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failures []error
	var answered atomic.Int64
	for range 4 {
		wg.Go(func() {
			client := http.Client{Transport: &http.Transport{}}
			for ctx.Err() == nil {
				err := ask(&client, fmt.Sprintf("http://127.0.0.1:%d/slow?for=700ms", port))
				answered.Add(1)
				if err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, image := range []string{"slow2:1", "slow:1", "slow2:1"} {
		apply(t, c, deployment("slow", image, 2, nil, ""))
		ended(t, c, "slow", rollout.Complete)
		before := answered.Load()
		until(t, "requests are answered", func() bool { return answered.Load() >= before+4 })
	}
	cancel()
	wg.Wait()
	if len(failures) > 0 {
		t.Errorf("of %d requests failed: %v", answered.Load(), errors.Join(failures...))
	}
}

func ask(c *http.Client, url string) error {
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

func TestAChangedConfigMapReplacesWhoRefersToIt(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "config:1", "one", web.Good)
	c := openController(t, e)
	configMap := func(value string) string {
		return "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: {KEY: " + value + "}\n"
	}
	apply(t, c, deployment("config", "config:1", 1, nil, "        envFrom: [{configMapRef: {name: config}}]\n")+configMap("a"))
	s := ended(t, c, "config", rollout.Complete)
	out := apply(t, c, strings.TrimPrefix(configMap("b"), "---\n"))
	if len(out.Results) != 2 || out.Results[1].Action != Replaced || out.Results[1].Changes[0] != "configmap config" {
		t.Fatalf("got %+v", out.Results)
	}
	if s = ended(t, c, "config", rollout.Complete); s.Generation != 2 {
		t.Errorf("got generation %d", s.Generation)
	}
	p, err := e.Find(t.Context(), serving(s).Name)
	must(t, err)
	if got := p.Spec().ConfigMaps; len(got) != 1 || got[0].Data["KEY"] != "b" {
		t.Errorf("its pod has %v", got)
	}
	to, err := c.Undo(s.Key, 0, Author{})
	must(t, err)
	if s = ended(t, c, "config", rollout.Complete); to != 1 || s.Generation != 1 {
		t.Errorf("undo went to %d, and %d runs", to, s.Generation)
	}
}

func TestAnotherControllerAdoptsWhatRuns(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "adopted:1", "one", web.Good)
	c := openController(t, e)
	apply(t, c, deployment("adopted", "adopted:1", 2, nil, ""))
	s := ended(t, c, "adopted", rollout.Complete)
	before := started(t, e, s)
	if _, err := Open(t.Context(), Options{Engine: e}); !errors.Is(err, ErrServing) {
		t.Errorf("a second one at the same time: got %v, want %v", err, ErrServing)
	}
	must(t, c.Close())
	c = openController(t, e)
	until(t, "both are ready again", func() bool {
		s, err := c.Status(s.Key)
		must(t, err)
		return s.Ready == 2
	})
	s, err := c.Status(s.Key)
	must(t, err)
	if after := started(t, e, s); after != before {
		t.Errorf("containers were started again: %s, before %s", after, before)
	}
}

// started returns when each container of a workload was started.
func started(t *testing.T, e *pod.Engine, s Status) string {
	t.Helper()
	var all []string
	for _, i := range s.Instances {
		p, err := e.Find(t.Context(), i.Name)
		must(t, err)
		all = append(all, fmt.Sprint(p.Name, p.Containers[0].Started.UnixNano()))
	}
	slices.Sort(all) // an adopted pod has another creation time
	return strings.Join(all, " ")
}

func TestAPodIsReplacedUnderItsName(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "alone:1", "one", web.Good)
	loadVersion(t, e, "alone2:1", "two", web.Good)
	c := openController(t, e)
	podOf := func(image string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: alone}\nspec:\n  terminationGracePeriodSeconds: 2\n  containers: [{name: web, image: adamant.test/" + image + ", imagePullPolicy: Never}]\n"
	}
	key := Key{"default", "Pod", "alone"}
	for n, image := range []string{"alone:1", "alone2:1"} {
		apply(t, c, podOf(image))
		until(t, "it runs", func() bool {
			s, err := c.Status(key)
			must(t, err)
			return s.Phase == rollout.Complete && s.Generation == n+1
		})
	}
	found, err := e.Find(t.Context(), "alone")
	must(t, err)
	if got := fetch(t, "http://"+found.IP+":8080/"); got != "two" {
		t.Errorf("served %q", got)
	}
	write(t, e, "alone", "/etc/app.conf", "edited")
	until(t, "the edited one is replaced under its name", func() bool {
		p, err := e.Find(t.Context(), "alone")
		return err == nil && p.UID != found.UID && p.Phase == pod.Running
	})
	found, err = e.Find(t.Context(), "alone")
	must(t, err)
	must(t, found.Remove(context.Background(), 0, nil))
	until(t, "it comes back", func() bool {
		p, err := e.Find(t.Context(), "alone")
		return err == nil && p.UID != found.UID && p.Phase == pod.Running
	})
}
