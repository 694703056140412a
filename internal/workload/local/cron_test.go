package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// cronJob returns a manifest of a CronJob whose Jobs write their time of the schedule to
// a directory of the machine.
func cronJob(name, schedule, dir, text string) string {
	return fmt.Sprintf(`apiVersion: batch/v1
kind: CronJob
metadata: {name: %[1]s}
spec:
  schedule: %[2]q
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
          - name: main
            image: adamant.test/odd:1
            imagePullPolicy: Never
            command: [python3, -c, "import os; open('/out/' + os.environ['AT'], 'a').write('%[4]s')"]
            env: [{name: AT, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['batch.kubernetes.io/cronjob-scheduled-timestamp']"}}}]
            volumeMounts: [{name: out, mountPath: /out}]
          volumes: [{name: out, hostPath: {path: %[3]s}}]
`, name, schedule, dir, text)
}

// TestCronJobs checks CronJobs on real pods; package batch has the rules. A Job is named
// for its minute, so that @every 1s has one Job a minute.
func TestCronJobs(t *testing.T) {
	e := openEngine(t)
	loadOdd(t, e)
	dir := t.TempDir()
	c := openController(t, e)
	key := Key{"default", "CronJob", "tick"}
	apply(t, c, cronJob("tick", "@every 1s", dir, "x"))
	owned := func() []Status {
		list, err := c.List()
		must(t, err)
		var jobs []Status
		for _, s := range list {
			if s.Kind == "Job" && strings.HasPrefix(s.Name, "tick-") {
				jobs = append(jobs, s)
			}
		}
		return jobs
	}
	var s Status
	until(t, "a Job is complete", func() bool {
		var err error
		s, err = c.Status(key)
		must(t, err)
		return !s.CronJob.LastSuccessful.IsZero()
	})
	if s.Phase != rollout.Complete || s.CronJob.LastScheduled.IsZero() || !s.CronJob.Next.After(s.CronJob.LastScheduled) {
		t.Errorf("got %+v, %+v", s, s.CronJob)
	}
	written, err := filepath.Glob(filepath.Join(dir, "*Z"))
	must(t, err)
	if len(written) == 0 {
		t.Error("no pod knew its time of the schedule")
	}
	for _, path := range written {
		if data, err := os.ReadFile(path); string(data) != "x" {
			t.Errorf("%s has %q, %v", path, data, err)
		}
	}
	must(t, c.Pause(key, Author{}))
	jobs := owned()
	if len(jobs) == 0 || jobs[0].Job.Succeeded != 1 || jobs[0].Images[0].Image != "adamant.test/odd:1" {
		t.Fatalf("got %+v", jobs)
	}
	file, err := manifest.Parse("test.yaml", []byte(jobManifest(jobs[0].Name, "", "Never", dir, "")))
	must(t, err)
	if _, err := c.Apply(t.Context(), file, ApplyOptions{}); err == nil || !strings.Contains(err.Error(), "is a Job of CronJob tick") {
		t.Errorf("apply of its Job: %v", err)
	}

	// The next Job has the next generation, also after a restart of the daemon.
	must(t, c.Close())
	c = openController(t, e)
	if out := apply(t, c, cronJob("tick", "@every 1s", dir, "y")); out.Results[0].Generation != 2 || out.Results[0].Action != Replaced {
		t.Errorf("got %+v", out)
	}
	must(t, c.Pause(key, Author{})) // the new generation has ended the pause, and a minute may begin
	for _, j := range owned() {
		must(t, c.Delete(j.Key, Author{})) // its minute may not be over
	}
	until(t, "its Jobs are gone", func() bool { return len(owned()) == 0 })
	must(t, c.Resume(key, Author{}))
	until(t, "a Job of the new generation has run", func() bool {
		written, err := filepath.Glob(filepath.Join(dir, "*Z"))
		must(t, err)
		for _, path := range written {
			if data, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(data), "y") {
				return true
			}
		}
		return false
	})
	must(t, c.Pause(key, Author{}))
	name, err := c.RunNow(key, Author{User: "tester"})
	must(t, err)
	if s := jobEnds(t, c, name); s.Job.Succeeded != 1 {
		t.Errorf("got %+v", s.Job)
	}
	if _, err := c.RunNow(Key{"default", "Job", name}, Author{}); err == nil || !strings.Contains(err.Error(), "is no CronJob") {
		t.Errorf("running a Job: %v", err)
	}
	jobs = owned()
	must(t, c.Delete(key, Author{}))
	until(t, "it is gone", func() bool {
		_, err := c.Status(key)
		return errors.Is(err, ErrNotFound)
	})
	if left := owned(); len(left) > 0 {
		t.Errorf("its Jobs are left: %+v", left)
	}
	if _, err := c.History(jobs[0].Key); err == nil {
		t.Error("the history of its Job is kept")
	}
	if h, err := c.History(key); err != nil || len(h.Rollouts) != 2 || h.Rollouts[1].Outcome != rollout.Complete {
		t.Errorf("got %+v, %v", h.Rollouts, err)
	}
}
