package local

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/workload/batch"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/appimage"
)

// jobManifest returns a manifest of a Job that runs a program of Python, with a
// directory of the machine at /out.
func jobManifest(name, fields, restart, dir, program string) string {
	return fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata: {name: %[1]s}
spec:
%[2]s
  template:
    metadata: {annotations: {adamant.sh/restart-backoff: 100ms}}
    spec:
      restartPolicy: %[3]s
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: adamant.test/odd:1
        imagePullPolicy: Never
        command: [python3, -c, %[5]q]
        volumeMounts: [{name: out, mountPath: /out}]
      volumes: [{name: out, hostPath: {path: %[4]s}}]
`, name, fields, restart, dir, program)
}

func loadOdd(t *testing.T, e *pod.Engine) {
	t.Helper()
	archive, err := appimage.Build(t.Context(), "odd")
	must(t, err)
	_, err = e.Daemon().Import(t.Context(), archive, containerd.ImportOptions{})
	must(t, err)
}

// jobEnds waits for the end of a Job.
func jobEnds(t *testing.T, c *Controller, name string) Status {
	t.Helper()
	var s Status
	until(t, "job "+name+" ends", func() bool {
		var err error
		s, err = c.Status(Key{"default", "Job", name})
		must(t, err)
		return s.Phase.Ended()
	})
	return s
}

func logOf(t *testing.T, e *pod.Engine, name string) string {
	t.Helper()
	p, err := e.Find(t.Context(), name)
	must(t, err)
	var out bytes.Buffer
	must(t, p.Logs(t.Context(), "", pod.LogOptions{}, &out, &out))
	return strings.TrimSpace(out.String())
}

// restartedTwice is the reason of a Job that reached its backoffLimit of 2. The pod may have
// been restarted once more until that was seen.
var restartedTwice = regexp.MustCompile(`restarted, [2-9] times: pod never-`)

// TestJobs checks Jobs on real pods; package batch has the rules.
func TestJobs(t *testing.T) {
	e := openEngine(t)
	loadOdd(t, e)
	c := openController(t, e)
	dir := t.TempDir()

	// Index 1 fails at first.
	indexed := func(greeting string) string {
		return jobManifest("indexed", "  completionMode: Indexed\n  completions: 3\n  parallelism: 2", "Never", dir, `
import os, socket, sys
index = os.environ["JOB_COMPLETION_INDEX"]
first = not os.path.exists("/out/tried" + index)
open("/out/tried" + index, "a").write("x")
print("`+greeting+` from", socket.gethostname())
sys.exit(5 if index == "1" and first else 0)`)
	}
	out := apply(t, c, indexed("hello"))
	if r := out.Results[0]; r.Action != Created || r.Rollout != 1 {
		t.Errorf("got %+v", r)
	}
	s := jobEnds(t, c, "indexed")
	if s.Phase != rollout.Complete || s.Job.State != batch.Complete || s.Job.Succeeded != 3 || s.Job.Failed != 1 || s.Job.Indexes != "0-2" || len(s.Instances) != 4 {
		t.Fatalf("got %+v, %+v", s, s.Job)
	}
	var logs []string
	for _, i := range s.Instances {
		if i.Phase == "Succeeded" {
			logs = append(logs, logOf(t, e, i.Name))
		}
		if !strings.HasPrefix(i.Name, "indexed-") {
			t.Errorf("a pod is called %s", i.Name)
		}
	}
	slices.Sort(logs)
	if diff := cmp.Diff(logs, []string{"hello from indexed-0", "hello from indexed-1", "hello from indexed-2"}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	until(t, "the pods have released what they do not need", func() bool {
		p, err := e.Find(t.Context(), s.Instances[0].Name)
		must(t, err)
		return p.IsRetired() && p.Phase == pod.Succeeded
	})
	if out := apply(t, c, indexed("hello")); out.Results[0].Action != Unchanged {
		t.Errorf("the same again: got %+v", out.Results)
	}
	out = apply(t, c, indexed("bye"))
	if out.Results[0].Action != Replaced || out.Results[0].Generation != 2 {
		t.Errorf("another template: got %+v", out.Results)
	}
	s = jobEnds(t, c, "indexed")
	if s.Job.Succeeded != 3 || s.Job.Failed != 0 || s.Generation != 2 {
		t.Errorf("got %+v, %+v", s, s.Job)
	}
	until(t, "the pods of the old generation are gone", func() bool {
		s, err := c.Status(s.Key)
		must(t, err)
		return len(s.Instances) == 3
	})
	if _, err := c.Undo(s.Key, 0, Author{}); err == nil || !strings.Contains(err.Error(), "not rolled back") {
		t.Errorf("undo of a Job: %v", err)
	}

	p, err := e.Find(t.Context(), s.Instances[0].Name)
	must(t, err)
	must(t, p.Remove(t.Context(), 0, nil))
	must(t, c.Resume(s.Key, Author{})) // wakes it
	until(t, "a pod that was removed by hand is not listed", func() bool {
		s, err := c.Status(s.Key)
		must(t, err)
		return len(s.Instances) == 2 && s.Phase == rollout.Complete
	})

	t.Run("a failure is reported and not repeated", func(t *testing.T) {
		text := jobManifest("fails", "  backoffLimit: 1", "Never", dir, `import sys; print("no luck"); sys.exit(7)`)
		// A pod that has ended does not hold its port.
		text = strings.Replace(text, "        imagePullPolicy: Never\n", fmt.Sprintf("        imagePullPolicy: Never\n        ports: [{containerPort: 80, hostPort: %d}]\n", freePort(t)), 1)
		apply(t, c, text)
		s := jobEnds(t, c, "fails")
		if s.Phase != rollout.Failed || s.Job.Failed != 2 || s.RolloutErr() == nil {
			t.Errorf("got %+v, %+v", s, s.Job)
		}
		for _, want := range []string{"BackoffLimitExceeded: Job has reached the specified backoff limit", "container main ended with exit code 7", "| no luck"} {
			if !strings.Contains(s.Reason, want) {
				t.Errorf("the reason is %q: want %q", s.Reason, want)
			}
		}
		out := apply(t, c, text)
		if out.Results[0].Action != NotRetried {
			t.Errorf("got %+v", out)
		}
		file, err := manifest.Parse("test.yaml", []byte(text))
		must(t, err)
		out, err = c.Apply(t.Context(), file, ApplyOptions{Retry: true})
		must(t, err)
		if out.Results[0].Rollout != 2 {
			t.Errorf("got %+v", out)
		}
		if s = jobEnds(t, c, "fails"); s.Rollout != 2 || s.Job.Failed != 2 {
			t.Errorf("got %+v, %+v", s, s.Job)
		}
		h, err := c.History(s.Key)
		must(t, err)
		var reasons []string
		for _, e := range h.Events {
			reasons = append(reasons, e.Reason)
		}
		if got := strings.Join(reasons, " "); !strings.HasPrefix(got, "SuccessfulCreate SuccessfulCreate BackoffLimitExceeded SuccessfulCreate") {
			t.Errorf("events: %s\n%+v", got, h.Events)
		}
	})

	t.Run("restarts in the pod count", func(t *testing.T) {
		apply(t, c, jobManifest("again", "  backoffLimit: 2", "OnFailure", dir, `
import os, sys
n = os.path.getsize("/out/again") if os.path.exists("/out/again") else 0
open("/out/again", "a").write("x")
sys.exit(0 if n == 1 else 1)`))
		if s := jobEnds(t, c, "again"); s.Phase != rollout.Complete || s.Job.Failed != 0 || len(s.Instances) != 1 {
			t.Errorf("got %+v, %+v", s, s.Job)
		}
		apply(t, c, jobManifest("never", "  backoffLimit: 2", "OnFailure", dir, `import sys; sys.exit(1)`))
		if s := jobEnds(t, c, "never"); s.Phase != rollout.Failed || !restartedTwice.MatchString(s.Reason) {
			t.Errorf("got %+v, %+v", s, s.Job)
		}
	})

	t.Run("a suspended Job has no pods", func(t *testing.T) {
		apply(t, c, jobManifest("held", "  suspend: true\n  ttlSecondsAfterFinished: 0", "Never", dir, `open("/out/held", "a").write("x")`))
		key := Key{"default", "Job", "held"}
		until(t, "it is suspended", func() bool {
			s, err := c.Status(key)
			must(t, err)
			return s.Job.State == batch.Suspended && len(s.Instances) == 0
		})
		must(t, c.Resume(key, Author{}))
		// Its TTL removes it at once, with its pods.
		until(t, "it is gone", func() bool {
			_, err := c.Status(key)
			return err != nil
		})
		if data, err := os.ReadFile(filepath.Join(dir, "held")); string(data) != "x" {
			t.Errorf("it wrote %q, %v", data, err)
		}
		h, err := c.History(key)
		must(t, err)
		if len(h.Rollouts) != 1 || h.Rollouts[0].Outcome != rollout.Complete {
			t.Errorf("got %+v", h.Rollouts)
		}
	})
}

// TestJobsOutliveTheController checks that a pod that ends while no controller runs is
// counted once, and that none runs again.
func TestJobsOutliveTheController(t *testing.T) {
	e := openEngine(t)
	loadOdd(t, e)
	dir := t.TempDir()
	c := openController(t, e)
	apply(t, c, jobManifest("outlives", "  completions: 2\n  parallelism: 2", "Never", dir, `
import os, time
open("/out/" + os.environ["HOSTNAME"], "a").write("x")
while not os.path.exists("/out/end"): time.sleep(.05)`))
	written := func() []string {
		list, err := filepath.Glob(filepath.Join(dir, "outlives-*"))
		must(t, err)
		return list
	}
	until(t, "both run", func() bool { return len(written()) == 2 })
	must(t, c.Close())
	must(t, os.WriteFile(filepath.Join(dir, "end"), nil, 0o600))
	until(t, "both have ended", func() bool {
		pods, err := e.Pods(t.Context())
		must(t, err)
		n := 0
		for _, p := range pods {
			if strings.HasPrefix(p.Name, "outlives-") && p.Phase == pod.Succeeded {
				n++
			}
		}
		return n == 2
	})
	c = openController(t, e)
	s := jobEnds(t, c, "outlives")
	if s.Job.Succeeded != 2 || s.Job.Failed != 0 || len(s.Instances) != 2 {
		t.Errorf("got %+v, %+v", s, s.Job)
	}
	for _, path := range written() {
		if data, err := os.ReadFile(path); string(data) != "x" || len(written()) != 2 {
			t.Errorf("%s has %q, %v", path, data, err)
		}
	}
}
