package pod

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// mount is a volume and its mount in the container.
type mount struct {
	volume corev1.VolumeSource
	corev1.VolumeMount
}

// withVolumes gives a pod's first container volumes, named by their paths.
func withVolumes(s PodSpec, mounts ...mount) PodSpec {
	for i, m := range mounts {
		m.Name = fmt.Sprintf("v%d", i)
		s.Spec.Volumes = append(s.Spec.Volumes, corev1.Volume{Name: m.Name, VolumeSource: m.volume})
		s.Spec.Containers[0].VolumeMounts = append(s.Spec.Containers[0].VolumeMounts, m.VolumeMount)
	}
	return s
}

func emptyDir(medium corev1.StorageMedium, limit string) corev1.VolumeSource {
	e := &corev1.EmptyDirVolumeSource{Medium: medium}
	if limit != "" {
		e.SizeLimit = new(resource.MustParse(limit))
	}
	return corev1.VolumeSource{EmptyDir: e}
}

// A program in the pod sees the same owners and modes as under a kubelet.
func TestVolumesInside(t *testing.T) {
	e := openTest(t)
	host := t.TempDir()
	if err := os.Chmod(host, 0o700); err != nil {
		t.Fatal(err)
	}
	s := withVolumes(testPod(t),
		mount{emptyDir("", ""), corev1.VolumeMount{MountPath: "/disk"}},
		mount{emptyDir("Memory", "1Mi"), corev1.VolumeMount{MountPath: "/memory"}},
		mount{emptyDir("", ""), corev1.VolumeMount{MountPath: "/sub", SubPath: "a/b"}},
		mount{emptyDir("", ""), corev1.VolumeMount{MountPath: "/expr", SubPathExpr: "$(POD)/x"}},
		mount{corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "c"}, DefaultMode: new(int32(0o640)),
		}}, corev1.VolumeMount{MountPath: "/config"}},
		mount{corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "s", Items: []corev1.KeyToPath{{Key: "k", Path: "dir/key", Mode: new(int32(0o400))}},
		}}, corev1.VolumeMount{MountPath: "/secret"}},
		mount{corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}},
		}}}, corev1.VolumeMount{MountPath: "/projected"}},
		mount{corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}},
			{Path: "cpu", ResourceFieldRef: &corev1.ResourceFieldSelector{ContainerName: "main", Resource: "limits.cpu"}},
		}}}, corev1.VolumeMount{MountPath: "/downward"}},
		mount{corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: host, Type: new(corev1.HostPathDirectory)}}, corev1.VolumeMount{MountPath: "/host"}},
		mount{corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: testImage}}, corev1.VolumeMount{MountPath: "/image"}},
		mount{corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: testImage}}, corev1.VolumeMount{MountPath: "/image-sub", SubPath: "etc/app"}},
		mount{emptyDir("", ""), corev1.VolumeMount{MountPath: "/read-only", ReadOnly: true}},
	)
	s.Labels = map[string]string{"app": "x"}
	s.ConfigMaps = []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Data: map[string]string{"c": "config"}}}
	s.Secrets = []corev1.Secret{{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: map[string][]byte{"k": []byte("secret")}}}
	s.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "POD", ValueFrom: field("metadata.name")}}
	s.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("1")}
	s.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000)), RunAsGroup: new(int64(1000)), FSGroup: new(int64(2000))}
	p := create(t, e, s)

	want := `/disk 42777 0:2000
/memory 43777 0:2000
/sub 42777 0:2000
/expr 42777 0:2000
/config 42777 0:2000
/config/c 120777 0:2000 ..data/c
/config/..data/c 100640 0:2000
/secret 43777 0:2000
/secret/dir 120777 0:2000 ..data/dir
/secret/..data/dir/key 100440 0:2000
/projected/..data/c 100644 0:2000
/projected/..data/k 100644 0:2000
/downward/..data/labels 100644 0:2000
/host 40700 0:0
/image/prog 100755 0:0
/image-sub/app.conf 100755 0:0
/dev/termination-log 100666 0:0
/etc/hosts 100644 0:0
`
	var paths []string
	for _, line := range lines(want) {
		paths = append(paths, strings.Fields(line)[0])
	}
	got := strings.ReplaceAll(run(t, p, append([]string{"stat"}, paths...)...), " \n", "\n")
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	if got, want := run(t, p, "cat", "/config/c", "/secret/dir/key", "/projected/name", "/downward/labels", "/downward/cpu"), "configsecret"+p.Name+"app=\"x\"1"; got != want {
		t.Errorf("contents: got %q, want %q", got, want)
	}
	if got := run(t, p, "id"); got != "1000 1000 [1000 2000]\n" && got != "1000 1000 [2000]\n" && got != "1000 1000 [1000 1500 2000]\n" {
		t.Errorf("user: got %q", got)
	}
	for path, want := range map[string]string{
		"/config/x": "read-only", "/secret/x": "read-only", "/image/x": "read-only", "/image-sub/x": "read-only",
		"/read-only/x": "read-only", "/disk/x": "", "/sub/x": "", "/memory/x": "",
	} {
		if got := run(t, p, "touch", path); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("write to %s: got %q, want %q", path, got, want)
		}
	}
	if got := run(t, p, "fill", "/memory/big", "2000000"); !strings.Contains(got, "no space left") {
		t.Errorf("more than the memory volume holds: got %q", got)
	}
	if _, err := os.Stat(filepath.Join(volumePath(p, "v2"), "a/b/x")); err != nil {
		t.Errorf("the host's side of the subPath: %v", err)
	}
}

func TestContainerInside(t *testing.T) {
	e := openTest(t)
	s := testPod(t, "sleep", "$(LONG)")
	c := &s.Spec.Containers[0]
	c.Env = []corev1.EnvVar{
		{Name: "LONG", Value: "1h"}, {Name: "IP", ValueFrom: field("status.podIP")}, {Name: "FROM_IMAGE", Value: "no"},
	}
	c.WorkingDir = "/data"
	c.SecurityContext = &corev1.SecurityContext{
		RunAsUser: new(int64(1000)), AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	s.Spec.Hostname = "the-host"
	s.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.9", Hostnames: []string{"other"}}}
	s.Spec.DNSPolicy = corev1.DNSNone
	s.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.53"}, Searches: []string{"shop"}}
	p := create(t, e, s)

	env := run(t, p, "env")
	for _, want := range []string{"LONG=1h\n", "IP=" + p.IP + "\n", "FROM_IMAGE=no\n", "HOSTNAME=the-host\n", "PATH=/\n"} {
		if !strings.Contains(env, want) {
			t.Errorf("the environment lacks %q:\n%s", want, env)
		}
	}
	status := run(t, p, "cat", "/proc/1/status")
	for _, want := range []string{"Name:\tprog", "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "Uid:\t1000"} {
		if !strings.Contains(status, want) {
			t.Errorf("the status of process 1 lacks %q", want)
		}
	}
	if got := run(t, p, "cat", "/proc/1/cmdline"); got != "/prog\x00sleep\x001h\x00" {
		t.Errorf("command line: got %q", got)
	}
	if got := run(t, p, "cat", "file"); got != "of the image\n" {
		t.Errorf("working directory: got %q", got)
	}
	if got := run(t, p, "cat", "/etc/hosts"); !strings.HasSuffix(got, p.IP+"\tthe-host\n\n# Entries added by HostAliases.\n192.0.2.9\tother\n") {
		t.Errorf("/etc/hosts: got %q", got)
	}
	if got := run(t, p, "cat", "/etc/resolv.conf"); got != "search shop\nnameserver 192.0.2.53\n" {
		t.Errorf("/etc/resolv.conf: got %q", got)
	}
}

func TestCopy(t *testing.T) {
	e := openTest(t)
	s := withVolumes(testPod(t), mount{emptyDir("", ""), corev1.VolumeMount{MountPath: "/v"}})
	s.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: new(true)}
	p := create(t, e, s)
	root, err := p.OpenRoot(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var archive bytes.Buffer
	unknown, err := root.Archive(t.Context(), &archive, "/data", "")
	if err != nil || len(unknown) > 0 {
		t.Fatal(err, unknown)
	}
	data := archive.Bytes()
	if err := root.Extract(t.Context(), bytes.NewReader(data), "/v", rootfs.ExtractOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := run(t, p, "cat", "/v/data/file"); got != "of the image\n" {
		t.Errorf("got %q", got)
	}
	err = root.Extract(t.Context(), bytes.NewReader(data), "/etc", rootfs.ExtractOptions{})
	if err == nil || !regexp.MustCompile("(?i)read-only file system").MatchString(err.Error()) {
		t.Errorf("copy into the sealed root: got %v, want a refusal", err)
	}
}

func field(path string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
}
