package manifest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/test/podsecurity"
)

// levels returns the Pod Security level of the first pod of a manifest before and
// after sealing, and the notes.
func levels(t *testing.T, text string, opts SealOptions, plan ContainerPlan) (before, after string, notes []string) {
	t.Helper()
	level := func(text string) string {
		f, err := Parse("pod.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		l, why, err := podsecurity.Level(f.Workloads()[0].Template)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s; the next level forbids: %s", l, why)
		return l
	}
	opts.Note = func(e FieldError) { notes = append(notes, e.Error()) }
	return level(text), level(seal(t, "pod.yaml", text, opts, plan)), notes
}

const (
	restrictedPod = `apiVersion: v1
kind: Pod
metadata: {name: r}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: app
    image: shop/shop:1
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`
	restrictedContainer = `apiVersion: v1
kind: Pod
metadata: {name: r}
spec:
  containers:
  - name: app
    image: shop/shop:1
    securityContext:
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
      runAsNonRoot: true
      runAsUser: 10001
      runAsGroup: 10002
      seccompProfile: {type: RuntimeDefault}
`
	imageUserPod = `apiVersion: v1
kind: Pod
metadata: {name: r}
spec:
  securityContext: {runAsNonRoot: true, seccompProfile: {type: Localhost, localhostProfile: a.json}}
  containers:
  - name: app
    image: shop/shop:1
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`
	rootPod = `apiVersion: v1
kind: Pod
metadata: {name: r}
spec:
  containers:
  - name: app
    image: shop/shop:1
`
	privilegedPod = `apiVersion: v1
kind: Pod
metadata: {name: r}
spec:
  hostNetwork: true
  containers:
  - name: app
    image: shop/shop:1
`
)

// What seal adds meets the level that the pod met before, in each form of copy-up
// and for profiles that know the container's user and that do not.
func TestSealKeepsPodSecurity(t *testing.T) {
	user, root := uint32(10001), uint32(0)
	for _, pod := range []struct {
		name, text, level string
		uid               *uint32
	}{
		{"a user of the pod", restrictedPod, "restricted", &user},
		{"a user of the container", restrictedContainer, "restricted", &user},
		{"a user of the image", imageUserPod, "restricted", &user},
		{"root", rootPod, "baseline", &root},
		{"privileged", privilegedPod, "privileged", &root},
	} {
		for _, form := range CopyUpForms() {
			for _, known := range []bool{true, false} {
				if !known && pod.uid == &user && pod.text == imageUserPod && form == ImageVolume {
					continue // refused; see TestSealRefusesAnUnknownUser
				}
				plan := ContainerPlan{Container: "app", Mounts: []MountPlan{
					{MountPath: "/var/lib/shop", CopyUp: true, Mode: 0o750, UID: *pod.uid, GID: *pod.uid},
					{MountPath: "/run", CopyUp: true},
					{MountPath: "/tmp"},
				}}
				if known {
					plan.UID, plan.GID = pod.uid, pod.uid
				}
				before, after, _ := levels(t, pod.text, SealOptions{Form: form, Image: CopyUpImage}, plan)
				if before != pod.level || after != before {
					t.Errorf("%s, %s, user known %t: %s before, %s after, want %s", pod.name, form, known, before, after, pod.level)
				}
			}
		}
	}
}

// Only owners that must be kept need root, which is reported before anything is
// written.
func TestSealNamesOwnersThatNeedRoot(t *testing.T) {
	uid, tools := uint32(10001), true
	plan := ContainerPlan{Container: "app", UID: &uid, CopyTools: &tools, Mounts: []MountPlan{
		{MountPath: "/run", CopyUp: true}, {MountPath: "/srv", CopyUp: true, KeepOwners: true},
	}}
	before, after, notes := levels(t, restrictedPod, SealOptions{}, plan)
	if before != "restricted" || after != "baseline" {
		t.Errorf("%s before, %s after", before, after)
	}
	want := []string{`pod.yaml:7:5: spec.containers[0]: an init container must be root, which Pod Security "restricted" forbids, to keep the owners at /srv`,
		`pod.yaml:8:5: spec.containers[0].image: sh and cp of shop/shop:1 fill /run, /srv: the cluster needs no other image`}
	if d := cmp.Diff(notes, want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	if _, _, notes := levels(t, rootPod, SealOptions{}, plan); slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "restricted") }) {
		t.Errorf("a pod that was never restricted gets %q", notes)
	}
}

// An init container has the requests and limits of the container that it works
// for, so that a quota accepts it and the pod keeps its class of service.
func TestCopyUpHasTheContainersResources(t *testing.T) {
	text := strings.Replace(rootPod, "    image: shop/shop:1\n", "    image: shop/shop:1\n    resources: {limits: {cpu: 500m, memory: 64Mi, nvidia.com/gpu: 1}}\n", 1)
	for _, form := range CopyUpForms() {
		sealed := seal(t, "pod.yaml", text, SealOptions{Form: form, Image: CopyUpImage}, ContainerPlan{
			Container: "app", Mounts: []MountPlan{{MountPath: "/run", CopyUp: true}},
		})
		f, err := Parse("pod.yaml", []byte(sealed))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range f.Workloads()[0].Template.Spec.InitContainers {
			r := c.Resources
			if r.Limits.Cpu().String() != "500m" || r.Limits.Memory().String() != "64Mi" || r.Requests.Memory().String() != "64Mi" || len(r.Limits) != 2 {
				t.Errorf("%s: container %s has %v", form, c.Name, r)
			}
		}
	}
}

// The form depends on the image: its own programs if it has them, else the tool.
func TestSealChoosesTheForm(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		name, image string
		tools       *bool
		want        string // command of the init container
		notes       string // part of the only note
	}{
		{"with sh and cp", "", &yes, "sh", "the cluster needs no other image"},
		{"unknown", "", nil, "sh", "the profile does not tell whether it has them"},
		{"without, with the tool", "reg.example/tool@sha256:0", &no, "/adamant-bin/adamant", "reg.example/tool@sha256:0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("pod.yaml", []byte(rootPod))
			if err != nil {
				t.Fatal(err)
			}
			var notes []string
			ops, err := Sealing(f.Workloads()[0], []ContainerPlan{{
				Container: "app", CopyTools: tt.tools, Mounts: []MountPlan{{MountPath: "/run", CopyUp: true}},
			}}, SealOptions{Image: tt.image, Note: func(e FieldError) { notes = append(notes, e.Error()) }})
			if err != nil {
				t.Fatal(err)
			}
			edited, err := f.Edited(ops...)
			if err != nil {
				t.Fatal(err)
			}
			inits := edited.Workloads()[0].Template.Spec.InitContainers
			if got := inits[len(inits)-1].Command[0]; got != tt.want {
				t.Errorf("the init container runs %s, want %s", got, tt.want)
			}
			if len(notes) != 1 || !strings.Contains(notes[0], tt.notes) {
				t.Errorf("got notes %q, want one with %q", notes, tt.notes)
			}
		})
	}
	f, err := Parse("pod.yaml", []byte(rootPod))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Sealing(f.Workloads()[0], []ContainerPlan{{
		Container: "app", CopyTools: &no, Mounts: []MountPlan{{MountPath: "/run", CopyUp: true}},
	}}, SealOptions{})
	if err == nil || !strings.Contains(err.Error(), "adamant copy-up-image --push REF") {
		t.Errorf("got %v, want how to provide the tool", err)
	}
}

// The tool's image has another user than the application's. With an image volume
// the user must be known, or all content would have the wrong owner.
func TestSealRefusesAnUnknownUser(t *testing.T) {
	f, err := Parse("pod.yaml", []byte(imageUserPod))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Sealing(f.Workloads()[0], []ContainerPlan{{
		Container: "app", Mounts: []MountPlan{{MountPath: "/run", CopyUp: true}},
	}}, SealOptions{Form: ImageVolume, Image: CopyUpImage})
	if err == nil || !strings.Contains(err.Error(), "own-image or installed-tool") {
		t.Errorf("got %v, want the other forms", err)
	}
}

// A pod is found in any kind of object, and sealed where it is.
func TestShaped(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // "Kind/name path-of-the-first-image", or the error
	}{
		{"a Rollout", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: ro}\nspec: {template: {spec: {containers: [{name: c, image: i}]}}}\n", []string{"Rollout/ro spec.template.spec.containers[0].image"}},
		{"a PodTemplate", "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: pt}\ntemplate: {spec: {containers: [{name: c, image: i}]}}\n", []string{"PodTemplate/pt template.spec.containers[0].image"}},
		{"a Knative Service", "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: kn}\nspec: {template: {spec: {containerConcurrency: 1, containers: [{name: c, image: i}]}}}\n", []string{"Service/kn spec.template.spec.containers[0].image"}},
		{"under another name, twice", "apiVersion: x.example/v1\nkind: Pair\nmetadata: {name: p}\nspec:\n  members:\n  - pod: {containers: [{name: c, image: i}]}\n  - pod: {containers: [{name: d, image: i}]}\n", []string{"Pair/p spec.members[0].pod.containers[0].image", "Pair/p spec.members[1].pod.containers[0].image"}},
		{"a spec at the top", "apiVersion: x.example/v1\nkind: Prom\nmetadata: {name: p}\nspec: {retention: 1d, containers: [{name: c, image: i}]}\n", []string{"Prom/p spec.containers[0].image"}},
		{"without an image", "apiVersion: apps.openshift.io/v1\nkind: DeploymentConfig\nmetadata: {name: dc}\nspec:\n  template:\n    spec:\n      containers:\n      - name: c\n        image: ' '\n", []string{"x.yaml:8:9: spec.template.spec.containers[0]: container c has no image"}},
		{"a field of another type", "apiVersion: x.example/v1\nkind: X\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i, args: {a: b}}]}\n", []string{"x.yaml:4:47: spec.containers[0].args: expected a list, found a mapping"}},
		{"no pod", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {a: b}, containers: [a]}\n", nil},
		{"a status", "apiVersion: x.example/v1\nkind: X\nmetadata: {name: p}\nstatus: {spec: {containers: [{name: c, image: i}]}}\n", nil},
		{"a kind that is decoded", rootPod, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("x.yaml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			list, errs := f.Shaped()
			var got []string
			for _, w := range list {
				got = append(got, w.Kind+"/"+w.Name+" "+w.Path("spec.containers[0].image"))
			}
			for _, e := range errs {
				got = append(got, e.Error())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			var ops []Op
			for _, w := range list {
				more, err := Sealing(w, []ContainerPlan{{Container: w.Template.Spec.Containers[0].Name, Mounts: []MountPlan{{MountPath: "/run", CopyUp: true}}}}, SealOptions{})
				if err != nil {
					t.Fatal(err)
				}
				ops = append(ops, more...)
			}
			edited, err := f.Edited(ops...)
			if err != nil {
				t.Fatal(err)
			}
			sealed, _ := edited.Shaped()
			for _, w := range sealed {
				if c := w.Template.Spec.Containers[0]; !isTrue(c.SecurityContext.ReadOnlyRootFilesystem) || len(w.Template.Spec.InitContainers) != 1 {
					t.Errorf("%s is not sealed: %+v", w, w.Template.Spec)
				}
			}
		})
	}
}
