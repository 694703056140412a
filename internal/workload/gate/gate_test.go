package gate

import (
	"context"
	"errors"
	"strings"
	"testing"

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
			g.Ask(t.Context(), tt.q, []Candidate{{"one", tt.first, tt.spec}, {"two", answer{status: 200, asked: &asked}, tt.spec}})
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
	g.Ask(ended, both, []Candidate{{"one", answer{err: context.Canceled, asked: new([]string)}, declares80}})
	if g.Result().Done {
		t.Error("that nobody asks any more is no answer")
	}
	var never *Gate
	if never.IsAsked("all") || never.Result().Done {
		t.Error("one that was never asked has an answer")
	}
}
