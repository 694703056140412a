package facts

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A Socket is a socket of a program on this machine that listens or is connected.
type Socket struct {
	Protocol string         // "tcp", "udp" or "unix"
	Local    netip.AddrPort // of a tcp or udp socket
	Remote   netip.AddrPort // of a connection
	Path     string         // of a unix socket; empty without one
	Listens  bool
	Program  string // name of the process, cut off as the kernel does
	Unit     string // unit of systemd that the process belongs to; empty without one
}

// Sockets returns the sockets of this machine whose programs are known, in the order of
// the kernel's tables. Without root, only those of the caller's own processes are known.
func Sockets() []Socket {
	owners := socketOwners()
	var list []Socket
	for _, t := range socketTables {
		text, _ := os.ReadFile("/proc/net/" + t.file) // a kernel without the protocol has no such file
		list = append(list, inetSockets(t.protocol, t.state, string(text), owners)...)
	}
	text, _ := os.ReadFile("/proc/net/unix")
	return append(list, unixSockets(string(text), owners)...)
}

// inetSockets parses /proc/net/tcp and the like. waiting is the state of a socket that
// waits for peers.
func inetSockets(protocol, waiting, text string, owners map[string]Socket) []Socket {
	var list []Socket
	for line := range strings.Lines(text) {
		field := strings.Fields(line)
		if len(field) < 10 || field[3] != waiting && field[3] != established {
			continue
		}
		s, known := owners[field[9]]
		local, err := socketAddress(field[1], binary.NativeEndian)
		remote, err2 := socketAddress(field[2], binary.NativeEndian)
		if !known || err != nil || err2 != nil {
			continue
		}
		s.Protocol, s.Listens = protocol, field[3] == waiting
		s.Local, err = netip.ParseAddrPort(local)
		if s.Remote, err2 = netip.ParseAddrPort(remote); err == nil && err2 == nil {
			list = append(list, s)
		}
	}
	return list
}

// acceptsConnections is the flag of a listening socket in /proc/net/unix (__SO_ACCEPTCON
// of include/uapi/linux/net.h).
const acceptsConnections = "00010000"

// unixSockets returns the listening sockets of /proc/net/unix that have a path.
func unixSockets(text string, owners map[string]Socket) []Socket {
	var list []Socket
	for line := range strings.Lines(text) {
		field := strings.Fields(line)
		if len(field) != 8 || field[3] != acceptsConnections || !strings.HasPrefix(field[7], "/") {
			continue
		}
		if s, known := owners[field[6]]; known {
			s.Protocol, s.Path, s.Listens = "unix", path.Clean(field[7]), true
			list = append(list, s)
		}
	}
	return list
}

// socketOwners returns the program and unit of each open socket, by the inode of the
// socket. A service that was started for a socket shares it with the first process,
// and counts as its owner.
func socketOwners() map[string]Socket {
	owners := map[string]Socket{}
	processes, _ := filepath.Glob("/proc/[0-9]*") // only a bad pattern is an error
	for _, dir := range processes {
		links, _ := filepath.Glob(dir + "/fd/*")
		var owner Socket
		for _, link := range links {
			target, err := os.Readlink(link)
			inode, isSocket := strings.CutPrefix(target, "socket:[")
			if err != nil || !isSocket {
				continue
			}
			if owner.Program == "" {
				owner = ownerOf(dir)
			}
			if inode = strings.TrimSuffix(inode, "]"); owners[inode].Unit == "" {
				owners[inode] = owner
			}
		}
	}
	return owners
}

// ownerOf returns the program and the unit of a process. Its directory is that in /proc.
func ownerOf(dir string) Socket {
	comm, _ := os.ReadFile(dir + "/comm") // it may have ended
	cgroup, _ := os.ReadFile(dir + "/cgroup")
	return Socket{Program: string(bytes.TrimSpace(comm)), Unit: unitOfCgroup(string(cgroup))}
}

// unitOfCgroup returns the service in the text of proc_pid_cgroup(5), empty without one.
func unitOfCgroup(text string) string {
	for line := range strings.Lines(text) {
		// Below its unit's cgroup, a service may have others of its own.
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		for dir := fields[len(fields)-1]; len(dir) > 1; dir = path.Dir(dir) {
			if base := path.Base(dir); strings.HasSuffix(base, ".service") {
				return base
			}
		}
	}
	return ""
}
