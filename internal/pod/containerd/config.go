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
// executable in place of runc, under the name runcWrapper.
const (
	learnHandler = "learn"
	runcWrapper  = "adamant-runc"
)

// Wrapped reports whether the runtime handler "learn" called this process in
// place of runc, and returns the path of the real runc. Such a process must do
// the same as runc with the same arguments; at least it must execute runc.
func Wrapped() (runc string, ok bool) {
	dir, name := filepath.Split(os.Args[0])
	if name != runcWrapper {
		return "", false
	}
	return filepath.Join(dir, "runc"), true
}

// annotationPrefix is the prefix of the pod and container annotations that the
// runtime writes to the bundle's config.json.
const annotationPrefix = "adamant.sh/"

// PauseImage names the image of the process that holds a pod's namespaces.
const PauseImage = "adamant.sh/pause:v1"

// settings contains everything that containerd's configuration depends on.
type settings struct {
	layout
	binaries    Binaries
	snapshotter string
	restrictOOM bool // this process may not lower oom_score_adj
	systemd     bool // use the systemd cgroup driver
}

// probeSettings finds out which settings this machine allows.
func probeSettings(l layout, b Binaries, in *instance) settings {
	if in.Snapshotter == "" {
		in.Snapshotter = "overlayfs"
		if overlayutils.Supported(l.root) != nil {
			in.Snapshotter = "native" // the root itself is on an overlay, as in a container
		}
	}
	return settings{
		layout: l, binaries: b, snapshotter: in.Snapshotter,
		restrictOOM: !mayLowerOOMScore(), systemd: systemdCgroups(),
	}
}

// file returns the path and the content of the configuration. The name contains
// a hash of the content, so that the command line of a running daemon shows with
// which configuration it was started.
func (s settings) file() (path, content string) {
	content = s.toml()
	sum := sha256.Sum256([]byte(content))
	return filepath.Join(s.configDir(), hex.EncodeToString(sum[:6])+".toml"), content
}

// toml returns the configuration: version 3 for containerd 2, and version 2 for
// containerd 1.6 and 1.7. They have the settings of the CRI plugin in different
// tables.
func (s settings) toml() string {
	var t toml
	version := 2
	if s.binaries.Version.Major >= 2 {
		version = 3
	}
	t.set("", "version", version)
	t.set("", "root", s.containerdRoot())
	t.set("", "state", s.containerdState())
	t.set("", "imports", []string{}) // no settings of the machine's own containerd
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

// statsPeriod is the period, in seconds, at which the runtime walks the files of
// all containers to measure them. It is long: nothing reads the sizes.
const statsPeriod = 86400

// images1 writes the settings that are in other tables in containerd 1.
func (s settings) images1(t *toml, cri string) {
	t.set(cri, "sandbox_image", PauseImage)
	t.set(cri, "stats_collect_period", statsPeriod)
	t.set(cri+".containerd", "snapshotter", s.snapshotter)
	t.set(cri+".containerd", "disable_snapshot_annotations", true)
	t.set(cri+".cni", "bin_dir", s.binaries.CNI)
}

// images2 writes the settings that are in other tables in containerd 2.
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

// runtime writes the settings of containers.
func (s settings) runtime(t *toml, cri string) {
	t.set(cri, "restrict_oom_score_adj", s.restrictOOM)
	// Other runtimes do not create volumes for an image's VOLUME either: a pod
	// that needs one has to declare it.
	t.set(cri, "ignore_image_defined_volumes", true)
	t.set(cri, "netns_mounts_under_state_dir", true)
	t.set(cri, "max_container_log_line_size", 16384) // the kubelet's reader expects it
	t.set(cri+".cni", "conf_dir", s.cniConfDir())
	t.set(cri+".cni", "max_conf_num", 1) // load no other configuration in the directory
	t.set(cri+".containerd", "default_runtime_name", "runc")
	// Both runtimes are configured, because configuring one removes the built-in
	// one. Root separates runc's state from that of the system's containerd.
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

// disabledPlugins are not needed. They would open devices, listen, or only log
// warnings.
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

// mayLowerOOMScore reports whether this process may lower its oom_score_adj,
// which needs CAP_SYS_RESOURCE in the initial user namespace. The process cannot
// see from its capabilities in which namespace it has them, so that it tries,
// and restores the old value.
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
		return true // no lower value is needed
	}
	if os.WriteFile(path, fmt.Appendf(nil, "%d", score-1), 0) != nil {
		return false
	}
	return os.WriteFile(path, raw, 0) == nil
}

// systemdCgroups reports whether the machine has a unified cgroup hierarchy that
// systemd manages. Cgroups are then created through systemd.
func systemdCgroups() bool {
	_, err := os.Stat("/run/systemd/system")
	if err != nil {
		return false
	}
	_, err = os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}
