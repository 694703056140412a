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

// thisNode describes this machine; root is the directory of the pods' state.
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

// addresses is the machine's own: the one of the default route, otherwise the
// first that is not of the loopback, otherwise that.
func addresses() []string {
	// No packet is sent: the kernel only chooses the address it would use.
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
