package learn

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/manifest"
)

func treeOf(t *testing.T, entries ...tree.Entry) tree.Tree {
	t.Helper()
	out, err := tree.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestToLeftovers(t *testing.T) {
	old, now := time.Unix(1000, 0), time.Unix(2000, 0)
	dir := func(path string, at time.Time) tree.Entry {
		return tree.Entry{Path: path, Kind: tree.Directory, Mode: 0o755, ModTime: at}
	}
	file := func(path string, size int64, at time.Time) tree.Entry {
		return tree.Entry{Path: path, Kind: tree.Regular, Mode: 0o644, Size: size, Digest: fmt.Sprintf("sha256:%064d", size), ModTime: at}
	}
	want := treeOf(t, dir("/bare", old), dir("/filled", old), dir("/same", old),
		file("/same/copied", 1, old), file("/same/grown", 1, old), file("/same/gone", 1, old))
	got := treeOf(t, dir("/bare", now), dir("/filled", now), file("/filled/new", 3, now), dir("/same", old),
		file("/same/copied", 1, old), file("/same/grown", 9, now))
	var lines []string
	for _, l := range toLeftovers(want, got) {
		line := l.Path
		if l.Touched {
			line += " touched"
		}
		if l.Deleted {
			line += " deleted"
		}
		lines = append(lines, line)
	}
	expected := []string{"/bare touched", "/filled", "/filled/new", "/same", "/same/grown", "/same/gone deleted"}
	if d := cmp.Diff(lines, expected); d != "" {
		t.Errorf("leftovers (-got +want):\n%s", d)
	}
}

func TestCompareOfLoad(t *testing.T) {
	w := []Outcome{{Load: "a", Result: "200", OK: true, Class: "2"}, {Load: "b", Result: "exit 0", OK: true}, {Load: "c", Result: "exit 0", OK: true}}
	s := []Outcome{{Load: "a", Result: "404", OK: true, Class: "4"}, {Load: "b", Result: "exit 0", OK: true}}
	want := []Comparison{
		{Load: "a", Writable: "200", Sealed: "404"},
		{Load: "b", Writable: "exit 0", Sealed: "exit 0", Alike: true},
		{Load: "c", Writable: "exit 0", Sealed: "not asked"},
	}
	if d := cmp.Diff(compare(w, s), want); d != "" {
		t.Errorf("comparison (-got +want):\n%s", d)
	}
}

func TestNeedOf(t *testing.T) {
	ok := []Outcome{{Load: "x", OK: true}}
	erofs := []trace.Trace{{Container: "app", Accesses: []trace.Access{{Op: trace.Create, Path: "/d/x", Errno: "EROFS"}}}}
	with := trial{
		Healthy: true, Outcomes: ok, Logs: map[string]string{"app": "started at 10:00\nwarning: 12 things\n"},
		Again: ok, Restarts: []restart{{When: underLoad, Failure: "it died"}, {When: idle, Outcomes: ok}},
	}
	killed := func(r restart) trial { return trial{Healthy: true, Outcomes: ok, Restarts: []restart{r}} }
	for _, tc := range []struct {
		name    string
		without trial
		want    profile.Need
	}{
		{"it dies", trial{Outcomes: ok}, profile.Hard},
		{"its load fails", trial{Healthy: true, Outcomes: []Outcome{{Load: "x"}}}, profile.Hard},
		{"its load is not answered", trial{Healthy: true}, profile.Hard},
		{"it complains", trial{Healthy: true, Outcomes: ok, Traces: erofs, Logs: map[string]string{"app": "cannot save the cache\n"}}, profile.Soft},
		{"it complains to the load", trial{Healthy: true, Outcomes: []Outcome{{Load: "x", OK: true, Output: "ERR not saved"}}, Traces: erofs}, profile.Soft},
		{"it complains as ever", trial{Healthy: true, Outcomes: ok, Traces: erofs, Logs: map[string]string{"app": "warning: 7 things\n"}}, profile.Silent},
		{"it says nothing", trial{Healthy: true, Outcomes: ok, Traces: erofs}, profile.Silent},
		{"another container's calls fail", trial{Healthy: true, Outcomes: ok, Traces: []trace.Trace{{Container: "side", Accesses: erofs[0].Accesses}}}, ""},
		{"it does not miss it", trial{Healthy: true, Outcomes: ok}, ""},
		{"it does not start again", killed(restart{When: idle, Failure: "exit code 1"}), profile.Hard},
		{"its load fails after a restart", killed(restart{When: idle, Outcomes: []Outcome{{Load: "x"}}}), profile.Hard},
		{"it starts again", killed(restart{When: idle, Outcomes: ok}), ""},
		{"it did not start again with it either", killed(restart{When: underLoad, Failure: "exit code 1"}), ""},
	} {
		if got := needOf("app", "/d", with, tc.without); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

const twoWorkloads = `apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  containers:
  - {name: a, image: "img:1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: two}
spec:
  selector: {matchLabels: {x: "1"}}
  template:
    metadata: {labels: {x: "1"}}
    spec:
      containers:
      - name: b
        image: img:2
        securityContext: {readOnlyRootFilesystem: true}
        volumeMounts: [{name: run, mountPath: /run}]
      volumes: [{name: run, emptyDir: {}}]
`

func profileOf(name, container, image string, volumes ...profile.Volume) profile.Profile {
	return profile.Profile{APIVersion: document.APIVersion, Kind: document.Profile, Name: name,
		Containers: []profile.Container{{Name: container, Image: image, Volumes: volumes}}}
}

func TestSealTwoWorkloadsTwice(t *testing.T) {
	f, err := manifest.Parse("two.yaml", []byte(twoWorkloads))
	if err != nil {
		t.Fatal(err)
	}
	all := []profile.Profile{
		profileOf("Pod/one", "a", "img:1", profile.Volume{MountPath: "/var/cache", CopyUp: true}),
		profileOf("Deployment/two", "b", "img:2", profile.Volume{MountPath: "/run/app"}, profile.Volume{MountPath: "/tmp"}),
	}
	once, _, err := Seal(f, all, manifest.SealOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text := string(once)
	if strings.Count(text, "readOnlyRootFilesystem: true") != 3 || strings.Contains(text, "/run/app") || !strings.Contains(text, "mountPath: /tmp") {
		t.Errorf("want both sealed, the copy-up container too, and no mount below /run, which has one:\n%s", text)
	}
	again, err := manifest.Parse("two.yaml", once)
	if err != nil {
		t.Fatal(err)
	}
	twice, _, err := Seal(again, all, manifest.SealOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(twice), text); d != "" {
		t.Errorf("sealing again changes (-got +want):\n%s", d)
	}
}

func TestSealRefuses(t *testing.T) {
	for _, tc := range []struct {
		name     string
		profiles []profile.Profile
		want     string
	}{
		{"no profile", nil, "no profile of Pod/one"},
		{"another workload's", []profile.Profile{profileOf("Pod/x", "a", "img:9")}, "the profile of Pod/x does not fit: it is of another workload"},
		{"another container's", []profile.Profile{profileOf("Pod/one", "z", "img:1")}, "Pod/one, container a: the profile of Pod/one does not fit: the profile does not have this container"},
		{"another image's", []profile.Profile{profileOf("Pod/one", "a", "img:0")}, "the image is img:1, but the profile is of img:0"},
	} {
		s := parseWorkload(t, strings.Split(twoWorkloads, "---")[0])
		_, _, err := Seal(s.File, tc.profiles, manifest.SealOptions{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got error %v, want %q in it", tc.name, err, tc.want)
		}
	}
}

func TestProfileOfAnImageFitsItsPod(t *testing.T) {
	s := parseWorkload(t, strings.Split(twoWorkloads, "---")[0])
	given := []profile.Profile{profileOf("Pod/img", "img", "img:1")}
	p, err := s.profileIn(given)
	if err != nil || p.Containers[0].Name != "a" {
		t.Errorf("got %+v, %v", p, err)
	}
	if given[0].Containers[0].Name != "img" {
		t.Error("the profile that was given is changed")
	}
}

func TestWhoRuns(t *testing.T) {
	root, err := rootfs.Open(t.TempDir()) // no accounts in it
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	number := func(n int64) *int64 { return &n }
	pod := &corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{RunAsUser: number(7), RunAsGroup: number(8), FSGroup: number(9), SupplementalGroups: []int64{10}}}
	own := &corev1.Container{SecurityContext: &corev1.SecurityContext{RunAsUser: number(17), RunAsGroup: number(18)}}
	for _, tc := range []struct {
		name, image string
		spec        *corev1.PodSpec
		container   *corev1.Container
		want        profile.User
	}{
		{"nothing says", "", &corev1.PodSpec{}, &corev1.Container{}, profile.User{}},
		{"the image says", "5:6", &corev1.PodSpec{}, &corev1.Container{}, profile.User{UID: 5, GID: 6}},
		{"the pod says", "5:6", pod, &corev1.Container{}, profile.User{UID: 7, GID: 8, Groups: []uint32{10, 9}}},
		{"the container says", "5:6", pod, own, profile.User{UID: 17, GID: 18, Groups: []uint32{10, 9}}},
	} {
		got, err := userOf(tc.spec, tc.container, tc.image, root)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if d := cmp.Diff(got, tc.want); d != "" {
			t.Errorf("%s (-got +want):\n%s", tc.name, d)
		}
	}
}

func TestMeantToEnd(t *testing.T) {
	never := corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{}}}
	serving := *never.DeepCopy()
	serving.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}}
	always := *never.DeepCopy()
	always.RestartPolicy = corev1.RestartPolicyAlways
	for _, tc := range []struct {
		name string
		o    Options
		spec corev1.PodSpec
		want bool
	}{
		{"a job", Options{}, never, true},
		{"with load", Options{pieces: []piece{{workload: Workload{}.key()}}}, never, false},
		{"with load for another workload", Options{pieces: []piece{{workload: "Pod/default/other"}}}, never, true},
		{"it serves", Options{}, serving, false},
		{"it is started again", Options{}, always, false},
	} {
		if got := tc.o.meantToEnd(tc.spec); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestPortsOfTheMachine(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := int32(l.Addr().(*net.TCPAddr).Port)
	spec := corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{ContainerPort: port}}}}}
	if err := freePorts(spec); err != nil {
		t.Errorf("a pod with its own network: %v", err)
	}
	spec.HostNetwork = true
	if err := freePorts(spec); err == nil || !strings.Contains(err.Error(), "machine's network") {
		t.Errorf("got error %v, want one that names the machine's network", err)
	}
}
