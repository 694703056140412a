package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/cluster"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

func TestText(t *testing.T) {
	images := NewImageList([]pod.Image{
		{Names: []string{"docker.io/library/nginx:1.27", "registry.example/web:2"}, Digest: "sha256:0123456789abcdef", Size: 1536},
		{Digest: "sha256:fedcba9876543210"},
	})
	machine := NewMachine(pod.Programs{Runc: "/usr/sbin/runc", RuncVersion: "1.1.5"}, nil, []Feature{{Name: "seccomp", OK: true, Detail: "works"}, {Name: "ptrace", Without: "no tracing"}}, 1000)
	pods := &pod.Pod{Namespace: "default", Name: "web", Workload: "Pod/web", Phase: pod.Running, IP: "10.0.0.1", Created: time.Now()}
	pods.Containers = []pod.Container{
		{Name: "init", Init: true, State: pod.Exited, Restarts: 1},
		{Name: "proxy", Init: true, Sidecar: true, State: pod.Started},
		{Name: "web", State: pod.Exited, Restarts: 2},
	}
	for _, tt := range []struct {
		name   string
		result Text
		color  bool
		want   string
	}{
		{"images", images, false, `NAME                    DIGEST               SIZE
nginx:1.27              sha256:0123456789ab  1.5 KiB
registry.example/web:2  sha256:0123456789ab  1.5 KiB
<none>                  sha256:fedcba987654  0 B
`},
		{"loaded images", LoadedImages{images}, false, `nginx:1.27 registry.example/web:2  sha256:0123456789ab  1.5 KiB
  sha256:fedcba987654  0 B
`},
		{"machine", machine, false, `ok       runc                     /usr/sbin/runc 1.1.5
missing  iptables                 
                                  mend: apt-get install iptables (without it pods reach nothing outside and hostPort does not work)
ok       seccomp                  works
missing  ptrace                   
                                  without it: no tracing
missing  root                     this is user 1000
                                  mend: run adamant with sudo
`},
		{"machine with colours", Machine{Programs: []Program{{Name: "runc", Found: "/runc"}}}, true, "\x1b[32mok      \x1b[0m runc                     /runc\n"},
		{"pods", NewPodList([]*pod.Pod{pods}), false, `NAME  NAMESPACE  WORKLOAD  PHASE    CONTAINERS  RESTARTS  ADDRESS   AGE
web   default    Pod/web   Running  1/2         3         10.0.0.1  0s
`},
		{"rollouts in a cluster", NewClusterApplyResult([]cluster.Result{{Name: "web", Generation: 2, Phase: rollout.RolledBack, Reason: "it crashed"}}), false,
			"Deployment/web generation 2: RolledBack: it crashed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := tt.result.WriteText(&b, tt.color); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b.String(), tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
}

// On a terminal no line is broken in the middle of a word.
func TestFittedText(t *testing.T) {
	images := NewImageList([]pod.Image{{Names: []string{"registry.example/some/web:2"}, Digest: "sha256:0123456789abcdef", Size: 1536}})
	changes := NewDriftReportList([]inspect.Result{{Name: "web/main", Report: drift.Report{Changes: []drift.Change{{
		Path: "/etc/a/path/that/is/longer/than/a/line/of/it", Kind: drift.Added, Class: drift.Config, Severity: drift.High, Reason: "configuration of the system",
		Diff: "+a line of a file that is longer than the terminal\n",
	}}}}}, DriftOptions{})
	for _, tt := range []struct {
		name    string
		result  Text
		columns int
		want    string
	}{
		{"no terminal", images, 0, "NAME                         DIGEST               SIZE\nregistry.example/some/web:2  sha256:0123456789ab  1.5 KiB\n"},
		{"wide", images, 57, "NAME                         DIGEST               SIZE\nregistry.example/some/web:2  sha256:0123456789ab  1.5 KiB\n"},
		{"short digests", images, 50, "NAME                         DIGEST        SIZE\nregistry.example/some/web:2  0123456789ab  1.5 KiB\n"},
		{"narrow", images, 40, "registry.example/some/web:2\n    sha256:0123456789ab  1.5 KiB\n"},
		{"very narrow", images, 25, "registry.example/some/web:2\n    sha256:0123456789ab\n        1.5 KiB\n"},
		{"loaded", LoadedImages{images}, 40, "registry.example/some/web:2\n    sha256:0123456789ab  1.5 KiB\n"},
		{"drift", changes, 40, `web/main: 1 change (1 high)

HIGH
  +
/etc/a/path/that/is/longer/than/a/line/of/it
      added  (configuration:
      configuration of the system)
      +a line of a file that is longer
          than the terminal
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := (TextPrinter{Out: &b, Columns: tt.columns}).Print(tt.result); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b.String(), tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	changed := inspect.Result{Name: "web", Report: drift.Report{Changes: []drift.Change{{Path: "/etc/x", Kind: drift.Added}}}}
	unknown := inspect.Unknown("web", errors.New("it ended"))
	complete, failed := cluster.Result{Phase: rollout.Complete}, cluster.Result{Phase: rollout.Failed}
	unchecked := cluster.Result{Phase: rollout.Complete, Unchecked: []string{"web-1"}}
	for _, tt := range []struct {
		name   string
		result Result
		want   Verdict
	}{
		{"no instance", NewDriftReportList(nil, DriftOptions{}), Clean},
		{"drift", NewDriftReportList([]inspect.Result{changed}, DriftOptions{}), Findings},
		{"drift and an unknown", NewDriftReportList([]inspect.Result{changed, unknown}, DriftOptions{}), Incomplete},
		{"complete", NewClusterApplyResult([]cluster.Result{complete}), Clean},
		{"unchecked", NewClusterApplyResult([]cluster.Result{complete, unchecked}), Incomplete},
		{"unchecked and failed", NewClusterApplyResult([]cluster.Result{unchecked, failed}), Findings},
		{"all programs", NewMachine(pod.Programs{}, nil, nil, 0), Clean},
		{"a missing program", NewMachine(pod.Programs{}, &pod.MissingProgramsError{}, nil, 0), Findings},
		{"a user other than root", NewMachine(pod.Programs{}, nil, nil, 1000), Incomplete},
	} {
		if got := tt.result.Verdict(); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}
