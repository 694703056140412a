package gate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// An answer is the response of an instance to every check.
type answer struct {
	exit, status int
	output       string
	err          error
	asked        *[]string
}

func (a answer) Run(_ context.Context, command []string) (int, []byte, error) {
	*a.asked = append(*a.asked, command[len(command)-1])
	return a.exit, []byte(a.output), a.err
}

func (a answer) Fetch(_ context.Context, _ int, page string) (int, error) {
	*a.asked = append(*a.asked, page)
	return a.status, a.err
}

var declares80 = &corev1.PodSpec{Containers: []corev1.Container{{}, {Ports: []corev1.ContainerPort{{ContainerPort: 80}}}}}

func TestAsk(t *testing.T) {
	both := rollout.Gates{Command: "check", HTTP: "/healthz"}
	for _, tt := range []struct {
		name  string
		q     rollout.Gates
		first answer // of two instances; the second passes
		spec  *corev1.PodSpec
		why   string // part of the reason
		asked string
	}{
		{"passes", both, answer{status: 399}, declares80, "", "check /healthz check /healthz"},
		{"command fails", both, answer{exit: 3, output: "no\nmore", status: 200}, declares80, `instance one: command "check": exit status 3: no`, "check"},
		{"page fails", both, answer{status: 503}, declares80, "GET /healthz: status 503 Service Unavailable", "check /healthz"},
		{"cannot be asked", both, answer{err: errors.New("unreachable")}, declares80, "unreachable", "check"},
		{"no port", rollout.Gates{HTTP: "/healthz"}, answer{}, &corev1.PodSpec{}, "write :PORT/healthz", ""},
		{"port of its own", rollout.Gates{HTTP: ":81/"}, answer{status: 204}, &corev1.PodSpec{}, "", "/ /"},
		{"hostile port", rollout.Gates{HTTP: ":0x50/"}, answer{}, declares80, "from 1 to 65535", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			tt.first.asked = &asked
			g := New("all")
			if !g.IsAsked("all") || g.IsAsked("first") || g.Result().Done {
				t.Error("before it is asked: want it to be under way")
			}
			g.Ask(t.Context(), tt.q, func() []Candidate {
				return []Candidate{{"one", tt.first, tt.spec}, {"two", answer{status: 200, asked: &asked}, tt.spec}}
			})
			got := g.Result()
			if !got.Done || got.Gate != "all" || (got.Reason == "") != (tt.why == "") || !strings.Contains(got.Reason, tt.why) {
				t.Errorf("got %+v, want %q", got, tt.why)
			}
			if s := strings.Join(asked, " "); s != tt.asked {
				t.Errorf("asked %q, want %q", s, tt.asked)
			}
			if g.IsAsked("all") != (tt.why != "") {
				t.Error("only one that refused need not be asked again")
			}
		})
	}
	ended, end := context.WithCancel(t.Context())
	end()
	g := New("all")
	g.Ask(ended, both, func() []Candidate {
		return []Candidate{{"one", answer{err: context.Canceled, asked: new([]string)}, declares80}}
	})
	if g.Result().Done {
		t.Error("that nobody asks any more is no answer")
	}
	var never *Gate
	if never.IsAsked("all") || never.Result().Done {
		t.Error("one that was never asked has an answer")
	}
}

// TestMeasurementsRepeat checks how many measurements are made, when, and how many of
// them may fail.
func TestMeasurementsRepeat(t *testing.T) {
	for _, tt := range []struct {
		name   string
		q      rollout.Gates
		fails  []int // measurements that fail, from 1
		failed bool
		made   int
		took   time.Duration
	}{
		{"one", rollout.Gates{}, nil, false, 1, 0},
		{"warm-up", rollout.Gates{WarmUp: time.Minute}, nil, false, 1, time.Minute},
		{"all pass", rollout.Gates{Count: 4, Interval: 10 * time.Second}, nil, false, 4, 30 * time.Second},
		{"the first fails", rollout.Gates{Count: 4, Interval: 10 * time.Second}, []int{1}, true, 1, 0},
		{"one may fail", rollout.Gates{Count: 4, Interval: 10 * time.Second, Failures: 1}, []int{2}, false, 4, 30 * time.Second},
		{"two fail", rollout.Gates{Count: 4, Interval: 10 * time.Second, Failures: 1}, []int{2, 3}, true, 3, 20 * time.Second},
		{"the last fails", rollout.Gates{Count: 4, Interval: 10 * time.Second}, []int{4}, true, 4, 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.q.Command = "check"
				made, began := 0, time.Now()
				g := New("all")
				g.Ask(t.Context(), tt.q, func() []Candidate {
					made++
					a := answer{asked: new([]string)}
					if slices.Contains(tt.fails, made) {
						a.exit = 1
					}
					return []Candidate{{"one", a, declares80}}
				})
				got := g.Result()
				if !got.Done || (got.Reason != "") != tt.failed || got.Inconclusive != "" {
					t.Errorf("got %+v, want failed %v", got, tt.failed)
				}
				if took := time.Since(began); made != tt.made || took != tt.took {
					t.Errorf("%d measurements in %s, want %d in %s", made, took, tt.made, tt.took)
				}
			})
		})
	}
}

// TestAMeasurementWithoutAResult checks that it neither passes nor fails, and is made
// again after a while.
func TestAMeasurementWithoutAResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New("first")
		g.Ask(t.Context(), rollout.Gates{Command: "check"}, func() []Candidate { return nil })
		if got := g.Result(); !got.Done || got.Reason != "" || got.Inconclusive == "" {
			t.Errorf("with no instance: %+v", got)
		}
		if !g.IsAsked("first") {
			t.Error("it is asked again at once")
		}
		time.Sleep(askAgain)
		if g.IsAsked("first") {
			t.Error("it is not asked again")
		}
	})
}
