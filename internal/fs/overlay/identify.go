package overlay

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// identify finds the ID, name and runtime of a container from the mount points of
// its root, its cgroup, and the command line of its monitor.
func (c *Container) identify(host []mounts.Mount, root mounts.Mount) {
	for _, p := range host {
		if p.Device == root.Device {
			c.fromMountPoint(p.Point)
		}
	}
	if cgroup, err := os.ReadFile("/proc/" + strconv.Itoa(c.PID) + "/cgroup"); err == nil {
		c.fromCgroup(string(cgroup))
	}
	parent, err := parentOf(c.PID)
	if err != nil || parent <= 1 {
		return
	}
	if line, err := os.ReadFile("/proc/" + strconv.Itoa(parent) + "/cmdline"); err == nil {
		c.fromMonitor(strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"))
	}
}

// set sets a field unless it was found before.
func (c *Container) set(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// The mount points of root file systems: a task's bundle of containerd, which
// Docker uses with the namespace moby, and those of Docker's image store.
var (
	taskPoint   = regexp.MustCompile(`/io\.containerd\.runtime\.v[12]\.(?:task|linux)/([^/]+)/([^/]+)/rootfs$`)
	dockerPoint = regexp.MustCompile(`/docker/rootfs/[^/]+/([0-9a-f]{64})$`)
)

func (c *Container) fromMountPoint(point string) {
	if m := taskPoint.FindStringSubmatch(point); m != nil {
		c.set(&c.Namespace, m[1])
		c.set(&c.ID, m[2])
		c.set(&c.Runtime, runtimeOfNamespace(m[1]))
	}
	if m := dockerPoint.FindStringSubmatch(point); m != nil {
		c.set(&c.ID, m[1])
		c.set(&c.Runtime, "docker")
	}
}

func runtimeOfNamespace(namespace string) string {
	if namespace == "moby" {
		return "docker"
	}
	return "containerd"
}

// cgroupName is the last part of the path of a container's cgroup, with the
// systemd driver (docker-ID.scope) or without (/docker/ID).
var cgroupName = regexp.MustCompile(`(?:^|[/:])(?:(docker|cri-containerd|nerdctl|libpod|crio)[-:])?([0-9a-f]{64})(?:\.scope)?(?:/|$)`)

func (c *Container) fromCgroup(cgroup string) {
	for line := range strings.Lines(cgroup) {
		_, at, _ := strings.Cut(strings.TrimSpace(line), ":/")
		all := cgroupName.FindAllStringSubmatch("/"+at, -1)
		if len(all) == 0 {
			continue
		}
		m := all[len(all)-1]
		if c.ID == "" {
			c.ID = m[2]
		}
		switch {
		case m[1] == "docker", strings.Contains("/"+at, "/docker/"):
			c.set(&c.Runtime, "docker")
		case m[1] == "libpod", strings.Contains(at, "libpod"):
			c.set(&c.Runtime, "podman")
		case m[1] == "crio":
			c.set(&c.Runtime, "cri-o")
		case m[1] != "":
			c.set(&c.Runtime, "containerd")
		}
		return
	}
}

// fromMonitor reads the arguments of conmon or of containerd's shim, which may
// serve several containers of a pod.
func (c *Container) fromMonitor(args []string) {
	option := func(names ...string) string {
		for i, arg := range args[:max(len(args)-1, 0)] {
			if slices.Contains(names, arg) {
				return args[i+1]
			}
		}
		return ""
	}
	switch program := path.Base(args[0]); {
	case strings.HasPrefix(program, "containerd-shim"):
		namespace := option("-namespace", "--namespace")
		c.set(&c.Namespace, namespace)
		c.set(&c.Runtime, runtimeOfNamespace(namespace))
		c.set(&c.ID, option("-id", "--id"))
	case program == "conmon":
		c.set(&c.ID, option("-c", "--cid"))
		c.set(&c.Name, option("-n", "--name"))
		if strings.Contains(strings.Join(args, " "), "crio") {
			c.set(&c.Runtime, "cri-o")
		}
		c.set(&c.Runtime, "podman")
	}
}

// runtimeOfPath guesses the runtime from the path of the upper directory.
func runtimeOfPath(upper string) string {
	switch {
	case strings.Contains(upper, "/io.containerd.snapshotter"):
		return "containerd"
	case strings.Contains(upper, "/docker/") || strings.Contains(upper, "/overlay2/"):
		return "docker"
	case strings.Contains(upper, "/containers/storage/"):
		return "podman"
	}
	return ""
}
