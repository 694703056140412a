package manifest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
)

// seal applies the sealing of a plan to the first workload of a file.
func seal(t *testing.T, name, text string, opts SealOptions, plans ...ContainerPlan) string {
	t.Helper()
	f, err := Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ops, err := Sealing(f.Workloads()[0], plans, opts)
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.Apply(ops...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

var nginxPlan = ContainerPlan{Container: "nginx-container", Mounts: []MountPlan{
	{MountPath: "/var/cache/nginx"},
	{MountPath: "/run", Medium: "Memory", SizeLimit: "16Mi", CopyUp: true},
}}

// TestSeal compares sealed manifests with testdata/seal/*.want.yaml. Set
// UPDATE=1 to write those again.
func TestSeal(t *testing.T) {
	inputs, err := filepath.Glob("testdata/seal/*.in.*")
	if err != nil || len(inputs) == 0 {
		t.Fatal("no inputs", err)
	}
	for _, in := range inputs {
		for _, form := range CopyUpForms() {
			t.Run(filepath.Base(in)+"/"+string(form), func(t *testing.T) {
				data, err := os.ReadFile(in)
				if err != nil {
					t.Fatal(err)
				}
				got := seal(t, in, string(data), SealOptions{Form: form, Image: CopyUpImage}, nginxPlan)
				file := strings.Replace(in, ".in.", "."+string(form)+".", 1)
				if os.Getenv("UPDATE") != "" {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(got, string(want), cmpopts.AcyclicTransformer("lines", lines)); diff != "" {
					t.Errorf("(-got +want):\n%s", diff)
				}
				onlyAdded(t, string(data), got)
				if again := seal(t, in, got, SealOptions{Form: form, Image: CopyUpImage}, nginxPlan); again != got {
					t.Errorf("sealing again changes it:\n%s", cmp.Diff(again, got))
				}
			})
		}
	}
}

func lines(s string) []string { return strings.SplitAfter(s, "\n") }

// onlyAdded checks that all lines of before are there, in their order, except
// those that had to change.
func onlyAdded(t *testing.T, before, after string) {
	t.Helper()
	rest := lines(after)
	lost := 0
	for _, line := range lines(before) {
		found := -1
		for i := range rest {
			if rest[i] == line {
				found = i
				break
			}
		}
		if found < 0 {
			lost++
			continue
		}
		rest = rest[found+1:]
	}
	if lost > 4 {
		t.Errorf("%d lines of the input are changed", lost)
	}
}

// TestCopyUpKeepsDollars checks that a path with a reference to a variable is copied as it is:
// a kubelet expands those in a command, and nowhere else.
func TestCopyUpKeepsDollars(t *testing.T) {
	f, err := Parse("pod.yaml", []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: i}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range CopyUpForms() {
		ops, err := Sealing(f.Workloads()[0], []ContainerPlan{{Container: "a", UID: new(uint32), Mounts: []MountPlan{{MountPath: "/data/$(X)$$", CopyUp: true}}}}, SealOptions{Form: form, Image: CopyUpImage})
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := f.Edited(ops...)
		if err != nil {
			t.Fatal(err)
		}
		inits := sealed.Workloads()[0].Template.Spec.InitContainers
		init := inits[len(inits)-1]
		if command := strings.Join(init.Command, " "); !strings.Contains(command, "/data/$$(X)$$$$") || strings.Contains(command, "/$(X)") {
			t.Errorf("%s: got the command %q", form, init.Command)
		}
		if !slices.ContainsFunc(init.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/volumes/data/$(X)$$" }) {
			t.Errorf("%s: got the mounts %v", form, init.VolumeMounts)
		}
	}
}
