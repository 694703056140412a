package pod

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

func TestSizeLimit(t *testing.T) {
	e := openTest(t)
	s := withVolumes(testPod(t), mount{emptyDir("", "1Mi"), corev1.VolumeMount{MountPath: "/v"}})
	p := create(t, e, s)
	if err := p.Check(); err != nil {
		t.Errorf("an empty volume: %v", err)
	}
	run(t, p, "fill", "/v/big", "2000000")
	err := p.Check()
	if !isEvicted(err) || !strings.Contains(err.Error(), "more than its sizeLimit of 1Mi") {
		t.Errorf("got %v", err)
	}
	used, err := p.VolumeUsage()
	if name := s.Spec.Volumes[0].Name; err != nil || used[name] < 2000000 || used[name] > 3000000 {
		t.Errorf("volumes have %v bytes, error %v, want 2000000 and some in %s", used, err, name)
	}
}

// volumePath returns the directory of a volume on this machine.
func volumePath(p *Pod, name string) string {
	return translate.LocateVolumes(&p.rec.Spec, p.e.facts(&p.rec.Spec, newLayout(p.e.opts.Root, p.UID)))[name].Path
}

// A pod cannot hide files from its sizeLimit in directories that are nested too
// deep.
func TestSizeLimitOfWhatLiesTooDeep(t *testing.T) {
	e := openTest(t)
	s := withVolumes(testPod(t), mount{emptyDir("", "1Mi"), corev1.VolumeMount{MountPath: "/v"}})
	p := create(t, e, s)
	root, err := os.OpenRoot(volumePath(p, s.Spec.Volumes[0].Name))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	deep := strings.Repeat(strings.Repeat("d", 250)+"/", 20)
	if err := root.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile(deep+"big", make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(); !isEvicted(err) {
		t.Errorf("got %v, want that it is evicted", err)
	}
}

func TestPIDsLimit(t *testing.T) {
	e := openTest(t)
	e.opts.PIDs = 40
	p := create(t, e, testPod(t))
	if got := run(t, p, "fork", "200"); !strings.Contains(got, "resource temporarily unavailable") {
		t.Errorf("got %q, want a limit", got)
	}
}

func TestLogsFollow(t *testing.T) {
	e := openTest(t)
	dir := t.TempDir()
	s := testPod(t, "seq", "echo", "one", "--", "wait", "/shared/go", "--", "echo", "two")
	s.Spec.RestartPolicy = corev1.RestartPolicyNever
	p := create(t, e, shared(s, dir))
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	result := make(chan error, 1)
	go func() {
		defer write.Close()
		result <- p.Logs(context.Background(), "main", LogOptions{Follow: true}, write, write)
	}()
	var got [8]byte
	if _, err := read.Read(got[:]); err != nil || string(got[:4]) != "one\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(read); err != nil || rest.String() != "two\n" {
		t.Errorf("got %q, %v", rest.String(), err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// A large log is rotated, and the container writes to a new one.
func TestRotateLogs(t *testing.T) {
	e := openTest(t)
	dir := t.TempDir()
	p := create(t, e, shared(testPod(t, "seq", "spam", "11000000", "--", "wait", "/shared/go", "--", "echo", "after", "--", "sleep"), dir))
	w := &worker{podRuntime: podRuntime{e: e, rec: p.rec, l: newLayout(e.opts.Root, p.UID)}}
	log := filepath.Join(w.l.Logs(), translate.LogPath("main", 0))
	for {
		if info, err := os.Stat(log); err == nil && info.Size() > maxLog {
			break
		}
		if err := clock.Sleep(t.Context(), pollMin); err != nil {
			t.Fatal(err)
		}
	}
	w.rotateLogs(t.Context())
	if info, err := os.Stat(log + rotatedSuffix); err != nil || info.Size() < maxLog {
		t.Fatal(info, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for len(tail(log, 1)) == 0 || tail(log, 1)[0] != "after" {
		if err := clock.Sleep(t.Context(), pollMin); err != nil {
			t.Fatal(err)
		}
	}
}

// A pod with a damaged record is listed and can be removed.
func TestDamagedRecord(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	if err := os.WriteFile(newLayout(e.opts.Root, p.UID).record(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := e.Find(t.Context(), p.UID)
	if err != nil || found.Phase != Damaged || found.rec.damaged == nil {
		t.Fatalf("got %+v, %v", found, err)
	}
	if err := found.Remove(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	checkNothing(t, e)
}

// A pod that exceeds a limit is stopped for good, with the reason.
func TestSuperviseEvicts(t *testing.T) {
	e := openTest(t)
	s := testPod(t)
	s.Spec.ActiveDeadlineSeconds = new(int64(1))
	p := create(t, e, s)
	var r recorder
	err := await(t, supervise(t, p, &r), func(error) bool { return true })
	if !isEvicted(err) {
		t.Errorf("got %v, want that it was evicted", err)
	}
	if err := p.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Phase != Failed || !strings.Contains(p.Evicted, "activeDeadlineSeconds of 1") {
		t.Errorf("got phase %s, reason %q", p.Phase, p.Evicted)
	}
	if slices.Contains(r.reasons, "Started") {
		t.Errorf("it was started again: %v", r.reasons)
	}
}
