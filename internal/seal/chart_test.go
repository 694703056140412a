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

// podOf returns a template of a pod whose only container has fields.
func podOf(name, fields string) string {
	return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec:\n  containers:\n  - name: c\n" +
		"    securityContext: {readOnlyRootFilesystem: true}\n    " + strings.ReplaceAll(fields, "\n", "\n    ") + "\n"
}

// The images of a chart are pinned by the value that it has for that: a digest, or else a tag
// or image. One whose tag is also in a label is left, and so is a fixed one.
func TestChartIsPinned(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	hide := strings.NewReplacer(digest, "DIGEST", digest[7:], "HEX")
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: 1.5\n",
		"values.yaml": "tagged: {tag: '1'}\nnumber: {tag: 1.25}\ndefault: {tag: ''}\n" +
			"digested: {tag: v1, digest: ''}\nalone: {tag: v1, digest: ''}\nlist: {tag: '1'}\n" +
			"hex: {tag: v1}\nwhole: {image: 'host:5000/w:1'}\nlabel: {tag: '1'}\npolicy: {tag: '1', pullPolicy: Always}\n",
		"templates/pods.yaml": podOf("tagged", "image: i:{{ .Values.tagged.tag }}") +
			podOf("number", "image: i:{{ .Values.number.tag }}") +
			podOf("default", "image: i:{{ .Values.default.tag | default .Chart.AppVersion }}") +
			podOf("digested", "image: i:{{ .Values.digested.tag }}{{ with .Values.digested.digest }}@{{ . }}{{ end }}") +
			podOf("alone", "image: i{{ with .Values.alone.digest }}@{{ . }}{{ else }}:{{ .Values.alone.tag }}{{ end }}") +
			podOf("hex", "image: i:{{ .Values.hex.tag }}{{ with .Values.hex.sha }}@sha256:{{ . }}{{ end }}") +
			podOf("whole", "image: {{ .Values.whole.image }}") +
			podOf("fixed", "image: i:1") +
			podOf("label", "image: i:{{ .Values.label.tag }}\n"+
				"env: [{name: VERSION, value: {{ .Values.label.tag | quote }}}]") +
			podOf("policy", "image: i:{{ .Values.policy.tag }}\nimagePullPolicy: {{ .Values.policy.pullPolicy }}") +
			"---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: list}\n  spec:\n" +
			"    containers: [{name: c, image: 'i:{{ .Values.list.tag }}', securityContext: {readOnlyRootFilesystem: true}}]\n",
	})
	opts := Options{Pin: &Pinning{Resolve: func(context.Context, image.Reference) (image.Published, error) {
		platform := image.NewPlatform("linux", "amd64", "")
		return image.Published{Digest: digest, Images: []image.PublishedImage{{Platform: platform}}}, nil
	}}}
	want := valuesHeader + `
alone:
  digest: DIGEST
default:
  tag: 1.5@DIGEST
digested:
  digest: DIGEST
hex:
  sha: HEX
list:
  tag: 1@DIGEST
number:
  tag: 1.25@DIGEST
policy:
  pullPolicy: IfNotPresent
  tag: 1@DIGEST
tagged:
  tag: 1@DIGEST
whole:
  image: host:5000/w:1@DIGEST
`
	for run := range 2 {
		r, err := Folders(t.Context(), []string{dir}, opts)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.NotUnderstood)+len(r.Left) > 0 || r.Summary.Pinned != 9 || len(r.Items) != 1 {
			t.Fatalf("run %d: %v, left: %v, %+v", run, r.NotUnderstood, r.Left, r.Summary)
		}
		if r.Items[0].Changes() != (run == 0) {
			t.Errorf("run %d: the file changes: %v", run, run != 0)
		}
		const why = "is not pinned by values: no value of the chart sets containers[c].image and nothing else"
		if e := r.NotPinned.Error(); len(r.NotPinned) != 2 || strings.Count(e, why) != 2 {
			t.Errorf("run %d: not pinned: %v", run, e)
		}
		_, content, err := r.Items[0].Content()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(hide.Replace(string(content)), want); d != "" {
			t.Errorf("run %d: values (-got +want):\n%s", run, d)
		}
		if err := os.WriteFile(r.Items[0].Name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Folders(t.Context(), []string{dir}, Options{})
	if err == nil || !strings.Contains(err.Error(), "give --pin, too") {
		t.Errorf("sealing it without pinning: %v", err)
	}
	given := Options{Charts: source.ChartOptions{Values: []string{filepath.Join(dir, source.ValuesFile)}}}
	if r, err := Folders(t.Context(), []string{dir}, given); err != nil || len(r.Items) > 0 {
		t.Errorf("sealing it with its values: %v", err)
	}
}

// One value for several containers is used if all of them need it, and is not if one is left.
func TestChartValueIsShared(t *testing.T) {
	container := func(name, fields string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec:\n" +
			"  containers:\n  - name: c\n    image: registry.example/" + name + ":1\n" +
			"    securityContext: {{ " + fields + " | toJson }}\n"
	}
	needs := copyUpProfile("registry.example/b:1")
	needs.Containers[0].Volumes = []profile.Volume{{MountPath: "/tmp"}}
	const global = ".Values.global.securityContext"
	const both = "merge dict (.Values.a.securityContext | default dict) (.Values.global.securityContext | default dict)"
	for _, tt := range []struct {
		name, a, b string
		profiles   []profile.Profile
		want       string
		left       int
	}{
		{"by all", global, global, nil, "global:\n  securityContext:\n    readOnlyRootFilesystem: true\n", 0},
		{"one of its own, too", both, global, []profile.Profile{needs}, "a:\n  securityContext:\n    readOnlyRootFilesystem: true\n", 1},
		{"by one that is left", global, global, []profile.Profile{needs}, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, map[string]string{
				"Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\n", "values.yaml": "a: {}\nglobal: {}\n",
				"templates/a.yaml": container("a", tt.a), "templates/b.yaml": container("b", tt.b),
			})
			r, err := Folders(t.Context(), []string{dir}, Options{Fitter: learn.Fitter{Shared: tt.profiles}})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, f := range r.Items {
				_, content, err := f.Content()
				if err != nil {
					t.Fatal(err)
				}
				got = strings.TrimPrefix(string(content), valuesHeader+"\n")
			}
			if d := cmp.Diff(got, tt.want); d != "" || len(r.Left) != tt.left {
				t.Errorf("left: %v, values (-got +want):\n%s", r.Left, d)
			}
		})
	}
}
