package seal

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// An overlay is pinned by its images, and by its patch where several tags have one name. Its
// render has the digests, and a second time nothing changes.
func TestOverlayIsPinned(t *testing.T) {
	of := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	hide := strings.NewReplacer(of("a"), "DIGEST", of("b"), "OTHER")
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"base/kustomization.yaml": "resources: [pods.yaml]\n",
		"base/pods.yaml": pod("a", "registry.example/i:1") + pod("b", "old:1") + pod("c", "two:1") + pod("d", "two:2") +
			pod("e", "registry.example:5000/bare") + pod("f", "gone:1") + pod("g", "renamed"),
		"overlay/kustomization.yaml": "# ours\nresources: [../base]\nimages:\n- name: old\n  newName: new # soon\n  newTag: \"2.10\"\n- {name: renamed, newName: again}\n",
	})
	opts := Options{
		Fitter: learn.Fitter{Shared: []profile.Profile{copyUpProfile("registry.example/i:1")}},
		Pin: &Pinning{Resolve: func(_ context.Context, ref image.Reference) (image.Published, error) {
			if strings.Contains(ref.String(), "gone") {
				return image.Published{}, os.ErrNotExist
			}
			published := image.Published{Images: []image.PublishedImage{{Platform: image.NewPlatform("linux", "amd64", "")}}}
			if published.Digest = of("b"); strings.Contains(ref.String(), "/i:1") {
				published.Digest = of("a")
			}
			return published, nil
		}},
	}
	overlay := filepath.Join(dir, "overlay")
	for run := range 2 {
		r, err := Folders(t.Context(), []string{overlay}, opts)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Left) > 0 || len(r.NotPinned) != 1 || !strings.Contains(r.NotPinned[0].Error(), "gone:1 is not pinned") {
			t.Errorf("run %d: left: %v, not pinned: %v", run, r.Left, r.NotPinned)
		}
		for _, f := range r.Items {
			if run > 0 && f.Changes() {
				before, after, _ := f.Content()
				t.Errorf("run %d changes %s (-after +before):\n%s", run, f.Name, cmp.Diff(string(after), string(before)))
			}
			_, content, err := f.Content()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f.Name, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	without := opts
	without.Pin = nil
	if _, err := Folders(t.Context(), []string{overlay}, without); err == nil || !strings.Contains(err.Error(), "adamant-seal.yaml: it has digests of images, which would be lost: give --pin, too") {
		t.Errorf("sealing it without pinning: %v", err)
	}
	want := "# ours\nresources: [../base]\nimages:\n- name: old\n  newName: new # soon\n  newTag: \"2.10\"\n  digest: OTHER\n- {name: renamed, newName: again, digest: OTHER}\n" +
		"- name: registry.example/i\n  newTag: \"1\"\n  digest: DIGEST\n- name: registry.example:5000/bare\n  digest: OTHER\npatches:\n- path: adamant-seal.yaml\n"
	content, err := os.ReadFile(filepath.Join(overlay, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(hide.Replace(string(content)), want); d != "" {
		t.Errorf("kustomization (-got +want):\n%s", d)
	}
	patch, err := os.ReadFile(filepath.Join(overlay, source.PatchFile))
	if err != nil {
		t.Fatal(err)
	}
	documents, err := source.RenderPatched(t.Context(), overlay, nil, patch)
	if err != nil {
		t.Fatal(err)
	}
	var images []string
	for i := range documents {
		for _, f := range imageFields(&documents[i].Document) {
			images = append(images, hide.Replace(f.reference))
		}
	}
	if d := cmp.Diff(images, []string{
		"registry.example/i:1@DIGEST", "registry.example/i:1@DIGEST", "new:2.10@OTHER", "two:1@OTHER", "two:2@OTHER",
		"registry.example:5000/bare@OTHER", "gone:1", "again@OTHER",
	}); d != "" {
		t.Errorf("rendered images (-got +want):\n%s", d)
	}
}

// An object that is left keeps its image, and so do others by an entry that would change it.
func TestOverlayLeavesImages(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"kustomization.yaml":      "resources: [a, b, other.yaml]\n",
		"other.yaml":              pod("other", "i:1"),
		"a/kustomization.yaml":    "resources: [../base]\nnamePrefix: a-\n",
		"b/kustomization.yaml":    "resources: [../base]\nnamePrefix: b-\n",
		"base/kustomization.yaml": "resources: [pod.yaml]\n",
		"base/pod.yaml":           pod("p", "i:1"),
	})
	published := image.Published{Digest: "sha256:" + strings.Repeat("a", 64), Images: []image.PublishedImage{{Platform: image.NewPlatform("linux", "amd64", "")}}}
	r, err := Folders(t.Context(), []string{dir}, Options{
		Pin: &Pinning{Resolve: func(context.Context, image.Reference) (image.Published, error) { return published, nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Left) != 2 || r.Summary.Pinned != 1 || len(r.Items) != 2 {
		t.Fatalf("left: %v, %d pinned, %d files", r.Left, r.Summary.Pinned, len(r.Items))
	}
	_, patch, err := r.Items[0].Content()
	if err != nil || !strings.Contains(string(patch), "image: i:1@"+published.Digest) {
		t.Errorf("the patch has not the digest (%v):\n%s", err, patch)
	}
	_, kustomization, err := r.Items[1].Content()
	if err != nil || strings.Contains(string(kustomization), "images") {
		t.Errorf("the kustomization pins all images of the name (%v):\n%s", err, kustomization)
	}
}

// What is written is for the kustomization that was read: something was added to it.
func TestOverlayWasChanged(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"kustomization.yaml": "resources: [pod.yaml]\n", "pod.yaml": pod("p", "i:1")})
	r, err := Folders(t.Context(), []string{dir, dir + "/"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Items) != 2 {
		t.Fatalf("%d files: the same folder counts once", len(r.Items))
	}
	writeFiles(t, dir, map[string]string{"kustomization.yaml": "resources: [pod.yaml]\npatches:\n- path: p.yaml\n"})
	if _, _, err := r.Items[1].Content(); err == nil || !strings.Contains(err.Error(), "it was changed while it was read") {
		t.Errorf("got %v", err)
	}
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func pod(name, image string) string {
	return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec:\n  containers:\n  - name: c\n    image: " + image + "\n    imagePullPolicy: Always\n"
}
