package containerd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// addLocalRoute makes every address of an IPv4 prefix one of this machine's own, by a
// route of type local (ip-route(8)). Programs can listen on these addresses, and pods
// reach them through their gateway, without an interface that has the addresses. A
// route that exists already is no error.
func addLocalRoute(p netip.Prefix) error {
	err := changeLocalRoute(p, unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	if err != nil {
		return fmt.Errorf("add the route to %s: %w", p, err)
	}
	return nil
}

// claimLocalRoute is addLocalRoute for a prefix that no other root may have. The error is
// EEXIST if the route exists.
func claimLocalRoute(p netip.Prefix) error {
	err := changeLocalRoute(p, unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	if err != nil {
		return fmt.Errorf("add the route to %s: %w", p, err)
	}
	return nil
}

// removeLocalRoute removes the route of addLocalRoute, if it exists.
func removeLocalRoute(p netip.Prefix) error {
	err := changeLocalRoute(p, unix.RTM_DELROUTE, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("remove the route to %s: %w", p, err)
	}
	return nil
}

func changeLocalRoute(p netip.Prefix, kind, flags uint16) error {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return err
	}
	// struct rtmsg, then the attributes with the destination and the interface.
	body := []byte{
		unix.AF_INET, byte(p.Bits()), 0, 0,
		unix.RT_TABLE_LOCAL, unix.RTPROT_STATIC, unix.RT_SCOPE_HOST, unix.RTN_LOCAL,
		0, 0, 0, 0,
	}
	native := binary.NativeEndian
	address := p.Masked().Addr().As4()
	for _, a := range []struct {
		kind  uint16
		value []byte
	}{{unix.RTA_DST, address[:]}, {unix.RTA_OIF, native.AppendUint32(nil, uint32(lo.Index))}} {
		body = native.AppendUint16(body, uint16(unix.SizeofRtAttr+len(a.value)))
		body = append(native.AppendUint16(body, a.kind), a.value...)
	}
	return routeRequest(kind, flags, body)
}
