package pod

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestRootThroughALink checks that the directories of hostPath volumes survive the
// removal of a pod if the data directory is a symbolic link.
func TestRootThroughALink(t *testing.T) {
	openTest(t)
	opts := machine.opts
	opts.Root = filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(machine.opts.Root, opts.Root); err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	host := t.TempDir()
	if err := os.Mkdir(filepath.Join(host, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(host, "sub", "file")
	if err := os.WriteFile(file, []byte("of the machine"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := testPod(t)
	s.Spec.Volumes = []corev1.Volume{{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: host}}}}
	s.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "host", MountPath: "/mnt", SubPath: "sub"}}
	p := create(t, e, s)
	if err := p.Remove(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("after the pod's removal: %v", err)
	}
}
