package local

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// halfway is a canary that was paused by hand.
func halfway() Status {
	return Status{
		Key: Key{Namespace: "shop", Kind: "Deployment", Name: "web"}, Replicas: 2, Ready: 2, Updated: 1, Generation: 2, Stable: 1,
		Phase: rollout.Progressing, Paused: true, Waiting: "paused by hand: adamant rollout resume", Shares: map[int]int{1: 90, 2: 10},
		Images: []PinnedImage{{For: "web", Image: "web:2", Digest: "sha256:0123456789abcdef0123456789abcdef"}},
		Instances: []InstanceStatus{
			{Name: "web-1", Generation: 1, Phase: "Ready", IP: "10.0.0.1", Drift: rollout.Drifted, Changes: 3, Made: time.Now(), Message: "first\nsecond"},
			{Name: "web-2", Generation: 2, Phase: "Ready", Made: time.Now()},
		},
		Services: []ServiceStatus{{Name: "web", Address: "127.0.0.1:80", ClusterIP: "10.212.0.16", Requests: 5, Errors: 1}, {Name: "admin", Err: "in use"}},
	}
}

// halfJob is a Job of which one of three indexes succeeded.
func halfJob() Status {
	three := 3
	return Status{
		Key: Key{Namespace: "shop", Kind: "Job", Name: "import"}, Replicas: 3, Updated: 1, Generation: 1, Phase: rollout.Progressing,
		Instances: []InstanceStatus{{Name: "import-0-abcde", Generation: 1, Phase: "Succeeded", Made: time.Now()}},
		Job: &JobStatus{
			State: "Running", Completions: &three, Parallelism: 1, Active: 1, Succeeded: 1, Failed: 2, Indexes: "0",
			Began: time.Unix(0, 0), Ended: time.Unix(90, 0),
		},
	}
}

// nightly is a CronJob that was suspended while one of its Jobs runs.
func nightly() Status {
	return Status{
		Key: Key{Namespace: "shop", Kind: "CronJob", Name: "nightly"}, Generation: 2, Phase: rollout.Complete, Paused: true,
		CronJob: &CronStatus{Schedule: "@daily", TimeZone: "Europe/Berlin", Suspended: true, Active: []string{"nightly-1"}, LastScheduled: time.Unix(0, 0)},
	}
}

func TestDocumentText(t *testing.T) {
	history := History{
		Generations: []Generation{{Number: 1, Images: []PinnedImage{{Image: "web:1"}, {Image: "proxy:1"}}}},
		Rollouts:    []Attempt{{Number: 1, Generation: 1, Began: time.Unix(0, 0), Ended: time.Unix(2, 0), Outcome: "Complete", By: Author{User: "root"}}},
		Events:      []Event{{Time: time.Unix(0, 0), Reason: "Created", Message: "generation 1"}},
	}
	outcome := Outcome{Results: []Result{
		{Kind: "Deployment", Name: "web", Action: Replaced, Generation: 2, Changes: []string{"image: web:1 -> web:2"}},
		{Kind: "Service", Name: "web", Action: Unchanged},
	}}
	began := time.Unix(0, 0).Local().Format(time.DateTime)
	for _, tt := range []struct {
		name   string
		result report.Text
		want   string
	}{
		{"workload", NewDocument(halfway()), `Deployment shop/web  Progressing (paused), generation 2, 2 of 2 ready
  waiting for: paused by hand: adamant rollout resume
  traffic: generation 1 90%, generation 2 10%
  image: web web:2 (sha256:0123456789a…)
  service: web at 127.0.0.1:80, cluster IP 10.212.0.16, 5 requests, 1 errors
  service: admin at -, 0 requests, 0 errors
    not open: in use
  INSTANCE  GENERATION  PHASE  ADDRESS   DRIFT        CRASHES  AGE  LAST
  web-1     1           Ready  10.0.0.1  Drifted (3)  0        0s   first
  web-2     2           Ready  -         -            0        0s   
`},
		{"list", NewWorkloadList([]Status{halfway()}), `NAME  NAMESPACE  KIND        READY  UPDATED  GENERATION  PHASE                 ADDRESS       REASON
web   shop       Deployment  2/2    1        2           Progressing (paused)  127.0.0.1:80  
`},
		{"job", NewDocument(halfJob()), `Job shop/import  Running, generation 1, 1 of 3 succeeded, 1 active, 2 failed, indexes 0, 1m30s
  INSTANCE        GENERATION  PHASE      ADDRESS  DRIFT  CRASHES  AGE  LAST
  import-0-abcde  1           Succeeded  -        -      0        0s   
`},
		{"list of jobs", NewWorkloadList([]Status{halfJob(), nightly()}), `NAME     NAMESPACE  KIND     READY  UPDATED  GENERATION  PHASE      ADDRESS  REASON
import   shop       Job      1/3    1        1           Running    -        
nightly  shop       CronJob  -      0        2           Suspended  -        @daily Europe/Berlin, last ` + time.Unix(0, 0).Local().Format(time.DateTime) + `, 1 active
`},
		{"history", NewHistoryDocument(history), `ROLLOUT  GENERATION  IMAGES         BY    CAUSE  BEGAN                TOOK  OUTCOME   REASON
1        1           web:1,proxy:1  root         ` + began + `  2s    Complete  

` + began + `  Created       generation 1
`},
		{"outcome", NewOutcomeDocument(outcome, false), `Deployment/web replaced: generation 2
  image: web:1 -> web:2
Service/web unchanged
`},
		{"outcome of a dry run", NewOutcomeDocument(outcome, true), `Deployment/web would be replaced: generation 2
  image: web:1 -> web:2
Service/web unchanged
`},
		{"dry run of a generation that failed before", NewOutcomeDocument(Outcome{Results: []Result{{Kind: "Pod", Name: "web", Action: NotRetried}}}, true),
			"Pod/web would not be retried\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := tt.result.WriteText(&b, false); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b.String(), tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
	if got := NewOutcomeDocument(outcome, true).Verdict(); got != report.Findings {
		t.Errorf("a dry run with a difference has the verdict %d", got)
	}
	if got := NewOutcomeDocument(outcome, false).Verdict(); got != report.Clean {
		t.Errorf("an apply with a difference has the verdict %d", got)
	}
}

func TestPicture(t *testing.T) {
	line := "Deployment/web generation 2: Progressing (paused), 1 of 2 updated, 2 ready; generation 1 90%, generation 2 10%; paused by hand: adamant rollout resume"
	if diff := cmp.Diff(halfway().Line(), line); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	for s, want := range map[*Status]string{
		new(halfJob()): "Job/import generation 1: Running, 1 of 3 succeeded, 1 active, 2 failed, indexes 0, 1m30s",
		new(nightly()): "CronJob/nightly generation 2: Suspended, @daily Europe/Berlin, last " + time.Unix(0, 0).Local().Format(time.DateTime) + ", 1 active",
	} {
		if diff := cmp.Diff(s.Line(), want); diff != "" {
			t.Errorf("-got +want\n%s", diff)
		}
	}
	picture := `Deployment shop/web  Progressing (paused)
  generation 1   ◆  90% of the traffic
  generation 2   ●  10% of the traffic
    ◆ web-1                    Ready     first
    ● web-2                    Ready     
  paused by hand: adamant rollout resume
`
	if diff := cmp.Diff(halfway().Picture(false), picture); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestStartError(t *testing.T) {
	s := halfway()
	s.Reason, s.Instances[1].Phase, s.Instances[1].Message = "it crashed", "Running", "probe failed"
	for _, tt := range []struct {
		name string
		err  StartError
		want string
	}{
		{"paused", StartError{Workload: s}, "Deployment/web is paused, and would never start"},
		{"timed out", StartError{Workload: s, TimedOut: true, After: time.Minute}, "Deployment/web is not complete after 1m0s: 2 of 2 instances are ready; web-2: probe failed"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	s.Paused = false
	failed := StartError{Workload: s}
	if got, want := failed.Error(), "Deployment/web did not come about: it crashed"; got != want {
		t.Errorf("failed: got %q, want %q", got, want)
	}
	if i := failed.Drifted(); i == nil || i.Name != "web-1" {
		t.Errorf("got %v as the drifted instance, want web-1", i)
	}
}
