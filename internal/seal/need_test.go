package seal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
)

const pair = `
    spec:
      initContainers: [{name: first, image: "a/two:1"}]
      containers:
      - name: web
        image: a/one:1
        volumeMounts: [{name: own, mountPath: /etc/app/own}]
      volumes: [{name: own, configMap: {name: own}}]
`

// workloads are sealed by profiles: those of images, and that of the example.
var workloads = map[string]string{
	"Deployment": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: pair}\nspec:\n  template:" + pair,
	"Rollout":    "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: pair}\nspec:\n  template:" + pair,
	"List": `{apiVersion: v1, kind: List, items: [
  {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: "a/one:1"}]}},
  {apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {containers: [{name: c, image: "a/two:1"}]}}]}
`,
}

func profiles(t *testing.T) []profile.Profile {
	t.Helper()
	all, err := learn.LoadBeside("../../examples")
	if err != nil || len(all) == 0 {
		t.Fatalf("got %d profiles, %v", len(all), err)
	}
	ofImage := func(image string, volumes ...profile.Volume) profile.Profile {
		return profile.Profile{Name: "Pod/x", Scope: profile.ImageScope, Verdict: profile.Proven, Containers: []profile.Container{{Name: "x", Image: image, Volumes: volumes}}}
	}
	return append(all,
		ofImage("a/one:1", profile.Volume{MountPath: "/run", CopyUp: true}, profile.Volume{MountPath: "/var/cache/x", SubPath: "x"},
			profile.Volume{MountPath: "/etc/app", CopyUp: true, Mode: 0o700, UID: 7}, profile.Volume{MountPath: "/etc/file", File: true, SubPath: "file", CopyUp: true}),
		ofImage("a/two:1", profile.Volume{MountPath: "/tmp"}, profile.Volume{MountPath: "/data", CopyUp: true}))
}

// compare returns the findings of the rules that need profiles in a file, and how many of its
// containers were compared.
func compare(t *testing.T, file string, fitter learn.Fitter) (found []string, profiled int) {
	t.Helper()
	rules, err := policy.Select([]string{policy.MissingVolume, policy.SuperfluousVolume})
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.EachAsWritten(t.Context(), []string{file}, nil, func(d *manifest.Document) policy.Result {
		needed := Needs(d, fitter, "2026-11-30")
		if len(needed.Unfit) > 0 {
			t.Errorf("unfit: %v", needed.Unfit)
		}
		return policy.Checker{Rules: rules, Needs: needed.Needs}.Check(d)
	}, func(_ *manifest.Document, r policy.Result) error {
		for _, f := range r.Findings {
			found = append(found, f.Rule+" "+f.Container+": "+f.Message)
		}
		profiled += r.Profiled
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, profiled
}

// TestSealedNeedsNothing seals workloads in each form of copy-up: what was missing before is
// there, nothing that was added is superfluous, and sealing again adds nothing.
func TestSealedNeedsNothing(t *testing.T) {
	fitter := learn.Fitter{Shared: profiles(t)}
	example, err := os.ReadFile("../../examples/nginx-unsealed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"example": string(example)}
	for name, text := range workloads {
		all[name] = text
	}
	for name, text := range all {
		for _, form := range manifest.CopyUpForms() {
			t.Run(name+"/"+string(form), func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "x.yaml")
				write := func(text []byte) {
					if err := os.WriteFile(file, text, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				write([]byte(text))
				before, _ := compare(t, file, fitter)
				if !strings.HasPrefix(strings.Join(before, "\n"), policy.MissingVolume) {
					t.Errorf("before it was sealed: got %q", before)
				}
				opts := Options{Fitter: fitter, CopyUp: manifest.SealOptions{Form: form, Image: "example.com/copy-up:1"}}
				result, err := Files(t.Context(), []string{file}, nil, opts)
				if err != nil || len(result.Left) > 0 || len(result.Items) != 1 {
					t.Fatalf("got %+v, %v", result, err)
				}
				_, sealed, err := result.Items[0].Content()
				if err != nil {
					t.Fatal(err)
				}
				write(sealed)
				if after, profiled := compare(t, file, fitter); len(after) > 0 || profiled == 0 {
					t.Errorf("sealed, %d containers were compared: %q\n%s", profiled, after, sealed)
				}
				again, err := Files(t.Context(), []string{file}, nil, opts)
				if err != nil || again.Items[0].Changes() {
					t.Errorf("sealed again: it changes, %v", err)
				}
			})
		}
	}
}
