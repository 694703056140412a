package reach

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A link is the settings of a network interface that a change can make.
type link struct {
	Index   uint32 `json:"index"`
	Name    string `json:"name"`
	Kind    string `json:"kind,omitempty"` // such as bridge and vlan; empty for a device
	Flags   uint32 `json:"flags"`          // of linkFlags
	MTU     uint32 `json:"mtu"`
	Address []byte `json:"address,omitempty"`
	Master  uint32 `json:"master,omitempty"` // index of its bridge or bond
	XDP     bool   `json:"xdp,omitempty"`    // a program of XDP sees packets before everything else
}

// linkFlags are the flags that are settings; others are states.
const linkFlags = unix.IFF_UP | unix.IFF_NOARP | unix.IFF_ALLMULTI | unix.IFF_PROMISC

func readLinks(conn *netlink.Conn) ([]link, error) {
	messages, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, unix.SizeofIfInfomsg),
	})
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	var list []link
	for _, m := range messages {
		if m.Header.Type == unix.RTM_NEWLINK && len(m.Data) >= unix.SizeofIfInfomsg {
			list = append(list, parseLink(m.Data))
		}
	}
	return list, nil
}

func parseLink(o object) link {
	const header = unix.SizeofIfInfomsg
	l := link{
		Index: binary.NativeEndian.Uint32(o[4:]), Flags: binary.NativeEndian.Uint32(o[8:]) & linkFlags,
		Name: cString(o.attribute(header, unix.IFLA_IFNAME)), Address: slices.Clone(o.attribute(header, unix.IFLA_ADDRESS)),
		MTU: number(o.attribute(header, unix.IFLA_MTU)), Master: number(o.attribute(header, unix.IFLA_MASTER)),
	}
	eachAttribute(o.attribute(header, unix.IFLA_LINKINFO), func(kind uint16, a []byte) {
		if kind == unix.IFLA_INFO_KIND {
			l.Kind = cString(a[4:])
		}
	})
	eachAttribute(o.attribute(header, unix.IFLA_XDP), func(kind uint16, a []byte) {
		if kind == unix.IFLA_XDP_ATTACHED {
			l.XDP = len(a) > 4 && a[4] != 0
		}
	})
	return l
}

// number returns the value of an attribute of four bytes, 0 if there is none.
func number(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// linkIndex maps the indexes of recorded links to those of the links that have their
// names now.
func linkIndex(before, now []link) map[uint32]uint32 {
	index := map[uint32]uint32{}
	for _, b := range before {
		for _, n := range now {
			if n.Name == b.Name && n.Index != b.Index {
				index[b.Index] = n.Index
			}
		}
	}
	return index
}

// virtualKinds are the kinds of links that only a program creates, and that no
// container depends on: a veth of one has its other end elsewhere.
var virtualKinds = []string{
	"bond", "bridge", "dummy", "gre", "gretap", "ifb", "ipip", "ip6gre", "ip6tnl", "ipvlan", "macvlan", "macvtap", "nlmon", "sit", "team",
	"tun", "vlan", "vrf", "vti", "vxlan", "wireguard", "xfrm",
}

// restoreLinks restores the settings of links and removes additional virtual ones.
func restoreLinks(conn *netlink.Conn, before []link) error {
	now, err := readLinks(conn)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range now {
		isOld := slices.ContainsFunc(before, func(b link) bool { return b.Name == n.Name || b.Index == n.Index })
		if !isOld && slices.Contains(virtualKinds, n.Kind) {
			errs = append(errs, n.send(conn, unix.RTM_DELLINK, 0, nil))
		}
	}
	index := linkIndex(before, now)
	for _, b := range before {
		n, ok := findLink(b, now)
		if !ok {
			errs = append(errs, fmt.Errorf("link %s is gone", b.Name))
			continue
		}
		if to, ok := index[b.Master]; ok {
			b.Master = to
		}
		errs = append(errs, n.become(conn, b)...)
	}
	return errors.Join(errs...)
}

// findLink finds the link that was recorded: it may have another index under the same
// name, or another name.
func findLink(b link, now []link) (link, bool) {
	for _, isSame := range []func(n link) bool{
		func(n link) bool { return n.Name == b.Name },
		func(n link) bool { return n.Index == b.Index && n.Kind == b.Kind },
	} {
		if i := slices.IndexFunc(now, isSame); i >= 0 {
			return now[i], true
		}
	}
	return link{}, false
}

// become gives a link the recorded settings. Some can only be changed while it is down.
func (n link) become(conn *netlink.Conn, b link) (errs []error) {
	set := func(attributes ...netlink.Attribute) {
		if err := n.send(conn, unix.RTM_NEWLINK, n.Flags, attributes); err != nil {
			errs = append(errs, fmt.Errorf("restore link %s: %w", b.Name, err))
		}
	}
	needsDown := n.Name != b.Name || !slices.Equal(n.Address, b.Address)
	if needsDown && n.Flags&unix.IFF_UP != 0 {
		n.Flags &^= unix.IFF_UP
		set()
	}
	if n.Name != b.Name {
		set(netlink.Attribute{Type: unix.IFLA_IFNAME, Data: append([]byte(b.Name), 0)})
	}
	if !slices.Equal(n.Address, b.Address) {
		set(netlink.Attribute{Type: unix.IFLA_ADDRESS, Data: b.Address})
	}
	if n.MTU != b.MTU {
		set(netlink.Attribute{Type: unix.IFLA_MTU, Data: binary.NativeEndian.AppendUint32(nil, b.MTU)})
	}
	if n.Master != b.Master {
		set(netlink.Attribute{Type: unix.IFLA_MASTER, Data: binary.NativeEndian.AppendUint32(nil, b.Master)})
	}
	if n.XDP && !b.XDP {
		// A descriptor of -1 detaches the program.
		fd := netlink.Attribute{Type: unix.IFLA_XDP_FD, Data: binary.NativeEndian.AppendUint32(nil, ^uint32(0))}
		nested, err := netlink.MarshalAttributes([]netlink.Attribute{fd})
		if err != nil {
			return append(errs, err)
		}
		set(netlink.Attribute{Type: unix.IFLA_XDP | unix.NLA_F_NESTED, Data: nested})
	}
	if n.Flags != b.Flags {
		n.Flags = b.Flags
		set()
	}
	return errs
}

// send sends a request about the link, with the flags that it should have.
func (n link) send(conn *netlink.Conn, kind uint16, flags uint32, attributes []netlink.Attribute) error {
	data := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(data[4:], n.Index)
	binary.NativeEndian.PutUint32(data[8:], flags)
	binary.NativeEndian.PutUint32(data[12:], linkFlags) // the mask of the flags that change
	rest, err := netlink.MarshalAttributes(attributes)
	if err != nil {
		return err
	}
	_, err = conn.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | netlink.Acknowledge},
		Data:   append(data, rest...),
	})
	return err
}
