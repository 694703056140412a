package overlay

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someID = "4f1c0e6d2b3a49587766554433221100ffeeddccbbaa99887766554433221100"

func TestIdentify(t *testing.T) {
	tests := map[string]struct {
		point, cgroup string
		monitor       string
		want          Container
	}{
		"containerd by its bundle": {
			point: "/run/containerd/io.containerd.runtime.v2.task/default/web/rootfs",
			want:  Container{ID: "web", Namespace: "default", Runtime: "containerd"},
		},
		"Docker with its own images": {
			point: "/var/lib/docker/rootfs/overlayfs/" + someID, want: Container{ID: someID, Runtime: "docker"},
		},
		"Docker, cgroupfs": {cgroup: "9:name=systemd:/docker/" + someID + "\n0::/\n", want: Container{ID: someID, Runtime: "docker"}},
		"Docker, systemd":  {cgroup: "0::/system.slice/docker-" + someID + ".scope\n", want: Container{ID: someID, Runtime: "docker"}},
		"podman": {
			cgroup:  "0::/machine.slice/libpod-" + someID + ".scope/container\n",
			monitor: "/usr/bin/conmon --api-version 1 -c " + someID + " -u " + someID + " -n web",
			want:    Container{ID: someID, Name: "web", Runtime: "podman"},
		},
		"CRI-O": {
			cgroup:  "0::/kubepods.slice/kubepods-pod1.slice/crio-" + someID + ".scope\n",
			monitor: "/usr/libexec/crio/conmon -c " + someID + " -n k8s_web",
			want:    Container{ID: someID, Name: "k8s_web", Runtime: "cri-o"},
		},
		"kubelet with containerd": {
			cgroup:  "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + someID + ".scope\n",
			monitor: "/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id " + strings.Repeat("0", 64) + " -address /run/x",
			want:    Container{ID: someID, Namespace: "k8s.io", Runtime: "containerd"},
		},
		"systemd's cgroup not expanded": {cgroup: "0::/system.slice:cri-containerd:" + someID + "\n", want: Container{ID: someID, Runtime: "containerd"}},
		"pod in a cgroup of its id": {
			cgroup: "4:memory:/kubepods/besteffort/pod1/" + someID + "\n", want: Container{ID: someID},
		},
		"shim alone": {
			monitor: "containerd-shim-runc-v2 -namespace moby -id " + someID, want: Container{ID: someID, Namespace: "moby", Runtime: "docker"},
		},
		"in another container": {
			cgroup: "0::/docker/" + strings.Repeat("a", 64) + "/docker/" + someID + "\n", want: Container{ID: someID, Runtime: "docker"},
		},
		"nothing tells": {point: "/mnt", cgroup: "0::/user.slice\n", monitor: "/bin/sh"},
		"empty":         {},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got Container
			got.fromMountPoint(tt.point)
			got.fromCgroup(tt.cgroup)
			got.fromMonitor(strings.Split(tt.monitor, " "))
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	list := []Container{
		{ID: "abc1", PID: 10, Runtime: "docker"}, {ID: "abd2", PID: 11, Name: "web"},
		{ID: "12ff", PID: 13}, {ID: "abc1ff", PID: 12}, {PID: 14},
	}
	tests := map[string]struct {
		ref string
		pid int
		err error
	}{
		"whole ID, though it begins another": {ref: "abc1", pid: 10},
		"beginning":                          {ref: "abd", pid: 11},
		"name":                               {ref: "web", pid: 11},
		"pid":                                {ref: "14", pid: 14},
		"pid of one, beginning of another":   {ref: "12", err: ErrAmbiguous},
		"beginning of several":               {ref: "ab", err: ErrAmbiguous},
		"none":                               {ref: "x", err: ErrNoContainer},
		"empty":                              {ref: "", err: ErrNoContainer},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Match(list, tt.ref)
			if got.PID != tt.pid || !errors.Is(err, tt.err) {
				t.Errorf("got process %d, %v", got.PID, err)
			}
		})
	}
}
