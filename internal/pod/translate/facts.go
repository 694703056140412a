package translate

import (
	"fmt"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Facts is everything outside its spec that decides how a pod runs.
type Facts struct {
	Layout  Layout
	Node    Node
	PodIPs  []string          // not known until the sandbox runs
	Volumes map[string]Volume // by name; not known until they were planned

	CgroupParent      string // empty leaves the choice to the runtime
	SeccompRoot       string // directory of the profiles of type Localhost
	RecursiveReadOnly bool   // the runtime handler can mount recursively read-only
	MountsImages      bool   // the runtime mounts image volumes itself
}

// A Node is this machine as its pods see it.
type Node struct {
	Name     string
	IPs      []string
	CPUs     int
	Memory   int64 // bytes
	Storage  int64 // bytes of the file system that holds the pods' state
	Resolver Resolver

	// ThermalThrottles are the directories in /sys that count the thermal events
	// of each CPU.
	ThermalThrottles []string
}

// A Resolver is the content of /etc/resolv.conf.
type Resolver struct{ Servers, Searches, Options []string }

// capacity returns how much of a resource the machine has. It is zero for
// unknown resources.
func (n Node) capacity(name string) resource.Quantity {
	switch name {
	case "cpu":
		return *resource.NewQuantity(int64(n.CPUs), resource.DecimalSI)
	case "memory":
		return *resource.NewQuantity(n.Memory, resource.BinarySI)
	case "ephemeral-storage":
		return *resource.NewQuantity(n.Storage, resource.BinarySI)
	}
	return resource.Quantity{}
}

// A Layout names the files of one pod that its containers use, as a kubelet
// names them:
//
//	Dir/etc-hosts
//	Dir/volumes/<plugin>/<name>
//	Dir/volume-subpaths/<volume>/<container>/<index>
//	Dir/containers/<name>/termination-log.<attempt>
//	Dir/logs/<container>/<attempt>.log
type Layout struct {
	RootID string // label value that stands for the directory of all pods
	UID    string // of the pod
	Dir    string
}

// EtcHosts is the file that is mounted on /etc/hosts.
func (l Layout) EtcHosts() string { return path.Join(l.Dir, "etc-hosts") }

// Logs is the directory of all logs.
func (l Layout) Logs() string { return path.Join(l.Dir, "logs") }

// Volume is the directory of a volume, below its plugin's escaped name.
func (l Layout) Volume(plugin, name string) string {
	return path.Join(l.Dir, "volumes", strings.ReplaceAll(plugin, "/", "~"), name)
}

// Container is the directory of a container's own files.
func (l Layout) Container(name string) string {
	return path.Join(l.Dir, "containers", name)
}

// TerminationLog is the file that an attempt at a container may leave a
// message in.
func (l Layout) TerminationLog(container string, attempt uint32) string {
	return path.Join(l.Container(container), fmt.Sprintf("termination-log.%d", attempt))
}

func (l Layout) subpath(volume, container string, index int) string {
	return path.Join(l.Dir, "volume-subpaths", volume, container, fmt.Sprint(index))
}

// LogPath is the log of an attempt at a container, relative to Layout.Logs.
func LogPath(container string, attempt uint32) string {
	return path.Join(container, fmt.Sprintf("%d.log", attempt))
}
