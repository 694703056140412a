package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/fake"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// newScene returns a workload with a Deployment and two ReplicaSets, of v1 and
// v2, of which the second has its template, and more objects.
func newScene(t *testing.T, more ...runtime.Object) *workload {
	t.Helper()
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "web", ResourceVersion: "1"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Strategy: recreateStrategy, Paused: true,
		},
	}
	objects := []runtime.Object{d}
	var sets []*appsv1.ReplicaSet
	for _, version := range []string{"v1", "v2"} {
		d.Spec.Template = templateOf(version)
		rs := newReplicaSet(d, sets)
		rs.UID, rs.ResourceVersion, rs.Spec.Replicas = d.UID+"-"+types.UID(version), "1", new(int32(1))
		sets, objects = append(sets, rs), append(objects, rs)
	}
	d.Annotations = map[string]string{strategyAnnotation: `{"strategy":{"type":"RollingUpdate"}}`}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := (&Cluster{objects: fake.NewSimpleDynamicClient(scheme, append(objects, more...)...)}).workload("shop", "web", Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	w.ctx, w.stop = ctx, cancel
	return w
}

func templateOf(version string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: version}}},
	}
}

func (w *workload) image(t *testing.T) string {
	t.Helper()
	d, _, err := w.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d.Spec.Template.Spec.Containers[0].Image
}

func TestAStateIsKeptOnTheDeployment(t *testing.T) {
	w := newScene(t)
	want := rollout.State{Target: 2, Stable: 1}.Begin(2, time.Now().Round(0))
	if err := w.updateState(2, func(rollout.State) rollout.State { return want }); err != nil {
		t.Fatal(err)
	}
	err := w.Update(func(_ rollout.Spec, got rollout.State) (rollout.State, []rollout.Event) {
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("state (-want +got):\n%s", d)
		}
		return got, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestGoingBackSetsTheTemplate(t *testing.T) {
	w := newScene(t)
	begun := rollout.State{Stable: 1}.Begin(2, time.Now())
	if err := w.updateState(2, func(rollout.State) rollout.State { return begun }); err != nil {
		t.Fatal(err)
	}
	err := w.Update(func(_ rollout.Spec, s rollout.State) (rollout.State, []rollout.Event) {
		s.Target, s.Phase = 1, rollout.RollingBack
		return s, nil
	})
	if err != nil || w.image(t) != "v1" {
		t.Errorf("the template is of %s, %v: want v1", w.image(t), err)
	}
}

func TestATemplateOfSomebodyElseStays(t *testing.T) {
	w := newScene(t)
	err := w.updateState(1, func(s rollout.State) rollout.State { return s.Begin(1, time.Now()) })
	if !errors.Is(err, errTakenOver) || !errors.Is(context.Cause(w.ctx), errTakenOver) || w.image(t) != "v2" {
		t.Errorf("got %v, the context %v, the template of %s", err, context.Cause(w.ctx), w.image(t))
	}
}

// TestObserveSeesWhatWasBegun checks that Observe shows pods as they will be
// once the ReplicaSet's controller has acted, so that a decision is not
// repeated.
func TestObserveSeesWhatWasBegun(t *testing.T) {
	w := newScene(t)
	sets := mustSets(t, w)
	pods := w.pods("shop")
	for _, name := range []string{"a", "b"} { // of v1, which is to have one
		p := podOf(sets[0], name)
		if name == "b" {
			p.Annotations = map[string]string{costAnnotation: lowestCost}
		}
		if _, err := pods.create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	o, err := w.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, i := range o.Instances {
		got[i.ID] = i.Ending
	}
	want := map[string]bool{"a": false, "b": true, pendingName(sets[1], 0): false}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ending by instance (-want +got):\n%s", d)
	}
}

func mustSets(t *testing.T, w *workload) []*appsv1.ReplicaSet {
	t.Helper()
	_, sets, err := w.current(t.Context())
	if err != nil || len(sets) != 2 {
		t.Fatal(sets, err)
	}
	if generation(sets[0]) == 2 {
		sets[0], sets[1] = sets[1], sets[0]
	}
	return sets
}

func podOf(rs *appsv1.ReplicaSet, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: rs.Namespace, Labels: rs.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))},
		},
		Spec: rs.Spec.Template.Spec,
	}
}

func TestDriftOfAPod(t *testing.T) {
	open := corev1.Container{Name: "open"}
	sealed := corev1.Container{Name: "sealed", SecurityContext: &corev1.SecurityContext{ReadOnlyRootFilesystem: new(true)}}
	always := corev1.ContainerRestartPolicyAlways
	sidecar := corev1.Container{Name: "sidecar", RestartPolicy: &always}
	says := func(d rollout.Drift, err error) func(context.Context, string) (rollout.Drift, error) {
		return func(context.Context, string) (rollout.Drift, error) { return d, err }
	}
	for _, test := range []struct {
		name    string
		spec    corev1.PodSpec
		checker func(context.Context, string) (rollout.Drift, error)
		want    rollout.Drift
	}{
		{"nobody looks", corev1.PodSpec{Containers: []corev1.Container{open}}, nil, rollout.Unchecked},
		{"nothing can be written", corev1.PodSpec{Containers: []corev1.Container{sealed}}, nil, rollout.Clean},
		{"one can be written", corev1.PodSpec{Containers: []corev1.Container{sealed, open}}, nil, rollout.Unchecked},
		{"an init container is over", corev1.PodSpec{Containers: []corev1.Container{sealed}, InitContainers: []corev1.Container{open}}, nil, rollout.Clean},
		{"a sidecar runs on", corev1.PodSpec{Containers: []corev1.Container{sealed}, InitContainers: []corev1.Container{sidecar}}, nil, rollout.Unchecked},
		{"looked at", corev1.PodSpec{Containers: []corev1.Container{open}}, says(rollout.Clean, nil), rollout.Clean},
		{"drifted", corev1.PodSpec{Containers: []corev1.Container{open}}, says(rollout.Drifted, nil), rollout.Drifted},
		{"cannot be looked at", corev1.PodSpec{Containers: []corev1.Container{open}}, says("", errors.New("no")), rollout.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newScene(t)
			w.opts.Drift = test.checker
			p := &corev1.Pod{Spec: test.spec}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", ContainerID: "containerd://1"}}
			if got := w.drift(t.Context(), p); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestGiveBack checks that a strategy which the manifest does not set keeps its
// value, also if the Deployment is paused by a rollout that was killed.
func TestGiveBack(t *testing.T) {
	w := newScene(t)
	held, _, err := w.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held.Annotations[strategyAnnotation] = `{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":3,"maxUnavailable":0}}}`
	for _, test := range []struct {
		name, strategy string
		before         *appsv1.Deployment
		want           string
	}{
		{"first", "", nil, "25%"},
		{"none said", "", held, "3"},
		{"said", "50%", held, "50%"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
			if test.strategy != "" {
				o.Object["spec"].(map[string]any)["strategy"] = map[string]any{
					"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxSurge": test.strategy},
				}
			}
			give, _, err := w.settingsAfter(o, test.before)
			if err != nil || give.Paused {
				t.Fatal(give, err)
			}
			if got := give.Strategy.RollingUpdate.MaxSurge.String(); got != test.want {
				t.Errorf("maxSurge %s: want %s", got, test.want)
			}
		})
	}
}
