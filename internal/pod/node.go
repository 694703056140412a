package pod

import (
	"net"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/resource"
)

// A node is this machine, as pods are told of it.
type node struct {
	name    string
	ips     []string
	memory  int64 // bytes
	cpus    int
	storage int64 // bytes of the file system that holds the state
	resolv  resolver

	cgroup string // parent of the pods' cgroups; empty leaves it to the runtime
}

func thisNode(root, cgroup string) node {
	n := node{cpus: runtime.NumCPU(), resolv: machineResolver(), cgroup: cgroup, ips: addresses()}
	if name, err := os.Hostname(); err == nil {
		n.name = strings.ToLower(name)
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		n.memory = int64(info.Totalram) * int64(info.Unit)
	}
	var fs unix.Statfs_t
	if unix.Statfs(root, &fs) == nil {
		n.storage = int64(fs.Blocks) * fs.Bsize
	}
	return n
}

// facts are what the downward API tells a pod with these addresses.
func (n node) facts(uid string, podIPs []string) facts {
	return facts{
		uid:      uid,
		podIPs:   podIPs,
		hostIPs:  n.ips,
		nodeName: n.name,
		cpus:     *resource.NewQuantity(int64(n.cpus), resource.DecimalSI),
		memory:   *resource.NewQuantity(n.memory, resource.BinarySI),
		storage:  *resource.NewQuantity(n.storage, resource.BinarySI),
	}
}

// addresses is the machine's own: the one of the default route, otherwise the
// first that is not of the loopback, otherwise that.
func addresses() []string {
	// No packet is sent: the kernel only says which address it would use.
	if c, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer c.Close()
		return []string{c.LocalAddr().(*net.UDPAddr).IP.String()}
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return []string{n.IP.String()}
		}
	}
	return []string{"127.0.0.1"}
}
