package sshd

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
)

// connect creates the lab's bridge and a link to it from the machine. Its
// subnet is in the block for network tests (RFC 2544), which is not routed. The
// name of the link is unique among all processes, so it reserves the subnet.
func (l *Lab) connect() error {
	for i := range 256 {
		link := fmt.Sprintf("adm-sshd%d", i)
		if _, err := os.Stat(filepath.Join("/sys/class/net", link)); err == nil {
			continue
		}
		err := run("ip", "link", "add", link, "type", "veth", "peer", "name", "machine", "netns", fmt.Sprint(l.holder.Process.Pid))
		if err != nil {
			if _, statErr := os.Stat(filepath.Join("/sys/class/net", link)); statErr == nil {
				continue // another lab was faster
			}
			return err
		}
		l.link, l.subnet = link, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i), 0}), 24)
		return l.bridge()
	}
	return errors.New("256 labs are open on this machine; see ip link show type veth")
}

func (l *Lab) bridge() error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", "lab", "type", "bridge", "forward_delay", "0"},
		{"link", "set", "machine", "master", "lab", "up"},
		{"link", "set", "lab", "up"},
	} {
		if err := l.ip(args...); err != nil {
			return err
		}
	}
	machine := netip.PrefixFrom(l.address(254), l.subnet.Bits())
	if err := run("ip", "address", "add", machine.String(), "dev", l.link); err != nil {
		return err
	}
	return run("ip", "link", "set", l.link, "up")
}

// ip runs ip(8) in the lab's network namespace.
func (l *Lab) ip(args ...string) error {
	return run("nsenter", append([]string{"--net=" + l.namespace("net"), "ip"}, args...)...)
}

// address returns the lab's address with this last byte.
func (l *Lab) address(last byte) netip.Addr {
	a := l.subnet.Addr().As4()
	a[3] = last
	return netip.AddrFrom4(a)
}

// plug connects a server that waits for its link. The hardware address is the
// same after a reboot, because the other servers cache it for a while.
func (s *Server) plug() error {
	err := s.lab.ip("link", "add", s.port(), "type", "veth",
		"peer", "name", "eth0", "address", fmt.Sprintf("02:00:00:00:00:%02x", s.number), "netns", fmt.Sprint(s.pid))
	if err != nil {
		return err
	}
	return s.lab.ip("link", "set", s.port(), "master", "lab", "up")
}

// port returns the name of the bridge's end of the server's link.
func (s *Server) port() string { return fmt.Sprintf("port%d", s.number) }

// LinkDown drops all packets to and from the server, without an error for the
// sender.
func (s *Server) LinkDown() { s.setLink("down") }

// LinkUp undoes LinkDown. For some seconds the kernel would remember that the server
// did not answer.
func (s *Server) LinkUp() {
	s.lab.t.Helper()
	s.setLink("up")
	if err := run("ip", "neighbour", "flush", "to", s.Addr); err != nil {
		s.lab.t.Fatalf("sshd: link of %s: %v", s.Name, err)
	}
}

func (s *Server) setLink(state string) {
	s.lab.t.Helper()
	if err := s.lab.ip("link", "set", s.port(), state); err != nil {
		s.lab.t.Fatalf("sshd: link of %s: %v", s.Name, err)
	}
}

// unplug removes the link of a server that has ended, unless the kernel has
// done so.
func (s *Server) unplug() {
	_ = s.lab.ip("link", "delete", s.port()) // it may be gone, and otherwise plug fails
}

// MachineAddr returns the address of the machine in the lab, from which it reaches the
// servers.
func (l *Lab) MachineAddr() string { return l.address(254).String() }
