package capture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// capture runs a whole capture. The plan is encoded and parsed, as between
// machines.
func capture(t *testing.T, root *rootfs.Root, out string) (p Plan, digest string) {
	t.Helper()
	surveyed, err := Survey(t.Context(), root, SurveyOptions{})
	must(t, err)
	text, err := json.Marshal(surveyed)
	must(t, err)
	must(t, json.Unmarshal(text, &p))
	digest, err = Build(t.Context(), p, BuildOptions{Image: "adamant.test/captured:1", Out: out}, func(layer string) (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(WriteLayer(t.Context(), root, surveyed, layer, w)) }()
		return r, nil
	})
	must(t, err)
	return p, digest
}

func TestCapturedServerRuns(t *testing.T) {
	root, _ := serverRoot(t, adminChanges)
	out := filepath.Join(t.TempDir(), "image.tar")
	p, digest := capture(t, root, out)
	e := openEngine(t)
	loaded, err := e.Daemon().Import(t.Context(), out, containerd.ImportOptions{})
	must(t, err)
	if got := loaded[0].Digest.String(); got != digest {
		t.Errorf("loaded %s, Build said %s", got, digest)
	}
	dataDir := filepath.Join(t.TempDir(), "data")
	must(t, os.Mkdir(dataDir, 0o755))
	receiveData(t, p, root, dataDir)
	text, err := Manifest(p, ManifestOptions{Image: "adamant.test/captured:1", DataDir: dataDir})
	must(t, err)
	var secrets bytes.Buffer
	must(t, WriteSecrets(t.Context(), root, p, &secrets))
	secretText, err := SecretManifest(p, &secrets)
	must(t, err)
	f, err := manifest.Parse("captured.yaml", append(text, secretText...))
	must(t, err)
	nginx := runPod(t, e, f, "nginx")
	want(t, get(t, nginx, ":8080/index.html"), "of the data\n")
	want(t, get(t, nginx, ":8080/static/page"), "the edited site\n")
	redis := runPod(t, e, f, "redis-server")
	for i := 0; ; i++ {
		r, err := redis.ExecSync(t.Context(), "redis-server", []string{"redis-cli", "save"}, 10*time.Second)
		if err == nil && strings.TrimSpace(string(r.Stdout)) == "OK" {
			break
		}
		if i == 50 {
			t.Fatalf("redis does not save: %v %s %s; %v", err, r.Stdout, r.Stderr, redis.LastLines("redis-server", 10))
		}
		time.Sleep(100 * time.Millisecond)
	}
	saved, err := os.Stat(filepath.Join(dataDir, VolumeName("/var/lib/redis"), "dump.rdb"))
	if err != nil || saved.Size() == 0 {
		t.Errorf("redis saved nothing to its data: %v", err)
	}
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func receiveData(t *testing.T, p Plan, root *rootfs.Root, dataDir string) {
	t.Helper()
	to, err := rootfs.Open(dataDir)
	must(t, err)
	defer to.Close()
	for _, d := range p.Data {
		var archive bytes.Buffer
		unknown, err := WriteData(t.Context(), root, p, d.Path, &archive)
		must(t, err)
		if len(unknown) > 0 {
			t.Errorf("%s: unknown: %v", d.Path, unknown)
		}
		must(t, ReadData(t.Context(), p, d.Path, to, &archive, DataOptions{}))
	}
}

// runPod runs the workload called name.
func runPod(t *testing.T, e *pod.Engine, f manifest.File, name string) *pod.Pod {
	t.Helper()
	for _, w := range f.Workloads() {
		for _, problem := range manifest.Unsupported(w) {
			t.Errorf("not supported: %v", problem)
		}
		if w.Name != name {
			continue
		}
		p, err := e.Create(t.Context(), pod.PodSpec{
			Namespace: w.Namespace, Name: w.Name, Labels: w.Template.Labels, Annotations: w.Template.Annotations,
			Spec: w.Template.Spec, ConfigMaps: f.ConfigMaps(), Secrets: f.Secrets(),
		}, func(ev pod.Event) { t.Log(ev) })
		must(t, err)
		t.Cleanup(func() {
			if err := p.Remove(context.Background(), 0, nil); err != nil {
				t.Error(err)
			}
		})
		return p
	}
	t.Fatalf("no workload %s", name)
	return nil
}

func get(t *testing.T, p *pod.Pod, at string) string {
	t.Helper()
	var last error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get("http://" + p.IP + at)
		if err != nil {
			last = err
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusOK {
			return string(body)
		}
		last = fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	t.Fatalf("get %s: %v", at, last)
	return ""
}
