package render

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// writeFiles writes files to a new folder.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const testChart = "apiVersion: v2\nname: c\nversion: 1.0.0\n"

func TestHelm(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"Chart.yaml":        testChart,
		"templates/a.yaml":  "kind: A\napiVersion: v1\nvalue: {{ .Values.a }} {{ .Release.Name }} {{ .Release.Namespace }}\n---\nkind: B\napiVersion: v1\n",
		"crds/c.yaml":       "kind: C\napiVersion: v1\n",
		"values.yaml":       "a: 1\n",
		"other/values.yaml": "a: 2\n",
		"read.me":           "",
	})
	values := filepath.Join(dir, "other/values.yaml")
	result, err := new(HelmProgram).Helm(t.Context(), dir, ChartOptions{Values: []string{values}, Release: "r", Namespace: "n"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range result.Documents {
		name, _ := filepath.Rel(dir, d.File)
		got = append(got, name+" "+strings.Join(strings.Fields(string(d.Data)), " "))
	}
	want := []string{"crds/c.yaml kind: C apiVersion: v1", "templates/a.yaml kind: A apiVersion: v1 value: 2 r n", "templates/a.yaml kind: B apiVersion: v1"}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("documents (-got +want):\n%s", d)
	}
	got = nil
	for _, name := range result.Read {
		name, _ := filepath.Rel(dir, name)
		got = append(got, name)
	}
	if d := cmp.Diff(got, []string{"Chart.yaml", "crds/c.yaml", "templates/a.yaml", "values.yaml"}); d != "" {
		t.Errorf("files of the chart (-got +want):\n%s", d)
	}
}

func TestHelmEnds(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"Chart.yaml":       testChart,
		"templates/a.yaml": `{{ range until 1000000 }}{{ range until 1000000 }}{{ end }}{{ end }}`,
	})
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	h := new(HelmProgram)
	if err := h.find(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := h.Helm(ctx, dir, ChartOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "adamant-chart-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left", left, err)
	}
}

func TestHelmOutput(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"Chart.yaml":       testChart,
		"templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\ndata: {a: {{ repeat 2000000 \"x\" }}}\n",
	})
	_, err := (&HelmProgram{maxRendered: 1 << 20}).Helm(t.Context(), dir, ChartOptions{})
	if err == nil || !strings.Contains(err.Error(), "it renders to more than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestHelmMemory(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"Chart.yaml":       testChart,
		"templates/a.yaml": `{{ $a := list }}{{ range until 1000000 }}{{ $a = append $a (repeat 100000000 "x") }}{{ end }}`,
	})
	_, err := new(HelmProgram).Helm(t.Context(), dir, ChartOptions{})
	if err == nil || !strings.Contains(err.Error(), "it takes helm more than 2 GiB of memory") {
		t.Errorf("got %v", err)
	}
}

func TestHelmRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		files   map[string]string
		options ChartOptions
		want    manifest.FieldError
	}{
		{"no values", map[string]string{"templates/a.yaml": "a: b"}, ChartOptions{Values: []string{"gone.yaml"}}, manifest.FieldError{File: "Chart.yaml", Detail: "values gone.yaml: no such file or directory"}},
		{"nothing", nil, ChartOptions{}, manifest.FieldError{File: "Chart.yaml", Detail: "it renders to no object", Hint: "--values FILE or --set KEY=VALUE may enable some"}},
		{"an old cluster", map[string]string{"Chart.yaml": testChart + "kubeVersion: '>1.30'\n"}, ChartOptions{KubeVersion: "1.20"}, manifest.FieldError{
			File: "Chart.yaml", Detail: "helm: chart requires kubeVersion: >1.30 which is incompatible with Kubernetes v1.20", Hint: "--kube-version names the version of the cluster",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"Chart.yaml": testChart}
			for name, content := range tt.files {
				files[name] = content
			}
			dir := writeFiles(t, files)
			_, err := new(HelmProgram).Helm(t.Context(), dir, tt.options)
			var got manifest.FieldError
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			got.File, _ = filepath.Rel(dir, got.File)
			if d := cmp.Diff(got, tt.want); d != "" {
				t.Errorf("(-got +want):\n%s", d)
			}
		})
	}
	if _, err := new(HelmProgram).Helm(t.Context(), "gone", ChartOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// placeOf returns where a field of the only object of a chart comes from.
func placeOf(t *testing.T, files map[string]string, path string) string {
	t.Helper()
	files["Chart.yaml"] = testChart
	dir := writeFiles(t, files)
	result, err := new(HelmProgram).Helm(t.Context(), dir, ChartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d := manifest.ReadDocuments("rendered", 1, result.Documents[0].Data)[0]
	v, _ := d.Objects[0].Value.Follow(path, d.Objects[0].Value)
	p := result.Documents[0].Origin.PlaceOf(&d.Objects[0], path, d.PlaceOf(v))
	name, _ := filepath.Rel(dir, p.File)
	place := fmt.Sprintf("%s:%d", name, p.Line)
	if p.ValuesKey != "" {
		place += " " + p.ValuesKey
	}
	if p.RenderedOnly {
		place += " rendered only"
	}
	return place
}

func TestPlaceInChart(t *testing.T) {
	for _, tt := range []struct {
		name, template, values, path, want string
	}{
		{"text", "a: 1\nb: 2\n", "", "b", "templates/a.yaml:2"},
		{"text after a condition", "{{ if true }}\na: 1\n{{ end }}\n{{- if true }}\nb: 2\n{{- end }}\n", "", "b", "templates/a.yaml:5"},
		{"the same text twice", "a:\n  x: 1\nb:\n  x: 1\n", "", "b.x", "templates/a.yaml:4"},
		{"a value", "a: 1\nb: {{ .Values.b.c }}\n", "b:\n  c: 2\n", "b", "values.yaml:2 b.c"},
		{"a value that was changed", "a: {{ printf \"%s-%s\" .Values.b \"x\" }}\n", "b: name\n", "a", "values.yaml:1 b"},
		{"a mapping of values", "a:\n  {{- toYaml .Values.b | nindent 2 }}\nz: 1\n", "b:\n  c: 2\n  d: 3\n", "a.d", "values.yaml:3 b.d"},
		{"a missing field of it", "a:\n  {{- toYaml .Values.b | nindent 2 }}\nz: 1\n", "b:\n  c: 2\n", "a.d", "values.yaml:1 b"},
		{"with", "{{- with .Values.b }}\na: {{ .c }}\n{{- end }}\n", "b:\n  c: 2\n", "a", "values.yaml:2 b.c"},
		{"range", "a:\n{{- range .Values.b }}\n- name: {{ .name }}\n  x: {{ .x }}\n{{- end }}\n", "b:\n- {name: p, x: 5}\n- {name: q, x: 6}\n", "a[1].x", "values.yaml:3 b.1.x"},
		{"a variable", "{{- $v := .Values.b }}\na: {{ $v.c }}\n", "b:\n  c: 2\n", "a", "values.yaml:2 b.c"},
		{"a named template", "a: {{ include \"n\" . }}\n{{- define \"n\" }}{{ .Values.b }}{{ end }}\n", "b: 2\n", "a", "values.yaml:1 b"},
		{"a dict", "spec:\n  image: {{ include \"n\" (dict \"i\" .Values.image) }}\n{{- define \"n\" }}{{ .i.name }}:{{ .i.tag }}{{ end }}\n", "image:\n  name: n\n  tag: v1\n", "spec.image", "values.yaml:3 image.tag"},
		{"tpl", "a: {{ tpl .Values.b . }}\n", "b: '{{ .Release.Name }}'\n", "a", "templates/a.yaml:1"},
		{"random", "a: {{ randAlphaNum 9 }}\nb: 1\n", "", "b", "templates/a.yaml:2"},
		{"the name for a field of the object", "kind: A\nmetadata:\n  name: n\n", "", "immutable", "templates/a.yaml:3"},
		{"a block of text", "data: |\n  x\n\n  y\n{{ if true }}\n{{ end }}\nb: 1\n", "", "b", "templates/a.yaml:7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := placeOf(t, map[string]string{"templates/a.yaml": tt.template, "values.yaml": tt.values}, tt.path); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
