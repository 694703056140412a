package local

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

func TestListenersOfAService(t *testing.T) {
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		port        string // its name
		want        traffic.Listener
		refused     bool
	}{
		{"http", nil, "http", traffic.Listener{Address: "127.0.0.1:80", Protocol: traffic.HTTP}, false},
		{"h2c", nil, "h2c", traffic.Listener{Address: "127.0.0.1:80", Protocol: traffic.TCP}, false},
		{"any", nil, "", traffic.Listener{Address: "127.0.0.1:80"}, false},
		{"address", map[string]string{annotationListen: "0.0.0.0:8080"}, "", traffic.Listener{Address: "0.0.0.0:8080"}, false},
		{"no address", map[string]string{annotationListen: "here"}, "", traffic.Listener{}, true},
		{"replace", map[string]string{annotationForwarded: "replace"}, "", traffic.Listener{Address: "127.0.0.1:80", Forwarding: traffic.ForwardReplace}, false},
		{"append", map[string]string{annotationForwarded: "append"}, "", traffic.Listener{Address: "127.0.0.1:80", Forwarding: traffic.ForwardAppend}, false},
		{"no forwarding", map[string]string{annotationForwarded: "true"}, "", traffic.Listener{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &service{Service: corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", Annotations: tt.annotations}}}
			s.Spec.Ports = []corev1.ServicePort{{Name: tt.port, Port: 80}}
			var want []traffic.Listener
			if !tt.refused {
				tt.want.Name, tt.want.Route.Shares = "default/web:80", map[string]int{}
				want = append(want, tt.want)
			}
			if diff := cmp.Diff(s.listeners(nil, nil, newDoors(exposed{}), nil), want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
			s.setFailed(nil, false)
			var annotation *rollout.AnnotationError
			if errors.As(s.err, &annotation) != tt.refused {
				t.Errorf("the error is %v", s.err)
			}
		})
	}
}
