//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/cluster"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.World { return newKubeWorld(t) })
}

// worlds numbers the Deployments.
var worlds atomic.Int32

// A kubeWorld is a Deployment in the cluster.
type kubeWorld struct {
	t       *testing.T
	name    string
	cluster *cluster.Cluster
	opts    cluster.Options
	options string // annotations of every version
	patient bool   // a slow machine must not fail a version

	kill context.CancelFunc
	done chan outcome
}

// An outcome is the result of one drive.
type outcome struct {
	results []cluster.Result
	err     error
}

// newKubeWorld creates a world in parallel with other tests, which mostly wait.
func newKubeWorld(t *testing.T) *kubeWorld {
	t.Helper()
	t.Parallel()
	c, err := cluster.Open(shared.cluster.Kubeconfig(), "test")
	if err != nil {
		t.Fatal(err)
	}
	w := &kubeWorld{t: t, name: fmt.Sprintf("world-%d", worlds.Add(1)), cluster: c}
	w.opts = cluster.Options{
		Event:  func(workload string, e rollout.Event) { t.Log(workload, e.Reason, e.Message) },
		Report: func(workload string, err error) { t.Log(workload, err) },
	}
	t.Cleanup(func() {
		w.Kill()
		const now = `{"propagationPolicy": "Background", "gracePeriodSeconds": 0}`
		if _, err := shared.cluster.api.call(context.Background(), "DELETE", w.path(), []byte(now)); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *kubeWorld) path() string { return "/apis/apps/v1/namespaces/default/deployments/" + w.name }

// deployment is the manifest of a version with the values of conformance.Spec
// and a short grace period.
const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, annotations: {OPTIONS GATES}}
spec:
  replicas: 3
  minReadySeconds: 2
  progressDeadlineSeconds: 10
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}, type: RollingUpdate}
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME, version: VERSION}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: adamant.test/inspector:1
        imagePullPolicy: Never
        command: [/inspector]
        securityContext: {readOnlyRootFilesystem: true}
`

// natures are the changes to the manifest for each nature.
var natures = map[conformance.Nature]*strings.Replacer{
	conformance.Good: strings.NewReplacer(),
	// Without a probe the Deployment controller could take a pod that has crashed for an
	// available one, if the kubelet reports that late.
	conformance.Crashes:        strings.NewReplacer("[/inspector]", "[/inspector, crash]"+failingProbe),
	conformance.NeverReady:     strings.NewReplacer("[/inspector]", "[/inspector]"+failingProbe),
	conformance.Passes:         serving,
	conformance.CommandRefuses: serving,
	conformance.PageRefuses:    serving,
}

const failingProbe = "\n        readinessProbe: {exec: {command: [/inspector, fail]}, periodSeconds: 1}"

var serving = strings.NewReplacer("[/inspector]", "[/inspector, serve]\n        ports: [{containerPort: 8080}]")

// gates are the annotations of each nature.
var gates = map[conformance.Nature]string{
	conformance.Passes:         `adamant.sh/gate-command: pass, adamant.sh/gate-http: "/good?a=b"`,
	conformance.CommandRefuses: "adamant.sh/gate-command: refuse",
	conformance.PageRefuses:    `adamant.sh/gate-http: ":8080/bad"`,
}

func (w *kubeWorld) manifest(version string, n conformance.Nature) string {
	text := deployment
	if w.patient {
		text = strings.Replace(text, "DeadlineSeconds: 10", "DeadlineSeconds: 60", 1)
	}
	return natures[n].Replace(strings.NewReplacer("NAME", w.name, "VERSION", version, "OPTIONS", w.options, "GATES", gates[n]).Replace(text))
}

func (w *kubeWorld) Apply(_ context.Context, version string, n conformance.Nature) error {
	return w.applyText(w.manifest(version, n))
}

func (w *kubeWorld) applyText(text string) error {
	w.Kill()
	f, err := manifest.Parse("manifest", []byte(text))
	if err != nil {
		return err
	}
	objects, err := f.Raw()
	if err != nil {
		return err
	}
	w.drive(func(ctx context.Context) outcome {
		results, err := w.cluster.Apply(ctx, objects, w.opts)
		return outcome{results, err}
	})
	return nil
}

func (w *kubeWorld) Resume(context.Context) error {
	w.drive(func(ctx context.Context) outcome {
		r, err := w.cluster.Resume(ctx, "default", w.name, w.opts)
		return outcome{[]cluster.Result{r}, err}
	})
	return nil
}

// drive runs a rollout until it is killed or has ended.
func (w *kubeWorld) drive(f func(context.Context) outcome) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan outcome, 1)
	go func() { done <- f(ctx) }()
	w.kill, w.done = cancel, done
}

func (w *kubeWorld) Kill() {
	if w.kill != nil {
		w.kill()
		<-w.done
		w.kill = nil
	}
}

func (w *kubeWorld) Wait(ctx context.Context) (rollout.State, error) {
	if _, err := w.wait(ctx); err != nil {
		return rollout.State{}, err
	}
	return w.cluster.State(ctx, "default", w.name)
}

func (w *kubeWorld) wait(ctx context.Context) (cluster.Result, error) {
	select {
	case <-ctx.Done():
		return cluster.Result{}, ctx.Err()
	case o := <-w.done:
		w.kill()
		w.kill = nil
		if o.err != nil || len(o.results) != 1 {
			return cluster.Result{}, fmt.Errorf("%d results: %w", len(o.results), o.err)
		}
		return o.results[0], nil
	}
}

func (w *kubeWorld) Instances(ctx context.Context) (map[string]int, error) {
	pods, err := w.pods(ctx)
	counts := map[string]int{}
	for _, p := range pods {
		counts[p.Labels["version"]]++
	}
	return counts, err
}

func (w *kubeWorld) Ready(ctx context.Context) (int, error) {
	pods, err := w.pods(ctx)
	n := 0
	for _, p := range pods {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				n++
			}
		}
	}
	return n, err
}

// pods returns the Deployment's pods that are not ending.
func (w *kubeWorld) pods(ctx context.Context) ([]corev1.Pod, error) {
	var list corev1.PodList
	if err := shared.cluster.api.get(ctx, namespace+"pods?labelSelector=app%3D"+w.name, &list); err != nil {
		return nil, err
	}
	var pods []corev1.Pod
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	return pods, nil
}

func (w *kubeWorld) deployment(ctx context.Context) *appsv1.Deployment {
	w.t.Helper()
	var d appsv1.Deployment
	if err := shared.cluster.api.get(ctx, w.path(), &d); err != nil {
		w.t.Fatal(err)
	}
	return &d
}

// sets returns the ReplicaSets of the Deployment.
func (w *kubeWorld) sets(ctx context.Context) []appsv1.ReplicaSet {
	w.t.Helper()
	var list appsv1.ReplicaSetList
	if err := shared.cluster.api.get(ctx, "/apis/apps/v1/namespaces/default/replicasets?labelSelector=app%3D"+w.name, &list); err != nil {
		w.t.Fatal(err)
	}
	var owned []appsv1.ReplicaSet
	for _, rs := range list.Items {
		if metav1.GetControllerOf(&rs) != nil {
			owned = append(owned, rs)
		}
	}
	return owned
}
