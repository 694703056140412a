//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/test/cluster/inspect"
)

// TestSameAsKubelet runs each manifest in testdata under the real kubelet and
// under the engine, with both releases of containerd, and compares the reports
// of their containers.
func TestSameAsKubelet(t *testing.T) {
	all := manifests(t)
	want := underKubelet(t, all)
	for _, runtime := range []struct{ name, bin string }{
		{"containerd 2", os.Getenv("ADAMANT_CLUSTER_CONTAINERD")},
		{"the machine's containerd", ""},
	} {
		t.Run(runtime.name, func(t *testing.T) {
			t.Setenv(containerd.BinDirEnv, runtime.bin)
			e := openEngine(t)
			for _, name := range slices.Sorted(maps.Keys(all)) {
				t.Run(name, func(t *testing.T) {
					got, err := underEngine(t, e, name, all[name])
					if err != nil && runtime.bin == "" && refusedBefore2(err) {
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					if d := cmp.Diff(want[name], got); d != "" {
						t.Errorf("containers see another world than under a kubelet (-kubelet +engine):\n%s", d)
					}
				})
			}
		})
	}
}

// underKubelet returns the reports of all containers, by pod and container
// name.
func underKubelet(t *testing.T, all map[string][]byte) map[string]map[string]inspect.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for name, data := range all {
		for doc := range strings.SplitSeq(string(data), "\n---\n") {
			if err := shared.cluster.Create(ctx, []byte(doc)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	reports := map[string]map[string]inspect.Report{}
	for name, data := range all {
		if err := shared.cluster.Finished(ctx, name); err != nil {
			t.Fatal(err)
		}
		reports[name] = map[string]inspect.Report{}
		for _, c := range containers(workload(t, name, data).Spec) {
			log, err := shared.cluster.Log(ctx, name, c)
			if err != nil {
				t.Fatal(err)
			}
			reports[name][c] = parseReport(t, log)
		}
	}
	return reports
}

// openEngine opens an engine with the images until the test ends.
func openEngine(t *testing.T) *pod.Engine {
	t.Helper()
	root, err := os.MkdirTemp(shared.dir, "engine-")
	if err != nil {
		t.Fatal(err)
	}
	state, err := os.MkdirTemp("/run", "engine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := containerd.Stop(context.Background(), containerd.Options{Root: root, State: state}); err != nil {
			t.Error(err)
		}
	})
	e, err := pod.Open(t.Context(), pod.Options{Root: root, State: state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, archive := range shared.archives {
		if _, err := e.Daemon().Import(t.Context(), archive, containerd.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// refusedBefore2 reports whether the engine correctly refuses a manifest that
// containerd before 2.0 cannot run.
func refusedBefore2(err error) bool {
	return strings.Contains(err.Error(), "spec.securityContext.supplementalGroupsPolicy is Strict, but this runtime cannot")
}

// underEngine returns the reports of a pod's containers, by name.
func underEngine(t *testing.T, e *pod.Engine, name string, data []byte) (map[string]inspect.Report, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := os.RemoveAll("/run/host"); err != nil { // of testdata/hostpath.yaml
		return nil, err
	}
	spec := workload(t, name, data)
	var events strings.Builder
	record := func(ev pod.Event) { fmt.Fprintln(&events, ev.Container, ev.Reason, ev.Message) }
	p, err := e.Create(ctx, spec, record)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, events.String())
	}
	defer func() {
		if err := p.Remove(context.WithoutCancel(ctx), 1, nil); err != nil {
			t.Error(err)
		}
	}()
	if err := p.Supervise(ctx, pod.Supervision{Events: record}); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, events.String())
	}
	reports := map[string]inspect.Report{}
	for _, c := range containers(spec.Spec) {
		var stdout, stderr strings.Builder
		if err := p.Logs(ctx, c, pod.LogOptions{}, &stdout, &stderr); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, events.String())
		}
		if stderr.Len() > 0 {
			return nil, fmt.Errorf("container %s wrote to stderr: %s", c, stderr.String())
		}
		reports[c] = parseReport(t, []byte(stdout.String()))
	}
	return reports, nil
}

func workload(t *testing.T, name string, data []byte) pod.PodSpec {
	t.Helper()
	f, err := manifest.Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	w := f.Workloads()[0]
	return pod.PodSpec{
		Namespace: w.Namespace, Name: pod.InstanceName(w.Kind, w.Name),
		Labels: w.Template.Labels, Annotations: w.Template.Annotations, Spec: w.Template.Spec,
		ConfigMaps: f.ConfigMaps(), Secrets: f.Secrets(),
	}
}

func containers(spec corev1.PodSpec) []string {
	var names []string
	for _, c := range append(slices.Clone(spec.InitContainers), spec.Containers...) {
		names = append(names, c.Name)
	}
	return names
}
