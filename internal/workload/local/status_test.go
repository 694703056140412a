package local

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/workload/balancer"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// Ports of Services are listed by name and number.
func TestServicesAreListedInOrder(t *testing.T) {
	one := func(name string, ports ...int32) *service {
		s := &service{Service: corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}}
		s.Spec.Selector = map[string]string{"app": "web"}
		for _, p := range ports {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Port: p})
		}
		return s
	}
	s := &services{controller: &Controller{ctx: t.Context()}, balancer: balancer.NewLocal(), list: map[string]*service{"default/web": one("web", 443, 80, 9090, 82), "default/admin": one("admin", 8080)}}
	var got []int32
	for _, status := range s.statusOf("default", map[string]string{"app": "web"}, s.balancer.Stats(t.Context())) {
		got = append(got, status.Port)
	}
	if diff := cmp.Diff(got, []int32{8080, 80, 82, 443, 9090}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

// A state in which one replacement left the budget's time and another was added is
// a different state, although their number is the same.
func TestStatesWithOtherReplacementsDiffer(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	state := func(replaced ...time.Time) rollout.State { return rollout.State{Replaced: replaced} }
	if !equalStates(state(at), state(at.Local())) {
		t.Error("the same times in two zones differ")
	}
	if equalStates(state(at), state(at.Add(time.Minute))) {
		t.Error("states with different replacements are equal")
	}
}
