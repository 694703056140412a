//go:build cluster

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/workload/cluster"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/conformance"
)

// TestConfigurationOfAGeneration changes a ConfigMap alone, which must replace the
// pods, and together with a version that fails, which must restore it.
func TestConfigurationOfAGeneration(t *testing.T) {
	w := newKubeWorld(t)
	w.patient = true
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	text := func(version, color string, n conformance.Nature) string {
		settings := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {COLOR: %s}\n---", w.name, color)
		return settings + strings.Replace(w.manifest(version, n), "command: [", "envFrom: [{configMapRef: {name: "+w.name+"}}]\n        command: [", 1)
	}
	w.mustText(ctx, text("v1", "red", conformance.Good), rollout.Complete)
	red, before := w.settings(ctx, "red"), w.podNames(ctx)
	w.mustText(ctx, text("v1", "blue", conformance.Good), rollout.Complete)
	blue := w.settings(ctx, "blue")
	if after := w.podNames(ctx); slices.ContainsFunc(after, func(name string) bool { return slices.Contains(before, name) }) {
		t.Errorf("pods stayed although their ConfigMap changed: %v, %v", before, after)
	}
	w.mustText(ctx, text("v2", "green", conformance.Crashes), rollout.RolledBack)
	if got := w.settings(ctx, "blue"); got != blue || red == blue {
		t.Errorf("the ConfigMap was %s, then %s; after going back it is %s", red, blue, got)
	}
}

// settings returns the name of the ConfigMap that the Deployment refers to, which must
// be immutable, of one color, and owned by a ReplicaSet.
func (w *kubeWorld) settings(ctx context.Context, color string) string {
	w.t.Helper()
	name := w.deployment(ctx).Spec.Template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name
	var got corev1.ConfigMap
	if err := shared.cluster.api.get(ctx, namespace+"configmaps/"+name, &got); err != nil {
		w.t.Fatal(err)
	}
	if got.Data["COLOR"] != color || got.Immutable == nil || !*got.Immutable || len(got.OwnerReferences) != 1 || got.OwnerReferences[0].Kind != "ReplicaSet" {
		w.t.Errorf("ConfigMap %s: %v, immutable %v, owners %v: want %s", name, got.Data, got.Immutable, got.OwnerReferences, color)
	}
	return name
}

func (w *kubeWorld) podNames(ctx context.Context) []string {
	w.t.Helper()
	pods, err := w.pods(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return names(pods)
}

// TestFieldsAreKept applies manifests whose fields have other defaults than their own,
// and one that is paused: then nothing may be replaced until it is resumed.
func TestFieldsAreKept(t *testing.T) {
	w := newKubeWorld(t)
	w.patient = true
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	text := func(version string) string {
		return strings.NewReplacer(", type: RollingUpdate", "", "minReadySeconds: 2", "minReadySeconds: 0").Replace(w.manifest(version, conformance.Good))
	}
	w.mustText(ctx, text("v1"), rollout.Complete)
	if s := w.deployment(ctx).Spec.Strategy; s.Type != appsv1.RollingUpdateDeploymentStrategyType || s.RollingUpdate.MaxSurge.String() != "1" || s.RollingUpdate.MaxUnavailable.String() != "0" {
		t.Errorf("the strategy is %v", s)
	}
	if err := w.applyText(strings.Replace(text("v2"), "replicas: 3", "replicas: 3\n  paused: true", 1)); err != nil {
		t.Fatal(err)
	}
	if r, err := w.wait(ctx); err != nil || !r.Paused || r.Phase != rollout.Progressing {
		t.Errorf("got %+v, %v: want it paused", r, err)
	}
	time.Sleep(time.Second)
	if got, err := w.Instances(ctx); err != nil || got["v1"] != 3 || got["v2"] != 0 {
		t.Errorf("while it is paused there are %v, %v", got, err)
	}
	if err := w.cluster.Unpause(ctx, "default", w.name); err != nil {
		t.Fatal(err)
	}
	if err := w.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	if r, err := w.wait(ctx); err != nil || r.Phase != rollout.Complete {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestSteering watches, undoes and lists rollouts as the commands do.
func TestSteering(t *testing.T) {
	w := newKubeWorld(t)
	w.options = `adamant.sh/strategy: Canary, adamant.sh/canary-steps: "34% pause",`
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w.must(ctx, "v1", conformance.Good, rollout.Complete)
	if err := w.Apply(ctx, "v2", conformance.Good); err != nil {
		t.Fatal(err)
	}
	for s := (cluster.Status{}); !s.Paused; time.Sleep(100 * time.Millisecond) {
		var err error
		if s, err = w.cluster.Status(ctx, "default", w.name); err != nil {
			t.Fatal(err)
		}
	}
	s, err := w.cluster.Status(ctx, "default", w.name)
	if want := "Deployment/" + w.name + " generation 1: 3 of 3 available, 3 updated; generation 2 on trial: 2 ready in " + w.name +
		"-canary: Progressing, waits for adamant rollout resume"; err != nil || s.Line() != want {
		t.Errorf("got  %s, %v\nwant %s", s.Line(), err, want)
	}
	// Undo overtakes the apply, and removes no pod of the old version.
	before := w.podNames(ctx)
	if r, err := w.cluster.Undo(ctx, "default", w.name, 0, w.opts); err != nil || r.Phase != rollout.Complete || r.Generation != 1 {
		t.Errorf("undo: %+v, %v", r, err)
	}
	if r, err := w.wait(ctx); err != nil || r.Phase != cluster.Overtaken {
		t.Errorf("the apply ended with %+v, %v", r, err)
	}
	for _, name := range w.podNames(ctx) {
		if !slices.Contains(before, name) {
			t.Errorf("pod %s is new", name)
		}
	}
	w.options = ""
	w.must(ctx, "v3", conformance.Crashes, rollout.RolledBack)
	history, err := w.cluster.History(ctx, "default", w.name)
	if err != nil || len(history) != 2 || history[0].Phase != rollout.RolledBack || history[1].Phase != rollout.Failed || !strings.Contains(history[1].Reason, "crashed") {
		t.Errorf("the history is %+v, %v", history, err)
	}
	var events corev1.EventList
	if err := shared.cluster.api.get(ctx, namespace+"events?fieldSelector=involvedObject.kind%3DDeployment,involvedObject.name%3D"+w.name, &events); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(events.Items, func(e corev1.Event) bool { return e.Reason == "RolledBack" }) {
		t.Errorf("there is no event RolledBack among %d", len(events.Items))
	}
}

// TestMissingRights applies as a user who may not create Deployments or list pods.
// Nothing may be changed.
func TestMissingRights(t *testing.T) {
	w := newKubeWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w.must(ctx, "v1", conformance.Good, rollout.Complete)
	before := w.deployment(ctx)
	w.cluster = asUser(t, "somebody")
	if err := w.Apply(ctx, "v2", conformance.Good); err != nil {
		t.Fatal(err)
	}
	_, err := w.wait(ctx)
	var missing *cluster.RightsError
	if !errors.As(err, &missing) || !slices.Contains(missing.Missing, "patch deployments.apps in default") || !slices.Contains(missing.Missing, "list pods in default") {
		t.Errorf("got %v", err)
	}
	if after := w.deployment(ctx); after.Generation != before.Generation || after.Annotations["adamant.sh/rollout"] != before.Annotations["adamant.sh/rollout"] {
		t.Error("the Deployment was changed")
	}
}
