package translate

import (
	"fmt"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Facts is everything except its spec that determines how a pod runs.
type Facts struct {
	Layout  Layout
	Claims  string // directory of the claims of all namespaces, see ClaimData
	Node    Node
	PodIPs  []string          // empty until the sandbox runs
	Volumes map[string]Volume // by name; empty until they are planned

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

// capacity returns the machine's capacity of a resource, or zero for an unknown
// resource.
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

// A Layout holds the paths of the files of one pod that its containers use. The
// names are the kubelet's:
//
//	Dir/etc-hosts
//	Dir/volumes/<plugin>/<name>
//	Dir/volume-subpaths/<volume>/<container>/<index>
//	Dir/containers/<name>/termination-log.<attempt>
//	Dir/logs/<container>/<attempt>.log
type Layout struct {
	RootID string // label value that identifies the directory of all pods
	UID    string // of the pod
	Dir    string
}

// EtcHosts returns the file that is mounted on /etc/hosts.
func (l Layout) EtcHosts() string { return path.Join(l.Dir, "etc-hosts") }

// Logs returns the directory of all logs.
func (l Layout) Logs() string { return path.Join(l.Dir, "logs") }

// Volume returns the directory of a volume, below its plugin's escaped name.
func (l Layout) Volume(plugin, name string) string {
	return path.Join(l.Dir, "volumes", strings.ReplaceAll(plugin, "/", "~"), name)
}

// Container returns the directory of a container's own files.
func (l Layout) Container(name string) string {
	return path.Join(l.Dir, "containers", name)
}

// TerminationLog returns the file for the termination message of an attempt at a
// container.
func (l Layout) TerminationLog(container string, attempt uint32) string {
	return path.Join(l.Container(container), fmt.Sprintf("termination-log.%d", attempt))
}

func (l Layout) subpath(volume, container string, index int) string {
	return path.Join(l.Dir, "volume-subpaths", volume, container, fmt.Sprint(index))
}

// LogPath returns the log of an attempt at a container, relative to Layout.Logs.
func LogPath(container string, attempt uint32) string {
	return path.Join(container, fmt.Sprintf("%d.log", attempt))
}

// ClaimDir returns the directory of a claim, below that of all claims. Namespaces and
// names are DNS names, which are safe as names of files.
func ClaimDir(claims, namespace, name string) string { return path.Join(claims, namespace, name) }

// ClaimData returns the directory that is mounted for a claim.
func ClaimData(claims, namespace, name string) string {
	return path.Join(ClaimDir(claims, namespace, name), "data")
}
