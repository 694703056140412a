package containerd

import (
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestConnect connects to a daemon as if it were the machine's own containerd.
func TestConnect(t *testing.T) {
	d, o := startTest(t)
	other, err := Connect(t.Context(), d.CRI().Endpoint(), o.State)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if other.Private() || other.Snapshotter() != d.Snapshotter() {
		t.Errorf("private %v, snapshotter %q, want %q", other.Private(), other.Snapshotter(), d.Snapshotter())
	}
	if _, err := other.Import(t.Context(), layoutOf(t, testImage(t), "app:1"), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Image(t.Context(), "app:1"); err != nil {
		t.Error(err)
	}
	if _, err := Connect(t.Context(), "unix://"+filepath.Join(o.State, "nothing.sock"), o.State); err == nil {
		t.Error("connected to nothing")
	}
	if _, err := Connect(t.Context(), "tcp://x", o.State); err == nil || !strings.Contains(err.Error(), "unix://") {
		t.Errorf("got error %v, want one that says what an endpoint is", err)
	}
}

// TestPulledImages checks images that CRI pulled from a registry.
func TestPulledImages(t *testing.T) {
	d, _ := startTest(t)
	server := httptest.NewServer(registry.New(registry.Logger(discard())))
	defer server.Close()
	ref := strings.TrimPrefix(server.URL, "http://") + "/app:1"
	img := testImage(t)
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CRI().PullImage(t.Context(), &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}}); err != nil {
		t.Fatal(err)
	}
	got, err := d.Image(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest.String() != want.String() || len(got.Names) != 1 || got.Names[0] != ref {
		t.Errorf("got image %+v, want digest %s and name %s", got, want, ref)
	}
	testView(t, d, ref)
}

// TestCopyUpImage runs a program in the image for Adamant's own executable.
func TestCopyUpImage(t *testing.T) {
	d, _ := startTest(t)
	raw, err := buildProbe()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "adamant")
	if err := os.WriteFile(program, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	ensure := func() Image {
		t.Helper()
		if err := d.EnsureCopyUpImage(t.Context(), program); err != nil {
			t.Fatal(err)
		}
		img, err := d.Image(t.Context(), CopyUpImage)
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	first, again := ensure(), ensure()
	if first.ID != again.ID {
		t.Error("the same program makes another image")
	}
	if err := os.WriteFile(program, append(raw, 0), 0o755); err != nil {
		t.Fatal(err)
	}
	if changed := ensure(); changed.ID == first.ID {
		t.Error("another program makes the same image")
	}
	target := filepath.Join(t.TempDir(), "view")
	if err := d.Mount(t.Context(), CopyUpImage, target); err != nil {
		t.Fatal(err)
	}
	defer d.Unmount(t.Context(), target)
	info, err := os.Stat(filepath.Join(target, "adamant"))
	if err != nil || info.Mode() != 0o755 || info.Size() != int64(len(raw))+1 {
		t.Errorf("program in the image: %v, %v", info, err)
	}
	all, err := d.Images(t.Context())
	if err != nil || len(all) != 0 {
		t.Errorf("lists images of our own: %v, %v", all, err)
	}
}

// TestImageInUse checks that an image with a container is not removed.
func TestImageInUse(t *testing.T) {
	d, _ := startTest(t)
	loadProbe(t, d)
	id := startProbe(t, d, "user", "wait")
	if err := d.RemoveImage(t.Context(), probeName); !errors.Is(err, ErrImageInUse) {
		t.Errorf("got error %v, want ErrImageInUse", err)
	}
	if _, err := d.CRI().StopContainer(t.Context(), &runtimeapi.StopContainerRequest{ContainerId: id, Timeout: 5}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CRI().RemoveContainer(t.Context(), &runtimeapi.RemoveContainerRequest{ContainerId: id}); err != nil {
		t.Fatal(err)
	}
	if err := d.RemoveImage(t.Context(), probeName); err != nil {
		t.Error(err)
	}
}

// TestStartTakesNewSettings checks that a daemon with outdated settings is
// replaced while its pods keep running.
func TestStartTakesNewSettings(t *testing.T) {
	d, o := startTest(t)
	loadProbe(t, d)
	id := startProbe(t, d, "stays", "wait")
	before, err := findProcess(d.layout)
	if err != nil {
		t.Fatal(err)
	}
	defer before.close()
	// After an update of this package the name of the settings' file differs.
	old := before.config
	moved := filepath.Join(filepath.Dir(old), "000000000000.toml")
	if err := errors.Join(os.Rename(old, moved), os.Remove(d.layout.record())); err != nil {
		t.Fatal(err)
	}
	if err := before.stop(t.Context(), readyWithin); err != nil {
		t.Fatal(err)
	}
	s := settings{layout: d.layout}
	if s.binaries, err = Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := spawn(s, moved); err != nil {
		t.Fatal(err)
	}
	again, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	after, err := findProcess(d.layout)
	if err != nil {
		t.Fatal(err)
	}
	defer after.close()
	if after.config != old {
		t.Errorf("daemon runs with %s, want %s", after.config, old)
	}
	if got := statusOf(t, again, id); got.State != "CONTAINER_RUNNING" {
		t.Errorf("container is %v", got)
	}
}
