package pod

import (
	"errors"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// A pod of a pinned image runs that image even if another one was loaded with the
// same name. The image is removed only after it is unpinned.
func TestPin(t *testing.T) {
	e := openTest(t)
	const ref = "pinned.test/demo:1"
	if err := load(t.Context(), e, ref, versioned(t, "first")); err != nil {
		t.Fatal(err)
	}
	first, err := e.Daemon().Image(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := e.Pin(t.Context(), "tester", PodSpec{}, ref, corev1.PullNever)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Pinned{"pinned.test/demo@" + first.Digest.String(), first.Digest.String()}); pinned != want {
		t.Fatalf("got %+v, want %+v", pinned, want)
	}
	if again, err := e.Pin(t.Context(), "tester", PodSpec{}, pinned.Reference, corev1.PullNever); err != nil || again != pinned {
		t.Errorf("pinned again: got %+v, %v", again, err)
	}
	if err := load(t.Context(), e, ref, versioned(t, "second")); err != nil {
		t.Fatal(err)
	}
	old, err := e.Daemon().Image(t.Context(), pinned.Reference)
	if err != nil || !old.Pinned || len(old.Names) > 0 {
		t.Fatalf("the pinned image: %+v, %v", old, err)
	}
	if err := e.Daemon().RemoveImage(t.Context(), old.ID.String()); !errors.Is(err, containerd.ErrImagePinned) {
		t.Errorf("removed while pinned: got %v, want %v", err, containerd.ErrImagePinned)
	}
	for image, want := range map[string]string{pinned.Reference: "first\n", ref: "second\n"} {
		s := testPod(t)
		s.Name = "demo-" + want[:len(want)-1]
		s.Spec.Containers[0].Image, s.Spec.Containers[0].ImagePullPolicy = image, corev1.PullNever
		p := create(t, e, s)
		if got := run(t, p, "cat", "/data/version"); got != want {
			t.Errorf("%s: got %q, want %q", image, got, want)
		}
		if err := p.Remove(t.Context(), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Pin(t.Context(), "another", PodSpec{}, pinned.Reference, corev1.PullNever); err != nil {
		t.Fatal(err)
	}
	if err := e.UnpinAll(t.Context(), "another"); err != nil {
		t.Fatal(err)
	}
	if _, found, err := e.imageStatus(t.Context(), old.ID.String()); !found || err != nil {
		t.Errorf("given up by one of two holders it is gone: %v", err)
	}
	for range 2 { // the second call has no effect
		if err := e.Unpin(t.Context(), "tester", pinned.Reference); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Daemon().RemoveImage(t.Context(), ref); err != nil {
		t.Error(err)
	}
	if _, found, err := e.imageStatus(t.Context(), old.ID.String()); found || err != nil {
		t.Errorf("without a tag it is there after it was unpinned: %v", err)
	}
}

// A pinned image stays when its last tag is removed.
func TestPinUntagged(t *testing.T) {
	e := openTest(t)
	const ref = "pinned.test/untagged:1"
	if err := load(t.Context(), e, ref, versioned(t, "untagged")); err != nil {
		t.Fatal(err)
	}
	pinned, err := e.Pin(t.Context(), "tester", PodSpec{}, ref, corev1.PullNever)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Daemon().RemoveImage(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if _, found, err := e.imageStatus(t.Context(), pinned.Reference); !found || err != nil {
		t.Errorf("it is gone with its tag: %v", err)
	}
	if err := e.Unpin(t.Context(), "tester", pinned.Reference); err != nil {
		t.Fatal(err)
	}
}

func TestPinMissing(t *testing.T) {
	e := openTest(t)
	var missing *MissingImageError
	if _, err := e.Pin(t.Context(), "tester", PodSpec{}, "pinned.test/none:1", corev1.PullNever); !errors.As(err, &missing) {
		t.Errorf("got %v, want %T", err, missing)
	}
}

// versioned returns the tests' image with its version in a file.
func versioned(t *testing.T, version string) v1.Image {
	t.Helper()
	img, err := buildImage()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := layerOf(map[string]string{"data/version": version + "\n"})
	if err != nil {
		t.Fatal(err)
	}
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		t.Fatal(err)
	}
	return img
}
