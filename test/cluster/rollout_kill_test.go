//go:build cluster

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/cluster"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/conformance"
)

// killedManifest makes this program apply the manifest of that name as a process of
// its own, which can be killed.
const killedManifest = "ADAMANT_TEST_APPLY"

// applyAlone applies a manifest and returns the exit code of the process.
func applyAlone(kubeconfig, file string) int {
	data, err := os.ReadFile(file)
	if err == nil {
		err = applyManifest(kubeconfig, data)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func applyManifest(kubeconfig string, data []byte) error {
	f, err := manifest.Parse("manifest", data)
	if err != nil {
		return err
	}
	objects, err := f.Raw()
	if err != nil {
		return err
	}
	c, err := cluster.Open(kubeconfig, "test")
	if err != nil {
		return err
	}
	_, err = c.Apply(context.Background(), objects, cluster.Options{})
	return err
}

// TestAClientThatDies kills the client at random moments of rollouts, of good
// versions and of bad ones. Then somebody resumes the Deployment, undoes its rollout
// or does nothing. It must have all its ready pods all the time, and the next apply
// must complete. ADAMANT_KILLS sets the number of kills, ADAMANT_SEED their moments.
func TestAClientThatDies(t *testing.T) {
	kills, seed := setting(t, "ADAMANT_KILLS", 6), setting(t, "ADAMANT_SEED", int(time.Now().UnixNano()%1e6))
	t.Logf("ADAMANT_SEED=%d", seed)
	for n := range kills {
		r := rand.New(rand.NewPCG(uint64(seed), uint64(n)))
		options := []string{
			"",
			`adamant.sh/strategy: Canary, adamant.sh/canary-steps: "34% 1s, 67% 1s",`,
			"adamant.sh/gate-command: pass,",
			"adamant.sh/strategy: BlueGreen, adamant.sh/blue-green-hold: 2s,",
		}[n%4]
		nature := []conformance.Nature{conformance.Good, conformance.Good, conformance.Crashes}[r.IntN(3)]
		after := []string{"nothing", "resume", "undo"}[(n+n/4)%3]
		moment := time.Duration(r.IntN(9000)) * time.Millisecond
		t.Run(fmt.Sprintf("%d, %s, %s, then %s", n, moment, nature, after), func(t *testing.T) {
			w := newKubeWorld(t)
			w.options = options
			w.dies(nature, moment, after)
		})
	}
}

func setting(t *testing.T, name string, value int) int {
	t.Helper()
	if text := os.Getenv(name); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	return value
}

func (w *kubeWorld) dies(nature conformance.Nature, moment time.Duration, after string) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	w.patient = true
	text := func(version string, n conformance.Nature) string {
		return strings.Replace(w.manifest(version, n), "minReadySeconds: 2", "minReadySeconds: 1", 1)
	}
	w.mustText(ctx, text("v1", conformance.Good), rollout.Complete)
	least := w.leastReady(ctx)
	w.killAfter(text("v2", nature), moment)
	w.isOrdinary(ctx)
	switch after {
	case "resume":
		w.steer(ctx, "kubectl-rollout", `[{"op": "add", "path": "/spec/paused", "value": false}]`)
	case "undo":
		w.undo(ctx)
	}
	select { // the controller goes on by itself for a while
	case <-ctx.Done():
	case <-time.After(moment / 4):
	}
	w.mustText(ctx, text("v3", conformance.Good), rollout.Complete)
	if got := least(); got < conformance.Spec().Replicas {
		w.t.Errorf("only %d pods were ready for a while: want %d at any time", got, conformance.Spec().Replicas)
	}
	if got, err := w.Instances(ctx); err != nil || !maps.Equal(got, map[string]int{"v3": 3}) {
		w.t.Errorf("the pods are %v, %v: want 3 of v3", got, err)
	}
	for len(w.trials(ctx)) > 0 { // until their pods have ended, or fails at the end of ctx
		time.Sleep(100 * time.Millisecond)
	}
}

// killAfter applies a manifest by a process that is killed after some time.
func (w *kubeWorld) killAfter(text string, after time.Duration) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), after)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0]) // killed at the end of ctx
	cmd.Env = append(os.Environ(), killedManifest+"="+file, "KUBECONFIG="+shared.cluster.Kubeconfig())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.Exited()) {
		w.t.Fatalf("apply: %v: %s", err, out)
	}
}

// leastReady counts the ready pods until the result is called, which returns the
// smallest number.
func (w *kubeWorld) leastReady(ctx context.Context) (result func() int) {
	ctx, cancel := context.WithCancel(ctx)
	least, done := conformance.Spec().Replicas, make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if n, err := w.Ready(ctx); err == nil {
				least = min(least, n)
			}
			select {
			case <-ctx.Done():
			case <-time.After(30 * time.Millisecond):
			}
		}
	}()
	return func() int {
		cancel()
		<-done
		return least
	}
}

// isOrdinary requires that the Deployment is as any other: not paused, with its own
// strategy.
func (w *kubeWorld) isOrdinary(ctx context.Context) {
	w.t.Helper()
	d := w.deployment(ctx)
	if s := d.Spec.Strategy; d.Spec.Paused || s.RollingUpdate == nil || s.RollingUpdate.MaxSurge.String() != "1" || s.RollingUpdate.MaxUnavailable.String() != "0" {
		w.t.Errorf("paused %v, strategy %v: want those of the manifest", d.Spec.Paused, s)
	}
}

// steer patches the Deployment as kubectl does.
func (w *kubeWorld) steer(ctx context.Context, manager, patch string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, apiURL+w.path()+"?fieldManager="+manager, strings.NewReader(patch))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+shared.cluster.api.token)
	req.Header.Set("Content-Type", "application/json-patch+json")
	resp, err := shared.cluster.api.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("patch: %s", resp.Status)
	}
}

// undo does what kubectl rollout undo does: it restores the template and the
// annotations of the revision before the last.
func (w *kubeWorld) undo(ctx context.Context) {
	w.t.Helper()
	revision := func(rs appsv1.ReplicaSet) int {
		n, _ := strconv.Atoi(rs.Annotations["deployment.kubernetes.io/revision"])
		return n
	}
	var last, before *appsv1.ReplicaSet
	for _, rs := range w.sets(ctx) {
		switch {
		case rs.Annotations["deployment.kubernetes.io/revision"] == "" || rs.OwnerReferences[0].Name != w.name:
		case last == nil || revision(rs) > revision(*last):
			last, before = &rs, last
		case before == nil || revision(rs) > revision(*before):
			before = &rs
		}
	}
	if before == nil {
		return // kubectl refuses, too
	}
	d := w.deployment(ctx)
	template := before.Spec.Template.DeepCopy()
	delete(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	annotations := map[string]string{"deployment.kubernetes.io/revision": d.Annotations["deployment.kubernetes.io/revision"]}
	for name, value := range before.Annotations {
		if !strings.HasPrefix(name, "deployment.kubernetes.io/") {
			annotations[name] = value
		}
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/spec/template", "value": template},
		{"op": "replace", "path": "/metadata/annotations", "value": annotations},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.steer(ctx, "kubectl", string(patch))
}

// trials returns the names of other Deployments that the Deployment owns.
func (w *kubeWorld) trials(ctx context.Context) []string {
	w.t.Helper()
	var list appsv1.DeploymentList
	if err := shared.cluster.api.get(ctx, "/apis/apps/v1/namespaces/default/deployments", &list); err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, d := range list.Items {
		if len(d.OwnerReferences) > 0 && d.OwnerReferences[0].Name == w.name {
			names = append(names, d.Name)
		}
	}
	return names
}
