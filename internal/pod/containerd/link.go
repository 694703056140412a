package containerd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// removeLink deletes a network interface through rtnetlink. It returns nil if
// there is no interface with that name.
func removeLink(name string) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("delete interface %s: %w", name, err)
	}
	defer unix.Close(fd)
	// struct nlmsghdr, then struct ifinfomsg with the interface's index.
	msg := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	native := binary.NativeEndian
	native.PutUint32(msg[0:], uint32(len(msg)))
	native.PutUint16(msg[4:], unix.RTM_DELLINK)
	native.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	native.PutUint32(msg[unix.SizeofNlMsghdr+4:], uint32(i.Index))
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("delete interface %s: %w", name, err)
	}
	reply := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, reply, 0)
	if err != nil {
		return fmt.Errorf("delete interface %s: %w", name, err)
	}
	// struct nlmsghdr of type NLMSG_ERROR, then a negative errno or 0.
	if n < unix.SizeofNlMsghdr+4 || native.Uint16(reply[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("delete interface %s: unexpected answer of the kernel", name)
	}
	errno := unix.Errno(-int32(native.Uint32(reply[unix.SizeofNlMsghdr:])))
	// ENODEV: the interface was removed after InterfaceByName.
	if errno != 0 && !errors.Is(errno, unix.ENODEV) {
		return fmt.Errorf("delete interface %s: %w", name, errno)
	}
	return nil
}
