//go:build cluster

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/adamant-sh/adamant/internal/workload/cluster"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/conformance"
)

// TestDeploymentIsGivenBack rolls out a version and checks the state that the
// Deployment controller gets back.
func TestDeploymentIsGivenBack(t *testing.T) {
	w := newKubeWorld(t)
	w.patient = true
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata: {version: VERSION}\n---"
	for _, v := range []string{"v1", "v2"} {
		text := strings.NewReplacer("NAME", w.name, "VERSION", v).Replace(settings) + w.manifest(v, conformance.Good)
		w.mustText(ctx, text, rollout.Complete)
	}
	w.isGivenBack(ctx, "v2", "2")
	var got corev1.ConfigMap
	if err := shared.cluster.api.get(ctx, namespace+"configmaps/"+w.name, &got); err != nil || got.Data["version"] != "v2" {
		t.Errorf("the ConfigMap of the file has %v, %v", got.Data, err)
	}
	w.staysAsItIs(ctx)
}

// TestDeploymentIsGivenBackAfterGoingBack does the same with a version that
// fails.
func TestDeploymentIsGivenBackAfterGoingBack(t *testing.T) {
	w := newKubeWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w.must(ctx, "v1", conformance.Good, rollout.Complete)
	w.must(ctx, "v2", conformance.Crashes, rollout.RolledBack)
	w.isGivenBack(ctx, "v1", "3") // a revision of its own, as after kubectl rollout undo
	w.staysAsItIs(ctx)
}

// TestRolloutByStrategy counts the pods of each strategy.
func TestRolloutByStrategy(t *testing.T) {
	for _, s := range []struct {
		name, strategy string
		options        string
		held           time.Duration // how long all pods of both are there, or more
		most, least    int           // pods that are there, and are ready
	}{
		{"no surge", "{rollingUpdate: {maxSurge: 0, maxUnavailable: 1}, type: RollingUpdate}", "", 0, 4, 2},
		{"recreate", "{type: Recreate}", "", 0, 3, 0},
		{"blue and green", "{rollingUpdate: {maxSurge: 1, maxUnavailable: 0}, type: RollingUpdate}",
			"adamant.sh/strategy: BlueGreen, adamant.sh/blue-green-hold: 5s,", 5 * time.Second, 7, 3}, // surge after the switch
	} {
		t.Run(s.name, func(t *testing.T) {
			w := newKubeWorld(t)
			w.options, w.patient = s.options, true
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			text := func(version string) string {
				return strings.Replace(w.manifest(version, conformance.Good),
					"{rollingUpdate: {maxSurge: 1, maxUnavailable: 0}, type: RollingUpdate}", s.strategy, 1)
			}
			w.mustText(ctx, text("v1"), rollout.Complete)
			for _, version := range []string{"v2", "v1"} { // back to one whose ReplicaSet is there
				if err := w.applyText(text(version)); err != nil {
					t.Fatal(err)
				}
				most, least, held := w.extremes(ctx, 6)
				if most > s.most || least < s.least || held < s.held {
					t.Errorf("there were up to %d pods, 6 or more for %s, and as few as %d ready: want %d, %s, %d", most, held, least, s.most, s.held, s.least)
				}
				if got, err := w.Instances(ctx); err != nil || cmp.Diff(map[string]int{version: 3}, got) != "" {
					t.Errorf("got %v, %v", got, err)
				}
			}
		})
	}
}

// TestDeploymentOfOthers rolls back to a version that the Deployment controller
// rolled out for another client, whose fields are taken over only by force.
func TestDeploymentOfOthers(t *testing.T) {
	w := newKubeWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w.create(ctx, w.manifest("v1", conformance.Good))
	for w.deployment(ctx).Status.AvailableReplicas < 3 {
		time.Sleep(100 * time.Millisecond)
	}
	before, err := w.pods(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.conflicts(ctx, "v2", "Go-http-client")
	w.opts.Force = true
	w.must(ctx, "v2", conformance.Crashes, rollout.RolledBack)
	after, err := w.pods(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(names(before), names(after)); d != "" {
		t.Errorf("pods were replaced for a version that failed (-before +after):\n%s", d)
	}
}

// conflicts applies a version, which must be refused for fields of another manager.
func (w *kubeWorld) conflicts(ctx context.Context, version, manager string) {
	w.t.Helper()
	before := w.deployment(ctx)
	if err := w.Apply(ctx, version, conformance.Good); err != nil {
		w.t.Fatal(err)
	}
	_, err := w.wait(ctx)
	var conflict *cluster.ConflictError
	if !errors.As(err, &conflict) || !strings.Contains(err.Error(), manager) {
		w.t.Errorf("got %v: want a conflict with %s", err, manager)
	}
	if after := w.deployment(ctx); after.Generation != before.Generation {
		w.t.Error("it was changed although it was refused")
	}
}

func names(pods []corev1.Pod) []string {
	var list []string
	for _, p := range pods {
		list = append(list, p.Name)
	}
	return list
}

// create creates a Deployment without Adamant.
func (w *kubeWorld) create(ctx context.Context, text string) {
	w.t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := shared.cluster.api.call(ctx, http.MethodPost, "/apis/apps/v1/namespaces/default/deployments", data); err != nil {
		w.t.Fatal(err)
	}
}

// TestTemplateOfAnother changes the template of the Deployment during a
// rollout. The change must not be undone silently.
func TestTemplateOfAnother(t *testing.T) {
	w := newKubeWorld(t)
	w.patient = true
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w.must(ctx, "v1", conformance.Good, rollout.Complete)
	// The rollout must not end before the change.
	if err := w.Apply(ctx, "v2", conformance.NeverReady); err != nil {
		t.Fatal(err)
	}
	for w.deployment(ctx).Spec.Template.Labels["version"] != "v2" {
		time.Sleep(50 * time.Millisecond)
	}
	d := w.deployment(ctx)
	for d.Annotations["adamant.sh/rollout"] == "" || !strings.Contains(d.Annotations["adamant.sh/rollout"], `"target":2`) {
		d = w.deployment(ctx)
	}
	d.Spec.Template.Labels["version"] = "v3"
	d.ResourceVersion = ""
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shared.cluster.api.call(ctx, http.MethodPut, w.path(), data); err != nil {
		t.Fatal(err)
	}
	if r, err := w.wait(ctx); err != nil || r.Phase != cluster.Overtaken || !strings.Contains(r.Reason, "somebody else changed the pod template") {
		t.Errorf("got %+v, %v", r, err)
	}
	w.conflicts(ctx, "v4", "Go-http-client")
	w.opts.Force = true
	w.must(ctx, "v4", conformance.Good, rollout.Complete)
}

// TestCanaryByHand waits at a step until the rollout is resumed. Its result
// must list the pods that were not compared.
func TestCanaryByHand(t *testing.T) {
	w := newKubeWorld(t)
	w.options = `adamant.sh/strategy: Canary, adamant.sh/canary-steps: "33% pause",`
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w.must(ctx, "v1", conformance.Good, rollout.Complete)
	open := strings.Replace(w.manifest("v2", conformance.Good), "        securityContext: {readOnlyRootFilesystem: true}\n", "", 1)
	if err := w.applyText(open); err != nil {
		t.Fatal(err)
	}
	for s := (rollout.State{}); s.Held.IsZero(); time.Sleep(100 * time.Millisecond) {
		var err error
		if s, err = w.cluster.State(ctx, "default", w.name); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second)
	if got, err := w.Instances(ctx); err != nil || got["v2"] != 1 || got["v1"] != 3 {
		t.Errorf("got %v, %v: want one of v2 beside all of v1 while nobody resumes it", got, err)
	}
	resume := func(s rollout.State) rollout.State { return s.Resume(time.Now()) }
	if err := w.cluster.UpdateState(ctx, "default", w.name, resume); err != nil {
		t.Fatal(err)
	}
	r, err := w.wait(ctx)
	if err != nil || r.Phase != rollout.Complete || len(r.Unchecked) != 3 {
		t.Errorf("got %+v, %v: want all three pods unchecked", r, err)
	}
	w.changesNothing(ctx, open)
}

// changesNothing applies a manifest again, which must not change a pod or wait.
func (w *kubeWorld) changesNothing(ctx context.Context, text string) {
	w.t.Helper()
	before, err := w.pods(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.applyText(text); err != nil {
		w.t.Fatal(err)
	}
	if r, err := w.wait(ctx); err != nil || r.Phase != rollout.Complete {
		w.t.Fatalf("applied again: %+v, %v", r, err)
	}
	after, err := w.pods(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	if d := cmp.Diff(names(before), names(after)); d != "" {
		w.t.Errorf("applied again, it has other pods (-before +after):\n%s", d)
	}
}

// TestPodsThatCannotBe rolls back long before the deadline if pods cannot be
// created.
func TestPodsThatCannotBe(t *testing.T) {
	for _, test := range []struct{ name, replace, with, reason string }{
		{"no image", "inspector:1", "nothing:1", "ErrImageNeverPull"},
		{"not admitted", "containers:", "serviceAccountName: nobody\n      containers:", `serviceaccount "nobody" not found`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newKubeWorld(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			w.must(ctx, "v1", conformance.Good, rollout.Complete)
			text := strings.Replace(w.manifest("v2", conformance.Good), test.replace, test.with, 1)
			w.mustText(ctx, strings.Replace(text, "Seconds: 10", "Seconds: 60", 1), rollout.RolledBack)
			s, err := w.cluster.State(ctx, "default", w.name)
			if err != nil || !strings.Contains(s.Reason, test.reason) {
				t.Errorf("the reason is %q, %v", s.Reason, err)
			}
			if d := time.Since(s.Began); d > 30*time.Second {
				t.Errorf("it took %s to go back", d)
			}
		})
	}
}

func (w *kubeWorld) must(ctx context.Context, version string, n conformance.Nature, want rollout.Phase) {
	w.t.Helper()
	w.mustText(ctx, w.manifest(version, n), want)
}

func (w *kubeWorld) mustText(ctx context.Context, text string, want rollout.Phase) {
	w.t.Helper()
	if err := w.applyText(text); err != nil {
		w.t.Fatal(err)
	}
	r, err := w.wait(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.Phase != want || len(r.Unchecked) > 0 {
		w.t.Fatalf("got %+v: want %s", r, want)
	}
}

// isGivenBack requires that the Deployment has the fields of its manifest, with
// one active ReplicaSet.
func (w *kubeWorld) isGivenBack(ctx context.Context, version, revision string) {
	w.t.Helper()
	d := w.deployment(ctx)
	one, none := intstr.FromInt32(1), intstr.FromInt32(0)
	want := appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &one, MaxUnavailable: &none}}
	if diff := cmp.Diff(want, d.Spec.Strategy); diff != "" || d.Spec.Paused {
		w.t.Errorf("paused: %v, strategy (-want +got):\n%s", d.Spec.Paused, diff)
	}
	if got := d.Spec.Template.Labels["version"]; got != version {
		w.t.Errorf("the Deployment's template is of %s: want %s", got, version)
	}
	active := 0
	for _, rs := range w.sets(ctx) {
		if *rs.Spec.Replicas == 0 {
			continue
		}
		active++
		if got := rs.Annotations["deployment.kubernetes.io/revision"]; got != revision || rs.Labels["version"] != version {
			w.t.Errorf("ReplicaSet of %s has revision %s: want %s of %s", rs.Labels["version"], got, version, revision)
		}
	}
	if active != 1 {
		w.t.Errorf("%d ReplicaSets are active", active)
	}
}

// staysAsItIs requires that the Deployment controller creates, removes and
// scales nothing after the rollout.
func (w *kubeWorld) staysAsItIs(ctx context.Context) {
	w.t.Helper()
	look := func() map[string]string {
		seen := map[string]string{}
		pods, err := w.pods(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, p := range pods {
			seen["pod "+p.Name] = "is there"
		}
		for _, rs := range w.sets(ctx) {
			seen["ReplicaSet "+rs.Name] = fmt.Sprint(*rs.Spec.Replicas)
		}
		return seen
	}
	before := look()
	time.Sleep(3 * time.Second)
	if d := cmp.Diff(before, look()); d != "" {
		w.t.Errorf("the controller changed something (-before +after):\n%s", d)
	}
	d := w.deployment(ctx)
	if d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != 3 || d.Status.AvailableReplicas != 3 {
		w.t.Errorf("kubectl rollout status would not call it done: %+v", d.Status)
	}
}

// extremes waits for the end of a rollout and returns the largest number of pods,
// the smallest number of ready ones, and for how long there were many pods or more.
func (w *kubeWorld) extremes(ctx context.Context, many int) (most, least int, held time.Duration) {
	w.t.Helper()
	least = 3
	for last := time.Now(); ; {
		pods, err := w.pods(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		ready, err := w.Ready(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		most, least = max(most, len(pods)), min(least, ready)
		now := time.Now()
		if len(pods) >= many {
			held += now.Sub(last)
		}
		last = now
		select {
		case o := <-w.done:
			w.done <- o
			if r, err := w.wait(ctx); err != nil || r.Phase != rollout.Complete {
				w.t.Fatalf("got %+v, %v", r, err)
			}
			return most, least, held
		case <-time.After(30 * time.Millisecond):
		}
	}
}
