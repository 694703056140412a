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
	// struct ifinfomsg with the interface's index.
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(i.Index))
	// ENODEV: the interface was removed after InterfaceByName.
	if err := routeRequest(unix.RTM_DELLINK, 0, body); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete interface %s: %w", name, err)
	}
	return nil
}

// routeRequest sends a request to rtnetlink (rtnetlink(7)) and returns the kernel's
// answer to it.
func routeRequest(kind, flags uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// struct nlmsghdr, then the body.
	msg := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	native := binary.NativeEndian
	native.PutUint32(msg[0:], uint32(unix.SizeofNlMsghdr+len(body)))
	native.PutUint16(msg[4:], kind)
	native.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	if err := unix.Sendto(fd, append(msg, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	reply := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, reply, 0)
	if err != nil {
		return err
	}
	// struct nlmsghdr of type NLMSG_ERROR, then a negative errno or 0.
	if n < unix.SizeofNlMsghdr+4 || native.Uint16(reply[4:]) != unix.NLMSG_ERROR {
		return errors.New("unexpected answer of the kernel")
	}
	if errno := unix.Errno(-int32(native.Uint32(reply[unix.SizeofNlMsghdr:]))); errno != 0 {
		return errno
	}
	return nil
}
