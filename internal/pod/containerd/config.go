package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
)

// learnHandler is the name of the runtime handler that calls Adamant's own
// executable as if it were runc, under the name RuncWrapper.
const (
	learnHandler = "learn"
	runcWrapper  = "adamant-runc"
)

// Wrapped tells whether this process was called by the runtime handler
// "learn" in place of runc, and by which path the real runc is found. Such a
// process must do what runc does with the same arguments: at least replace
// itself by it.
func Wrapped() (runc string, ok bool) {
	dir, name := filepath.Split(os.Args[0])
	if name != runcWrapper {
		return "", false
	}
	return filepath.Join(dir, "runc"), true
}

// annotationPrefix is that of pod and container annotations that the runtime
// hands to runc in the bundle's config.json.
const annotationPrefix = "adamant.sh/"

// PauseImage names the image of the process that holds a pod's namespaces.
const PauseImage = "adamant.sh/pause:v1"

// A settings is all that containerd's configuration depends on.
type settings struct {
	layout
	binaries    Binaries
	snapshotter string
	restrictOOM bool // the kernel lets us not lower oom_score_adj
	systemd     bool // cgroups are made by systemd
}

// probeSettings finds out which settings this machine allows.
func probeSettings(l layout, b Binaries, in *instance) settings {
	if in.Snapshotter == "" {
		in.Snapshotter = "overlayfs"
		if overlayutils.Supported(l.root) != nil {
			in.Snapshotter = "native" // the root itself lies on an overlay, as in a container
		}
	}
	return settings{
		layout: l, binaries: b, snapshotter: in.Snapshotter,
		restrictOOM: !mayLowerOOMScore(), systemd: systemdCgroups(),
	}
}

// file returns the configuration's name, which tells its content: what a
// running daemon was started with can be read from its command line.
func (s settings) file() (path, content string) {
	content = s.toml()
	sum := sha256.Sum256([]byte(content))
	return filepath.Join(s.configDir(), hex.EncodeToString(sum[:6])+".toml"), content
}

// toml returns the configuration: version 3 for containerd 2, version 2 for
// 1.6 and 1.7, which differ in where the CRI plugin keeps its settings.
func (s settings) toml() string {
	var t toml
	version := 2
	if s.binaries.Version.Major >= 2 {
		version = 3
	}
	t.set("", "version", version)
	t.set("", "root", s.containerdRoot())
	t.set("", "state", s.containerdState())
	t.set("", "imports", []string{}) // nothing of the machine's own containerd
	t.set("", "disabled_plugins", disabledPlugins)
	if !s.restrictOOM {
		t.set("", "oom_score", -999) // as the distributions' unit files have it
	}
	t.set("grpc", "address", s.socket())
	t.set("debug", "level", "warn")
	server, runtime := "plugins.'io.containerd.grpc.v1.cri'", "plugins.'io.containerd.grpc.v1.cri'"
	if version == 2 {
		s.images1(&t, server)
	} else {
		runtime = "plugins.'io.containerd.cri.v1.runtime'"
		s.images2(&t, "plugins.'io.containerd.cri.v1.images'", runtime)
	}
	t.set(server, "disable_tcp_service", true)
	t.set(server, "stream_server_address", "127.0.0.1")
	t.set(server, "stream_server_port", "0")
	s.runtime(&t, runtime)
	return t.String()
}

// statsPeriod is how often the runtime walks all containers' files to tell
// how large they are, in seconds. Nobody here asks it.
const statsPeriod = 86400

// images1 writes the settings that containerd 1 has in another place than containerd 2.
func (s settings) images1(t *toml, cri string) {
	t.set(cri, "sandbox_image", PauseImage)
	t.set(cri, "stats_collect_period", statsPeriod)
	t.set(cri+".containerd", "snapshotter", s.snapshotter)
	t.set(cri+".containerd", "disable_snapshot_annotations", true)
	t.set(cri+".cni", "bin_dir", s.binaries.CNI)
}

// images2 writes the settings that containerd 2 has in another place than containerd 1.
func (s settings) images2(t *toml, images, runtime string) {
	t.set(images, "snapshotter", s.snapshotter)
	t.set(images, "disable_snapshot_annotations", true)
	t.set(images, "stats_collect_period", statsPeriod)
	t.set(images+".pinned_images", "sandbox", PauseImage)
	if s.binaries.Version.Minor < 1 {
		t.set(runtime+".cni", "bin_dir", s.binaries.CNI)
	} else {
		t.set(runtime+".cni", "bin_dirs", []string{s.binaries.CNI})
	}
}

// runtime writes how containers run.
func (s settings) runtime(t *toml, cri string) {
	t.set(cri, "restrict_oom_score_adj", s.restrictOOM)
	t.set(cri, "ignore_image_defined_volumes", true) // other runtimes make no volumes of them either
	t.set(cri, "netns_mounts_under_state_dir", true)
	t.set(cri, "max_container_log_line_size", 16384) // kubelet's reader expects it
	t.set(cri+".cni", "conf_dir", s.cniConfDir())
	t.set(cri+".cni", "max_conf_num", 1)
	t.set(cri+".containerd", "default_runtime_name", "runc")
	// Naming one runtime removes the built-in one: both are named. Their own
	// Root keeps runc's state apart from that of the system's containerd.
	for _, r := range []struct{ name, binary string }{
		{"runc", s.binaries.Runc},
		{learnHandler, filepath.Join(s.binDir(), runcWrapper)},
	} {
		table := cri + ".containerd.runtimes." + r.name
		t.set(table, "runtime_type", "io.containerd.runc.v2")
		t.set(table, "pod_annotations", []string{annotationPrefix + "*"})
		t.set(table, "container_annotations", []string{annotationPrefix + "*"})
		t.set(table+".options", "BinaryName", r.binary)
		t.set(table+".options", "Root", s.runcRoot())
		t.set(table+".options", "SystemdCgroup", s.systemd)
	}
}

// disabledPlugins are those that would open devices, listen, or only warn.
var disabledPlugins = []string{
	"io.containerd.snapshotter.v1.aufs",
	"io.containerd.snapshotter.v1.btrfs",
	"io.containerd.snapshotter.v1.devmapper",
	"io.containerd.snapshotter.v1.zfs",
	"io.containerd.snapshotter.v1.blockfile",
	"io.containerd.snapshotter.v1.erofs",
	"io.containerd.tracing.processor.v1.otlp",
	"io.containerd.internal.v1.tracing",
	"io.containerd.internal.v1.opt",
	"io.containerd.internal.v1.restart",
	"io.containerd.monitor.v1.cgroups", // its name in containerd 1
	"io.containerd.monitor.task.v1.cgroups",
	"io.containerd.monitor.container.v1.restart",
	"io.containerd.nri.v1.nri",
}

// mayLowerOOMScore tells whether the kernel lets this process lower an
// oom_score_adj, which needs SYS_RESOURCE in the first user namespace: no
// capability set tells it, trying does. The old value is put back.
func mayLowerOOMScore() bool {
	const path = "/proc/self/oom_score_adj"
	raw, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	var score int
	if _, err := fmt.Sscan(string(raw), &score); err != nil {
		return false
	}
	if score <= -999 {
		return true // nothing has to go lower
	}
	if os.WriteFile(path, fmt.Appendf(nil, "%d", score-1), 0) != nil {
		return false
	}
	return os.WriteFile(path, raw, 0) == nil
}

// systemdCgroups tells whether systemd owns a unified cgroup hierarchy, where
// it wants to be asked for each group.
func systemdCgroups() bool {
	_, err := os.Stat("/run/systemd/system")
	if err != nil {
		return false
	}
	_, err = os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}
