package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/adamant-sh/adamant/internal/workload/gate"
)

// askGate begins to ask a gate, unless that is under way.
func (w *workload) askGate(ctx context.Context, name string) {
	if name == "" || w.gate.IsAsked(name) {
		return
	}
	var asked []gate.Candidate
	if rs := matching(w.observed.deployment, w.observed.sets); rs != nil {
		for _, i := range w.instances(ctx, rs, w.observed.pods[rs.UID]) {
			if p := podNamed(w.observed.pods[rs.UID], i.ID); p != nil && i.Ready && !i.Ending {
				asked = append(asked, gate.Candidate{ID: p.Name, Instance: gatePod{w.Cluster, p}, Spec: &p.Spec})
			}
		}
	}
	if len(asked) == 0 {
		return // they are gone again: the next look asks others
	}
	g, gates := gate.New(name), w.policy.Gates
	w.gate = g
	w.gates.Go(func() { g.Ask(w.ctx, gates, asked) })
}

func podNamed(pods []*corev1.Pod, name string) *corev1.Pod {
	for _, p := range pods {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// A gatePod is a pod as gates ask it: through the API server, so that nothing
// else need be reached.
type gatePod struct {
	*Cluster
	pod *corev1.Pod
}

// defaultContainer names the container that kubectl takes, too.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// Run implements gate.Instance by the pod's subresource exec.
func (r gatePod) Run(ctx context.Context, command []string) (int, []byte, error) {
	container := r.pod.Annotations[defaultContainer]
	if container == "" {
		container = r.pod.Spec.Containers[0].Name
	}
	request := r.server.Post().AbsPath("/api/v1").Namespace(r.pod.Namespace).Resource("pods").Name(r.pod.Name).SubResource("exec").
		Param("container", container).Param("stdout", "true").Param("stderr", "true")
	for _, word := range command {
		request.Param("command", word)
	}
	executor, err := r.executor(request.URL())
	if err != nil {
		return 0, nil, err
	}
	var out boundedBuffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &out})
	var exit exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitStatus(), out.kept, nil
	}
	return 0, out.kept, err
}

// executor speaks WebSocket, and SPDY with a server that does not, as kubectl
// does.
func (r gatePod) executor(u *url.URL) (remotecommand.Executor, error) {
	newer, err := remotecommand.NewWebSocketExecutor(r.config, http.MethodGet, u.String())
	if err != nil {
		return nil, err
	}
	older, err := remotecommand.NewSPDYExecutor(r.config, http.MethodPost, u)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(newer, older, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

// maxOutput bounds what is kept of a command's output, in bytes.
const maxOutput = 4 << 10

// A boundedBuffer is the beginning of what is written, by two streams at once.
type boundedBuffer struct {
	mu   sync.Mutex
	kept []byte
}

// Write keeps what there is room for, and takes the rest.
func (h *boundedBuffer) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, p[:min(len(p), maxOutput-len(h.kept))]...)
	return len(p), nil
}

// Fetch implements gate.Instance by the pod's subresource proxy.
func (r gatePod) Fetch(ctx context.Context, port int, page string) (int, error) {
	u, err := url.Parse(page)
	if err != nil {
		return 0, err
	}
	full := r.server.Get().AbsPath("/api/v1").Namespace(r.pod.Namespace).Resource("pods").
		Name(fmt.Sprintf("%s:%d", r.pod.Name, port)).SubResource("proxy").Suffix(u.Path).URL()
	full.RawQuery = u.RawQuery
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, full.String(), nil)
	if err != nil {
		return 0, err
	}
	once := *r.http // the transport is shared, the redirections are not followed
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := once.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
