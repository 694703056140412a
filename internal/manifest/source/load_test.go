package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// Files, directories and standard input are one manifest: each object once, and
// errors by the name of its file.
func TestLoadAllAndJoin(t *testing.T) {
	t.Chdir(t.TempDir())
	pod := func(name string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec: {containers: [{name: c, image: i}]}\n"
	}
	if err := os.MkdirAll("dir/below", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"dir/b.yml": pod("b"), "dir/a.yaml": pod("a"), "dir/notes.txt": "{", "dir/below/x.yaml": pod("x"), "c.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := LoadAll(t.Context(), []string{"dir", "c.json", filepath.Join("dir", "a.yaml"), "-"}, strings.NewReader(pod("in")))
	if err != nil {
		t.Fatal(err)
	}
	f, err := manifest.Join(files...)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range f.Workloads() {
		got = append(got, w.Errorf("spec", "", "here").Error())
	}
	want := []string{"dir/a.yaml:4:1: spec: here", "dir/b.yml:4:1: spec: here", "standard input:4:1: spec: here"}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("workloads (-got +want):\n%s", d)
	}
	if len(f.ConfigMaps()) != 1 || f.Name != "dir/a.yaml, dir/b.yml, c.json and 1 more" {
		t.Errorf("%q has %v", f.Name, f.ConfigMaps())
	}

	// An edit of one part changes that part.
	edited, err := f.Edited(f.Workloads()[1].Set("spec.hostname", "h"))
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range edited.Parts() {
		if changed := string(part.Content()) != string(files[i].Content()); changed != (i == 1) {
			t.Errorf("%s is changed: %t", part.Name, changed)
		}
	}

	twice, err := manifest.Parse("again.yaml", []byte(pod("b")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Join(files[1], twice); err == nil || err.Error() != "again.yaml:1:1: metadata.name: Pod b is defined twice (the first is on line 1 of dir/b.yml)" {
		t.Errorf("got %v", err)
	}
	if _, err := LoadAll(t.Context(), []string{"dir/below/.."}, nil); err != nil {
		t.Error(err)
	}
	if err := os.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAll(t.Context(), []string{"empty"}, nil); err == nil || !strings.Contains(err.Error(), "no file ends in .yaml, .yml or .json") {
		t.Errorf("got %v", err)
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pod.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: i}]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Load(t.Context(), file)
	if err != nil || len(f.Workloads()) != 1 || f.Name != file {
		t.Errorf("got %+v, %v", f, err)
	}
	if _, err := Load(t.Context(), file+".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(ended, file); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestLoadDoesNotCutOff checks that a manifest that is too large is refused. Its
// beginning alone could be a complete manifest with another meaning.
func TestLoadDoesNotCutOff(t *testing.T) {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n#" + strings.Repeat("x", manifest.MaxFileSize)
	_, err := LoadAll(t.Context(), []string{"-"}, strings.NewReader(text))
	if err == nil || !strings.Contains(err.Error(), "larger than 32 MiB") {
		t.Errorf("got %v, want that the manifest is too large", err)
	}
}

// TestCapturedServer checks that the folder of a captured server can be named as a
// whole: its plan and its data are no manifests, but a manifest may be called plan.json.
func TestCapturedServer(t *testing.T) {
	t.Chdir(t.TempDir())
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n"
	for name, text := range map[string]string{
		"captured/manifest.yaml": pod, "captured/plan.json": `{"version":1,"release":"Debian"}`, "captured/data/srv/app.yaml": "{",
		"captured/secrets.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
		"other/plan.json":       `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c"}}`, "other/data/p.yaml": pod,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := LoadAll(t.Context(), []string{"captured", "other"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var loaded []string
	for _, f := range files {
		loaded = append(loaded, f.Name)
	}
	if d := cmp.Diff(loaded, []string{"captured/manifest.yaml", "captured/secrets.yaml", "other/plan.json"}); d != "" {
		t.Errorf("loaded (-got +want):\n%s", d)
	}
	got, _ := each(t, nil, "captured", "other")
	if d := cmp.Diff(got, []string{"captured/manifest.yaml:1 p", "captured/secrets.yaml:1 s", "other/data/p.yaml:1 p", "other/plan.json:1 c"}); d != "" {
		t.Errorf("read (-got +want):\n%s", d)
	}
}
