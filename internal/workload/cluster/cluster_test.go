package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		},
	}
	objects := []runtime.Object{d}
	for n, version := range []string{"v1", "v2"} {
		d.Spec.Template = templateOf(version)
		objects = append(objects, replicaSetOf(d, n+1))
	}
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

// replicaSetOf returns the ReplicaSet of a Deployment's template, with one pod.
func replicaSetOf(d *appsv1.Deployment, revision int) *appsv1.ReplicaSet {
	template := *d.Spec.Template.DeepCopy()
	template.Labels = withEntry(template.Labels, hashLabel, strconv.Itoa(revision))
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-%d", d.Name, revision), Namespace: d.Namespace, UID: d.UID + types.UID(strconv.Itoa(revision)), ResourceVersion: "1",
			Labels:          template.Labels,
			Annotations:     map[string]string{revisionAnnotation: strconv.Itoa(revision)},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(1)), Template: template},
	}
}

func templateOf(version string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: version}}},
	}
}

func (w *workload) image(t *testing.T) string {
	t.Helper()
	d, err := w.deployments("shop").get(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	return d.Spec.Template.Spec.Containers[0].Image
}

// record writes a record to the scene's Deployment.
func (w *workload) recorded(t *testing.T, r record) {
	t.Helper()
	d, err := w.deployments("shop").get(t.Context(), "web")
	if err == nil {
		err = w.write(t.Context(), d, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.record = r
}

func TestAStateIsKeptOnTheDeployment(t *testing.T) {
	w := newScene(t)
	want := rollout.State{Target: 2, Stable: 1}.Begin(2, time.Now().Round(0))
	w.recorded(t, record{State: want})
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
	w.recorded(t, record{State: rollout.State{Stable: 1}.Begin(2, time.Now())})
	err := w.Update(func(_ rollout.Spec, s rollout.State) (rollout.State, []rollout.Event) {
		s.Target, s.Phase = 1, rollout.RollingBack
		return s, nil
	})
	if err != nil || w.image(t) != "v1" {
		t.Errorf("the template is of %s, %v: want v1", w.image(t), err)
	}
}

// TestARolloutOfAnother checks that a rollout ends, and changes nothing more, once
// another one began.
func TestARolloutOfAnother(t *testing.T) {
	for _, test := range []struct {
		name  string
		found record // on a Deployment of v2
		want  error
	}{
		{"another template", record{State: rollout.State{}.Begin(1, time.Now()), Apply: "mine"}, errTakenOver},
		{"another apply", record{State: rollout.State{}.Begin(2, time.Now()), Apply: "theirs"}, errOvertaken},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newScene(t)
			w.recorded(t, test.found)
			w.apply = "mine"
			err := w.Update(func(_ rollout.Spec, s rollout.State) (rollout.State, []rollout.Event) {
				t.Error("decided about the rollout of another")
				return s, nil
			})
			if !errors.Is(err, test.want) || !errors.Is(context.Cause(w.ctx), test.want) || w.image(t) != "v2" {
				t.Errorf("got %v, the context %v, the template of %s", err, context.Cause(w.ctx), w.image(t))
			}
		})
	}
}

// TestAPauseIsTheDeploymentsOwn checks that kubectl rollout pause and resume hold
// and continue a rollout, and that Adamant's commands do so by the same field.
func TestAPauseIsTheDeploymentsOwn(t *testing.T) {
	w := newScene(t)
	w.recorded(t, record{State: rollout.State{Stable: 1}.Begin(2, time.Now())})
	for _, want := range []bool{true, false} {
		err := w.UpdateState(t.Context(), "shop", "web", func(s rollout.State) rollout.State {
			s.Paused = want
			return s
		})
		if err != nil {
			t.Fatal(err)
		}
		d, err := w.deployments("shop").get(t.Context(), "web")
		if err != nil || d.Spec.Paused != want {
			t.Errorf("paused %v, %v: want %v", d.Spec.Paused, err, want)
		}
		err = w.Update(func(_ rollout.Spec, s rollout.State) (rollout.State, []rollout.Event) {
			if s.Paused != want {
				t.Errorf("the state is paused: %v, want %v", s.Paused, want)
			}
			return s, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestGenerations checks which generation a pod counts for, and that it counts as
// ending only once it is being deleted.
func TestGenerations(t *testing.T) {
	w := newScene(t)
	w.recorded(t, record{State: rollout.State{Stable: 1}.Begin(2, time.Now())})
	v, err := w.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, rs := range v.sets {
		if _, err := w.pods("shop").create(t.Context(), podOf(rs, rs.Name)); err != nil {
			t.Fatal(err)
		}
	}
	o, err := w.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, i := range o.Instances {
		if got[i.ID] = i.Generation; i.Ending {
			t.Errorf("pod %s is ending", i.ID)
		}
	}
	if d := cmp.Diff(map[string]int{"web-1": 1, "web-2": 2}, got); d != "" {
		t.Errorf("generations (-want +got):\n%s", d)
	}
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

// TestReclaimed checks that the template's fields of a rollback belong to the next
// apply, and that others keep theirs.
func TestReclaimed(t *testing.T) {
	entry := func(name string, operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
		e := metav1.ManagedFieldsEntry{Manager: name, Operation: operation, FieldsV1: &metav1.FieldsV1{}}
		e.FieldsV1.SetRawBytes([]byte(fields))
		return e
	}
	const apply, update = metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate
	for _, test := range []struct {
		name      string
		own, from metav1.ManagedFieldsEntry
		want      []string // fields of the two; none if nothing changes
	}{
		{"a rollback", entry(manager, apply, `{"f:spec":{"f:template":{"f:a":{}}}}`), entry(manager, update, `{"f:spec":{"f:paused":{},"f:template":{"f:b":{}}}}`),
			[]string{`{"f:spec":{"f:template":{"f:a":{},"f:b":{}}}}`, `{"f:spec":{"f:paused":{}}}`}},
		{"kubectl rollout undo", entry(manager, apply, `{"f:spec":{}}`), entry("kubectl", update, `{"f:spec":{"f:template":{"f:b":{}}}}`),
			[]string{`{"f:spec":{"f:template":{"f:b":{}}}}`, `{"f:spec":{}}`}},
		{"kubectl rollout restart", entry(manager, apply, `{"f:spec":{}}`), entry("kubectl-rollout", update, `{"f:spec":{"f:template":{"f:metadata":{"f:annotations":{"f:c":{}}}}}}`), nil},
		{"another manager", entry(manager, apply, `{"f:spec":{}}`), entry("kubectl-edit", update, `{"f:spec":{"f:template":{"f:b":{}}}}`), nil},
		{"never applied", entry("kubectl", apply, `{"f:spec":{}}`), entry("kubectl", update, `{"f:spec":{"f:template":{"f:b":{}}}}`), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			entries, changed, err := reclaimed([]metav1.ManagedFieldsEntry{test.own, test.from})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				if changed {
					got = append(got, string(e.FieldsV1.GetRawBytes()))
				}
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("fields (-want +got):\n%s", d)
			}
		})
	}
}
