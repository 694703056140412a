package pod

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// thisNode describes this machine. root is the directory of the pods' state.
func thisNode(root string) translate.Node {
	n := translate.Node{CPUs: runtime.NumCPU(), Resolver: machineResolver(), IPs: addresses()}
	if name, err := os.Hostname(); err == nil {
		n.Name = strings.ToLower(name)
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		n.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	var fs unix.Statfs_t
	if unix.Statfs(root, &fs) == nil {
		n.Storage = int64(fs.Blocks) * fs.Bsize
	}
	n.ThermalThrottles, _ = filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")
	return n
}

// addresses returns an address of the machine: that of the default route, or the
// first global one, or the loopback address.
func addresses() []string {
	// Connecting a UDP socket sends no packet; the kernel only chooses the source
	// address. 192.0.2.0/24 is reserved for documentation (RFC 5737), so that the
	// default route is used.
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
