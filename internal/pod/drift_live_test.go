package pod

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/ownthread"
)

// liveChanges writes the drift of a pod's only container as lines.
func liveChanges(t *testing.T, p *Pod) []string {
	t.Helper()
	results, err := p.driftAll(t.Context(), DriftOptions{Container: "main"}, &layerVerifier{})
	if err != nil || len(results) != 1 {
		t.Fatalf("%+v, %v", results, err)
	}
	var lines []string
	for _, ch := range results[0].Changes {
		lines = append(lines, fmt.Sprintf("%s %s %s: %s", ch.Severity, ch.Kind, ch.Path, ch.Detail))
	}
	for _, u := range results[0].Unknowns {
		lines = append(lines, "unknown "+u.Path+": "+u.Reason())
	}
	return lines
}

// inNamespace calls a function in the mount namespace of a process.
func inNamespace(t *testing.T, pid int, do func() error) {
	t.Helper()
	var err error
	ownthread.Run(func() {
		if err = unix.Unshare(unix.CLONE_FS); err == nil {
			var fd int
			if fd, err = unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
				err = unix.Setns(fd, unix.CLONE_NEWNS)
				unix.Close(fd)
			}
		}
		if err == nil {
			err = do()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Mounts that were added, replaced, removed or made writable in a sealed pod are drift, in
// each of its mount namespaces, and so are programs without a file.
func TestLiveDrift(t *testing.T) {
	e := openTest(t)
	s := named(everyVolume("live"))
	s.Spec.InitContainers = nil
	c := &s.Spec.Containers[0]
	c.SecurityContext = &corev1.SecurityContext{
		ReadOnlyRootFilesystem: new(true), RunAsUser: new(int64(0)),
		Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_ADMIN"}},
	}
	s.Spec.Volumes = append(s.Spec.Volumes, corev1.Volume{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/proc/sys"}}})
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "host", MountPath: "/host", ReadOnly: true})
	p := create(t, e, s)
	if got := liveChanges(t, p); len(got) > 0 {
		t.Fatalf("as it was started:\n%s", strings.Join(got, "\n"))
	}
	// A process in a user namespace of its own changes nothing that others see.
	run(t, p, "sandbox", "/memory")
	run(t, p, "write", "/disk/hook", "#!/bin/sh")
	results, err := p.driftAll(t.Context(), DriftOptions{Container: "main", Volumes: true}, &layerVerifier{})
	if err != nil || !results[0].Clean() || len(results[0].Programs) != 1 || results[0].Programs[0].Path != "/disk/hook" {
		t.Errorf("programs in volumes: %+v, %v", results, err)
	}
	if len(results[0].PrivateMounts) != 1 {
		t.Errorf("private mounts of the processes %v, want one", results[0].PrivateMounts)
	}
	main, err := p.Container("main")
	if err != nil {
		t.Fatal(err)
	}
	inNamespace(t, main.PID, func() error {
		for _, m := range []struct {
			source, target, kind string
			flags                uintptr
		}{
			{"none", "/etc", "tmpfs", 0},
			{"/disk", "/data", "", unix.MS_BIND},
			{"", "/", "", unix.MS_REMOUNT | unix.MS_BIND},
		} {
			if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
				return fmt.Errorf("%s: %w", m.target, err)
			}
		}
		if err := unix.Unmount("/secret", 0); err != nil {
			return err
		}
		return unix.Unmount("/proc/keys", 0)
	})
	run(t, p, "private", "/memory")
	run(t, p, "ghost", "/disk/ghost")
	got := liveChanges(t, p)
	for i := range got { // paths of the host and process ids
		got[i], _, _ = strings.Cut(got[i], " of process ")
		got[i], _, _ = strings.Cut(got[i], "/pods/")
		if before, after, ok := strings.Cut(got[i], ": process "); ok {
			_, after, _ = strings.Cut(after, " ")
			got[i] = before + ": " + after
		}
	}
	want := []string{
		"critical mount /: mount read-only → writable",
		"critical mount /data: mount of " + e.opts.Root,
		"high running /disk/ghost: runs a deleted program",
		"critical mount /etc: mount of tmpfs, writable, added",
		"critical mount /memory: mount of tmpfs, writable, added, in the mount namespace",
		"critical mount /proc/keys: mount that masks it is gone",
		"low added /secret: ", // its mount point
		"critical mount /secret: mount of " + e.opts.Root,
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}
