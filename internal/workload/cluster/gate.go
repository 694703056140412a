package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/adamant-sh/adamant/internal/workload/gate"
)

// askGate starts a gate unless it is running.
func (w *workload) askGate(name string) {
	if name == "" || w.gate.IsAsked(name) {
		return
	}
	var asked []gate.Candidate
	v := w.observed
	for _, rs := range slices.Concat(v.sets, v.trialSets) {
		if w.generation(v, rs) != w.record.Target {
			continue
		}
		for _, p := range v.pods[rs.UID] {
			if isReady, _ := readiness(p, time.Now()); isReady && p.DeletionTimestamp == nil {
				asked = append(asked, gate.Candidate{ID: p.Name, Instance: gatePod{w.Cluster, p}, Spec: &p.Spec})
			}
		}
	}
	if len(asked) == 0 {
		return // the instances are gone; the next observation finds others
	}
	g, gates := gate.New(name), w.policy.Gates
	w.gate = g
	w.gates.Go(func() { g.Ask(w.ctx, gates, func() []gate.Candidate { return asked }) })
}

// A gatePod implements gate.Instance through the API server, so that the
// cluster's network need not be reachable.
type gatePod struct {
	*Cluster
	pod *corev1.Pod
}

// defaultContainer is the annotation by which kubectl chooses a container, too.
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

// executor uses WebSocket and falls back to SPDY, as kubectl does.
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

// maxOutput bounds how much of a command's output is kept, in bytes.
const maxOutput = 4 << 10

// A boundedBuffer keeps the first maxOutput bytes that two streams write at
// once.
type boundedBuffer struct {
	mu   sync.Mutex
	kept []byte
}

// Write keeps the bytes that fit and discards the rest.
func (h *boundedBuffer) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, p[:min(len(p), maxOutput-len(h.kept))]...)
	return len(p), nil
}

// Fetch implements gate.Instance by the pod's subresource proxy. A page comes
// from a manifest, so ".." in it must not lead to another path of the API
// server, which would be requested with the permissions of the user.
func (r gatePod) Fetch(ctx context.Context, port int, page string) (int, error) {
	u, err := url.Parse(page)
	if err != nil {
		return 0, err
	}
	full := r.server.Get().AbsPath("/api/v1").Namespace(r.pod.Namespace).Resource("pods").
		Name(fmt.Sprintf("%s:%d", r.pod.Name, port)).SubResource("proxy").Suffix(path.Clean("/" + u.Path)).URL()
	full.RawQuery = u.RawQuery
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, full.String(), nil)
	if err != nil {
		return 0, err
	}
	once := *r.http // a copy that shares the transport and follows no redirects
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := once.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
