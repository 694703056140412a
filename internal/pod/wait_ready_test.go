package pod

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func httpProbe(path string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("web")}},
		PeriodSeconds: 1, FailureThreshold: 1,
	}
}

func TestWaitReady(t *testing.T) {
	e := openTest(t)
	server := func(t *testing.T) PodSpec {
		s := testPod(t, "serve", ":8080")
		s.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}
		return s
	}
	for _, tt := range []struct {
		name string
		spec func(*testing.T) PodSpec
		want []string // empty if the pod becomes ready
	}{
		{"no probes", func(t *testing.T) PodSpec { return testPod(t) }, nil},
		{"readiness", func(t *testing.T) PodSpec {
			s := server(t)
			s.Spec.Containers[0].ReadinessProbe = httpProbe("/")
			return s
		}, nil},
		{"all three", func(t *testing.T) PodSpec {
			s := server(t)
			c := &s.Spec.Containers[0]
			c.StartupProbe, c.LivenessProbe, c.ReadinessProbe = httpProbe("/"), httpProbe("/"), httpProbe("/")
			c.StartupProbe.FailureThreshold = 30
			return s
		}, nil},
		{"completed", func(t *testing.T) PodSpec {
			s := testPod(t, "exit", "0")
			s.Spec.RestartPolicy = corev1.RestartPolicyNever
			return s
		}, nil},
		{"crash on a read-only root", func(t *testing.T) PodSpec {
			s := testPod(t, "touch", "/run/app.pid")
			s.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: new(true)}
			return s
		}, []string{"container main ended with exit code 1", "/run/app.pid: Read-only file system (it needs a volume there)", "| prog: open /run/app.pid"}},
		{"last words", func(t *testing.T) PodSpec {
			return testPod(t, "seq", "write", "/dev/termination-log", "out of luck", "--", "exit", "2")
		}, []string{"exit code 2: out of luck"}},
		{"never ready", func(t *testing.T) PodSpec {
			s := server(t)
			s.Spec.Containers[0].ReadinessProbe = httpProbe("/file?name=/none")
			return s
		}, []string{"container main is not ready: readiness probe failed", "statuscode: 503", "deadline exceeded"}},
		{"never started", func(t *testing.T) PodSpec {
			s := server(t)
			s.Spec.Containers[0].StartupProbe = httpProbe("/file?name=/none")
			s.Spec.Containers[0].StartupProbe.FailureThreshold = 2 // the first probe may run before the program listens
			return s
		}, []string{"container main is not ready: startup probe failed", "statuscode: 503"}},
		{"probe by command", func(t *testing.T) PodSpec {
			s := testPod(t)
			s.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/prog", "exit", "9", "not yet"}}}, PeriodSeconds: 1}
			return s
		}, []string{"exit code 9: not yet"}},
		{"port that is not there", func(t *testing.T) PodSpec {
			s := testPod(t)
			s.Spec.Containers[0].StartupProbe = httpProbe("/")
			return s
		}, []string{`has no port "web"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := create(t, e, tt.spec(t))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if tt.want != nil {
				ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
			}
			err := p.WaitReady(ctx, nil)
			if (err == nil) != (tt.want == nil) {
				t.Errorf("got %v", err)
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

func TestHostPort(t *testing.T) {
	e := openTest(t)
	s := testPod(t, "serve", ":8080")
	s.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 8080, HostPort: 28080, HostIP: "127.0.0.1"}}
	s.Spec.Containers[0].ReadinessProbe = httpProbe("/")
	p := create(t, e, s)
	if err := p.WaitReady(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if n := e.Daemon().Network(); !n.HostPorts {
		t.Fatalf("no host ports: %s", n.Reason)
	}
	resp, err := http.Get("http://127.0.0.1:28080/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("got %s", resp.Status)
	}
}
