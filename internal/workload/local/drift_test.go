package local

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A container cannot escape its comparison by making it fail: an unknown that persists
// counts as drift. Comparisons within one interval count once.
func TestUnknownThatPersistsIsDrift(t *testing.T) {
	tests := map[string]struct {
		limit int
		looks []string      // what each of them finds
		every time.Duration // between them
		want  rollout.Drift // of the last one
	}{
		"two":                   {0, []string{"unknown", "unknown"}, 10 * time.Second, rollout.Unknown},
		"three":                 {0, []string{"unknown", "unknown", "unknown"}, 10 * time.Second, rollout.Drifted},
		"three at once":         {0, []string{"unknown", "unknown", "unknown"}, time.Second, rollout.Unknown},
		"a clean one between":   {0, []string{"unknown", "unknown", "", "unknown"}, 10 * time.Second, rollout.Unknown},
		"by policy":             {2, []string{"unknown", "unknown"}, 10 * time.Second, rollout.Drifted},
		"never":                 {-1, []string{"unknown", "unknown", "unknown", "unknown"}, 10 * time.Second, rollout.Unknown},
		"the runtime is silent": {0, []string{"runtime", "runtime", "runtime", "runtime"}, 10 * time.Second, rollout.Unknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &workload{controller: &Controller{opts: Options{driftEvery: 10 * time.Second}}}
				i := &instance{}
				var o outcome
				for _, look := range tt.looks {
					o = outcome{verdict: rollout.Unknown}
					switch look {
					case "unknown":
						o.unknown = "container app: /srv: changed while it was read"
					case "":
						o.verdict = rollout.Clean
					}
					w.persist(i, &o, rollout.Policy{Unknowns: tt.limit})
					time.Sleep(tt.every)
				}
				if o.verdict != tt.want {
					t.Errorf("got %s, want %s", o.verdict, tt.want)
				}
			})
		})
	}
}

// Evidence is saved again if the changes are other ones, ever more seldom.
func TestEvidenceIsSavedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workload{controller: &Controller{opts: Options{driftEvery: 10 * time.Second}}}
		i := &instance{}
		look := func(print string, want bool) {
			t.Helper()
			if got := w.isNews(i, outcome{print: print}); got != want {
				t.Errorf("at %s: got %t, want %t", print, got, want)
			}
			time.Sleep(10 * time.Second)
		}
		look("one", true)
		look("one", false)
		look("two", true) // 20 s later
		look("three", false)
		look("three", false)
		look("three", false)
		look("three", true) // 40 s later
	})
}

func TestFingerprint(t *testing.T) {
	report := func(path string, severity drift.Severity, size int64) []comparedContainer {
		return []comparedContainer{{&pod.Container{Name: "app"}, drift.Report{Changes: []drift.Change{
			{Path: path, Kind: drift.Added, Severity: severity, Got: &tree.Entry{Path: path, Size: size}},
		}}}}
	}
	base := fingerprint(report("/etc/x", drift.Medium, 1), drift.Medium)
	for _, tt := range []struct {
		name  string
		found []comparedContainer
		same  bool
	}{
		{"equal", report("/etc/x", drift.Medium, 1), true},
		{"other content", report("/etc/x", drift.Medium, 2), false},
		{"other path", report("/etc/y", drift.Medium, 1), false},
	} {
		if got := fingerprint(tt.found, drift.Medium) == base; got != tt.same {
			t.Errorf("%s: got %t", tt.name, got)
		}
	}
	if fingerprint(report("/a", drift.Low, 1), drift.Medium) != fingerprint(report("/b", drift.Low, 1), drift.Medium) {
		t.Error("a change that does not count as drift makes a difference")
	}
}

func TestVerdictOf(t *testing.T) {
	unknown := []tree.Unknown{{Path: "/", Err: tree.ErrChanged}}
	low := []drift.Change{{Severity: drift.Low}}
	for _, tt := range []struct {
		name    string
		report  drift.Report
		err     error
		want    rollout.Drift
		changes int
	}{
		{"nothing", drift.Report{}, nil, rollout.Clean, 0},
		{"not severe enough", drift.Report{Changes: low}, nil, rollout.Clean, 0},
		{"not listed", drift.Report{Changes: low, Omitted: map[drift.Severity]int{drift.High: 2}}, nil, rollout.Drifted, 2},
		{"not severe enough, and an unknown", drift.Report{Changes: low, Unknowns: unknown}, nil, rollout.Unknown, 0},
		{"drift before a deadline", drift.Report{Changes: []drift.Change{{Severity: drift.Critical}}, Unknowns: unknown}, nil, rollout.Drifted, 1},
		{"only unknowns that are not listed", drift.Report{OmittedUnknowns: 1}, nil, rollout.Unknown, 0},
		{"no comparison", drift.Report{}, errors.New("i/o error"), rollout.Unknown, 0},
	} {
		if got, n := verdictOf(tt.report, tt.err, drift.Medium); got != tt.want || n != tt.changes {
			t.Errorf("%s: got %s and %d changes, want %s and %d", tt.name, got, n, tt.want, tt.changes)
		}
	}
}
