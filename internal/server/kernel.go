package server

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// volatile are the sysctls that say how the kernel does and not how it is set,
// by their beginning.
var volatile = []string{
	"kernel.random.", "kernel.ns_last_pid", "kernel.pty.nr", "kernel.hostname", "kernel.domainname", "kernel.version",
	"kernel.osrelease", "kernel.cap_last_cap", "kernel.sched_domain", "fs.dentry-state", "fs.file-nr", "fs.inode-", "fs.aio-nr",
	"fs.quota", "fs.binfmt_misc", "net.netfilter.nf_conntrack_count", "net.ipv4.neigh.", "net.ipv6.neigh.", "sunrpc.",
	"vm.stat_refresh", "dev.cdrom", "kernel.perf_event_max_sample_rate", "kernel.usermodehelper",
}

// sysctlFacts reads /proc/sys.
func sysctlFacts() []Fact {
	const top = "/proc/sys/"
	var facts []Fact
	filepath.WalkDir(top, func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		name := strings.ReplaceAll(strings.TrimPrefix(file, top), "/", ".")
		if isVolatile(name) {
			return nil
		}
		if text, err := os.ReadFile(file); err == nil {
			facts = append(facts, Fact{Sysctl, name, strings.Join(strings.Fields(string(text)), " ")})
		}
		return nil
	})
	return facts
}

// isVolatile reports whether a sysctl is no setting, or one of a network
// interface: those have names of their own on each server.
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

// mountFacts reads proc_pid_mountinfo(5).
func mountFacts() []Fact {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var facts []Fact
	for line := range strings.Lines(string(text)) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 2 || slices.Contains(virtual, r[0]) || isOwnPlace(l[4]) {
			continue
		}
		facts = append(facts, Fact{Mount, l[4], r[0] + " " + r[1] + " " + l[5]})
	}
	return facts
}

func isOwnPlace(dir string) bool {
	return slices.ContainsFunc(append(skipped, "/run"), func(s string) bool { return dir == s || strings.HasPrefix(dir, s+"/") })
}

func moduleFacts() []Fact {
	text, err := os.ReadFile("/proc/modules")
	if err != nil {
		return nil
	}
	var facts []Fact
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 0 {
			facts = append(facts, Fact{Module, f[0], "loaded"})
		}
	}
	return facts
}

// listening is the state of a TCP socket that takes connections; a UDP socket
// that is bound has the other.
const (
	listening = "0A"
	bound     = "07"
)

// listenerFacts reads the tables of sockets (proc_pid_net(5)), and finds their
// programs by the inodes of what processes have open.
func listenerFacts() []Fact {
	programs := socketPrograms()
	found := map[Fact]bool{}
	for _, t := range []struct{ file, protocol, state string }{
		{"tcp", "tcp", listening}, {"tcp6", "tcp", listening}, {"udp", "udp", bound}, {"udp6", "udp", bound},
	} {
		f, err := os.Open("/proc/net/" + t.file)
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			field := strings.Fields(s.Text())
			if len(field) < 10 || field[3] != t.state {
				continue
			}
			if address, err := socketAddress(field[1]); err == nil {
				found[Fact{Listener, t.protocol + " " + address, programs[field[9]]}] = true
			}
		}
		f.Close()
	}
	var facts []Fact
	for f := range found {
		facts = append(facts, f)
	}
	return facts
}

// established is the state of a TCP connection in /proc/net/tcp.
const established = "01"

// Connections counts the TCP connections that others have to ports of this
// machine. Those from the machine itself do not count.
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

// isTo reports whether a connection between two addresses leads from elsewhere to
// one of the ports.
func isTo(ports []uint16, local, remote string) bool {
	here, err := socketAddress(local)
	if err != nil {
		return false
	}
	there, err := socketAddress(remote)
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

// socketAddress reads "0100007F:0016": words of an address in the machine's
// order, which is little-endian on all that Linux servers have.
func socketAddress(text string) (string, error) {
	address, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	if err != nil || len(raw)%4 != 0 {
		return "", fmt.Errorf("address %q: %w", text, err)
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	ip, ok := netip.AddrFromSlice(raw)
	var n uint16
	if _, err := fmt.Sscanf(port, "%X", &n); err != nil || !ok {
		return "", fmt.Errorf("address %q is malformed", text)
	}
	return netip.AddrPortFrom(ip.Unmap(), n).String(), nil
}

// socketPrograms are the names of the programs that have sockets open, by the
// sockets' inodes.
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
