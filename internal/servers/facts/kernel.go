package facts

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// volatile are the prefixes of sysctls that report a state instead of a setting.
var volatile = []string{
	"kernel.random.", "kernel.ns_last_pid", "kernel.pty.nr", "kernel.hostname", "kernel.domainname", "kernel.version",
	"kernel.osrelease", "kernel.cap_last_cap", "kernel.sched_domain", "fs.dentry-state", "fs.file-nr", "fs.inode-", "fs.aio-nr",
	"fs.quota", "fs.binfmt_misc", "net.netfilter.nf_conntrack_count", "net.ipv4.neigh.", "net.ipv6.neigh.", "sunrpc.",
	"vm.stat_refresh", "dev.cdrom", "kernel.perf_event_max_sample_rate", "kernel.usermodehelper",
}

// A Kernel is the raw text that a running kernel reports in /proc.
type Kernel struct {
	Release  string            // as printed by uname -r
	Sysctls  map[string]string // value by name, with dots
	Mounts   string            // proc_pid_mountinfo(5)
	Modules  string            // proc_modules(5)
	Sockets  map[string]string // proc_pid_net(5), by the name of the file: tcp, tcp6, udp, udp6
	Programs map[string]string // name of the program that has a socket open, by the socket's inode
}

// readKernel reads /proc of this machine.
func readKernel() Kernel {
	text := func(file string) string {
		b, _ := os.ReadFile(file) // a kernel without the feature has no such file
		return string(b)
	}
	k := Kernel{
		Release: strings.TrimSpace(text("/proc/sys/kernel/osrelease")),
		Sysctls: readSysctls(),
		Mounts:  text("/proc/self/mountinfo"), Modules: text("/proc/modules"),
		Sockets: map[string]string{}, Programs: socketPrograms(),
	}
	for _, t := range socketTables {
		k.Sockets[t.file] = text("/proc/net/" + t.file)
	}
	return k
}

// facts returns the facts of the kernel of a machine with an architecture, as GOARCH.
func (k Kernel) facts(arch string) []Fact {
	var facts []Fact
	if k.Release != "" {
		facts = append(facts, Fact{System, "kernel", k.Release})
	}
	for name, value := range k.Sysctls {
		if !isVolatile(name) {
			facts = append(facts, Fact{Sysctl, name, strings.Join(strings.Fields(value), " ")})
		}
	}
	facts = append(facts, mountFacts(k.Mounts)...)
	facts = append(facts, moduleFacts(k.Modules)...)
	return append(facts, k.listenerFacts(byteOrder(arch))...)
}

// readSysctls reads the settings in /proc/sys.
func readSysctls() map[string]string {
	const top = "/proc/sys/"
	values := map[string]string{}
	filepath.WalkDir(top, func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		name := strings.ReplaceAll(strings.TrimPrefix(file, top), "/", ".")
		if isVolatile(name) {
			return nil
		}
		if text, err := os.ReadFile(file); err == nil {
			values[name] = string(text)
		}
		return nil
	})
	return values
}

// isVolatile reports whether a sysctl is a state, or a setting of one network
// interface. Interfaces have different names on each server.
func isVolatile(name string) bool {
	for _, prefix := range volatile {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	_, rest, isConf := strings.Cut(name, ".conf.")
	return isConf && strings.HasPrefix(name, "net.") && !strings.HasPrefix(rest, "all.") && !strings.HasPrefix(rest, "default.")
}

// virtual are file systems that hold no files of a server's own.
var virtual = []string{
	"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "mqueue", "debugfs", "tracefs", "securityfs", "pstore", "bpf",
	"configfs", "fusectl", "hugetlbfs", "binfmt_misc", "autofs", "nsfs", "efivarfs", "rpc_pipefs", "overlay",
}

// mountFacts parses proc_pid_mountinfo(5). The facts keep the kernel's escapes, so that
// they compare equal to those of earlier snapshots.
func mountFacts(text string) []Fact {
	var facts []Fact
	for line := range strings.Lines(text) {
		m, err := mounts.ParseLine(strings.TrimSuffix(line, "\n"))
		if err != nil || slices.Contains(virtual, m.Type) || isOwnPlace(m.Point) {
			continue // a hostile server may send an invalid line; its other mounts still count
		}
		// Of a source the kernel escapes one more character than of a mount point.
		source := strings.ReplaceAll(mounts.Escape(m.Source), "#", `\043`)
		value := m.Type + " " + source + " " + m.Options
		if more := superOptions(m); more != "" {
			value += " (file system: " + more + ")"
		}
		facts = append(facts, Fact{Mount, mounts.Escape(m.Point), value})
	}
	return facts
}

// ownOptions are options of file systems that are not equal on equal servers: sizes that
// follow from the memory, and addresses.
var ownOptions = []string{"size", "nr_inodes", "nr_blocks", "addr", "clientaddr", "mountaddr"}

// superOptions returns the options of a file system that are not among those of the
// mount. A file system that the kernel made read-only after an error has ro here, but
// the mount still has rw.
func superOptions(m mounts.Mount) string {
	var list []string
	of := strings.Split(m.Options, ",")
	for option := range strings.SplitSeq(m.SuperOptions, ",") {
		name, _, _ := strings.Cut(option, "=")
		if option != "" && !slices.Contains(of, option) && !slices.Contains(ownOptions, name) {
			list = append(list, option)
		}
	}
	return strings.Join(list, ",")
}

func isOwnPlace(dir string) bool {
	return slices.ContainsFunc(append(skipped, "/run"), func(s string) bool { return dir == s || strings.HasPrefix(dir, s+"/") })
}

func moduleFacts(text string) []Fact {
	var facts []Fact
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 {
			facts = append(facts, Fact{Module, f[0], "loaded"})
		}
	}
	return facts
}

// listening is the state of a TCP socket that accepts connections, and bound that of a
// UDP socket with an address (include/net/tcp_states.h).
const (
	listening = "0A"
	bound     = "07"
)

// socketTables are the files of /proc/net with sockets, and the state of those that
// wait for peers.
var socketTables = []struct{ file, protocol, state string }{
	{"tcp", "tcp", listening}, {"tcp6", "tcp", listening}, {"udp", "udp", bound}, {"udp6", "udp", bound},
}

// listenerFacts parses the tables of sockets, and finds the program of a socket by the
// inode that one of its descriptors links to.
func (k Kernel) listenerFacts(order binary.ByteOrder) []Fact {
	found := map[Fact]bool{}
	for _, t := range socketTables {
		for line := range strings.Lines(k.Sockets[t.file]) {
			field := strings.Fields(line)
			if len(field) < 10 || field[3] != t.state {
				continue
			}
			if address, err := socketAddress(field[1], order); err == nil {
				found[Fact{Listener, t.protocol + " " + address, k.Programs[field[9]]}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b Fact) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
	})
}

// established is the state of a TCP connection in /proc/net/tcp.
const established = "01"

// Connections counts the TCP connections from other machines to ports of this machine.
func Connections(ports []uint16) (int, error) {
	n := 0
	for _, file := range []string{"tcp", "tcp6"} {
		f, err := os.Open("/proc/net/" + file)
		if errors.Is(err, fs.ErrNotExist) && file == "tcp6" {
			continue
		}
		if err != nil {
			return 0, err
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			field := strings.Fields(s.Text())
			if len(field) > 3 && field[3] == established && isTo(ports, field[1], field[2]) {
				n++
			}
		}
		f.Close()
	}
	return n, nil
}

// isTo reports whether a connection between two addresses comes from another machine
// and goes to one of the ports.
func isTo(ports []uint16, local, remote string) bool {
	here, err := socketAddress(local, binary.NativeEndian)
	if err != nil {
		return false
	}
	there, err := socketAddress(remote, binary.NativeEndian)
	if err != nil {
		return false
	}
	at, err := netip.ParseAddrPort(here)
	if err != nil || !slices.Contains(ports, at.Port()) {
		return false
	}
	from, err := netip.ParseAddrPort(there)
	return err == nil && !from.Addr().Unmap().IsLoopback() && from.Addr() != at.Addr()
}

// byteOrder returns the byte order of an architecture, as GOARCH.
func byteOrder(arch string) binary.ByteOrder {
	switch arch {
	case "s390x", "ppc64", "ppc", "mips", "mips64":
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// socketAddress parses "0100007F:0016". The address is printed as 32-bit numbers, which the
// machine reads from memory in its byte order.
func socketAddress(text string, order binary.ByteOrder) (string, error) {
	address, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	if err != nil || len(raw)%4 != 0 {
		return "", fmt.Errorf("address %q: %w", text, err)
	}
	for i := 0; i < len(raw); i += 4 {
		order.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	var n uint16
	if _, err := fmt.Sscanf(port, "%X", &n); err != nil || !ok {
		return "", fmt.Errorf("address %q is malformed", text)
	}
	return netip.AddrPortFrom(ip.Unmap(), n).String(), nil
}

// socketPrograms returns the names of the programs that have sockets open, by the
// inodes of the sockets.
func socketPrograms() map[string]string {
	found := map[string]string{}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // only a bad pattern is an error
	for _, link := range links {
		target, err := os.Readlink(link)
		inode, isSocket := strings.CutPrefix(target, "socket:[")
		if err != nil || !isSocket {
			continue
		}
		comm, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(link)), "comm"))
		if err == nil {
			found[strings.TrimSuffix(inode, "]")] = strings.TrimSpace(string(comm))
		}
	}
	return found
}
