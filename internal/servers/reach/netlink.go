package reach

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// An object is the payload of one rtnetlink(7) message: an address, a route, a rule, a
// neighbour or a queueing discipline. The kernel accepts the payload of an answer as a
// request, so an object is restored exactly, also with attributes that are unknown here.
type object []byte

// A class is a kind of objects.
type class struct {
	name             string
	get, create, del uint16
	header           int      // bytes of the fixed header
	ifindex          int      // offset of the interface's index in the header, -1 for none
	links            []uint16 // attributes that contain an interface's index
	volatile         []uint16 // attributes that change by themselves
	isRecorded       func(object) bool
	normalize        func(object) // clears bits of the header that change by themselves
}

// The classes, with the header of each from include/uapi/linux.
var (
	addresses = class{
		name: "address", get: unix.RTM_GETADDR, create: unix.RTM_NEWADDR, del: unix.RTM_DELADDR,
		header: unix.SizeofIfAddrmsg, ifindex: 4, volatile: []uint16{unix.IFA_CACHEINFO, unix.IFA_FLAGS},
		normalize: func(o object) { o[2] = 0 }, // ifa_flags: tentative, permanent, secondary
	}
	routes = class{
		name: "route", get: unix.RTM_GETROUTE, create: unix.RTM_NEWROUTE, del: unix.RTM_DELROUTE,
		header: unix.SizeofRtMsg, ifindex: -1, links: []uint16{unix.RTA_OIF}, volatile: []uint16{unix.RTA_CACHEINFO, unix.RTA_EXPIRES},
		isRecorded: func(o object) bool {
			return binary.NativeEndian.Uint32(o[8:])&unix.RTM_F_CLONED == 0 && o[7] != unix.RTN_MULTICAST
		},
		normalize: func(o object) { clear(o[8:12]) }, // rtm_flags: dead, linkdown, offload
	}
	rules = class{
		name: "rule", get: unix.RTM_GETRULE, create: unix.RTM_NEWRULE, del: unix.RTM_DELRULE,
		header: unix.SizeofRtMsg, ifindex: -1,
		normalize: func(o object) { // flags: unresolved, interface detached
			flags := binary.NativeEndian.Uint32(o[8:])
			binary.NativeEndian.PutUint32(o[8:], flags&^(4|8|16))
		},
	}
	neighbors = class{
		name: "neighbour", get: unix.RTM_GETNEIGH, create: unix.RTM_NEWNEIGH, del: unix.RTM_DELNEIGH,
		header: unix.SizeofNdMsg, ifindex: 4, volatile: []uint16{unix.NDA_CACHEINFO, unix.NDA_PROBES},
		isRecorded: func(o object) bool {
			family := o[0]
			return (family == unix.AF_INET || family == unix.AF_INET6) && o[8]&unix.NUD_PERMANENT != 0
		},
	}
	qdiscs = class{
		name: "queueing discipline", get: unix.RTM_GETQDISC, create: unix.RTM_NEWQDISC, del: unix.RTM_DELQDISC,
		header: 20, ifindex: 4, volatile: []uint16{3, 4, 7}, // TCA_STATS, TCA_XSTATS, TCA_STATS2
		isRecorded: func(o object) bool { return binary.NativeEndian.Uint32(o[8:]) != 0 }, // those with handle 0 are the kernel's own
		normalize:  func(o object) { clear(o[16:20]) },                                    // tcm_info: number of references
	}
)

// dial opens a connection of rtnetlink.
func dial() (*netlink.Conn, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	return c, nil
}

// dump returns all recorded objects of a class.
func (c class) dump(conn *netlink.Conn) ([]object, error) {
	messages, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(c.get), Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, c.header),
	})
	if err != nil {
		return nil, fmt.Errorf("read each %s: %w", c.name, err)
	}
	var list []object
	for _, m := range messages {
		o := object(m.Data)
		if uint16(m.Header.Type) != c.create || len(o) < c.header || c.isRecorded != nil && !c.isRecorded(o) {
			continue
		}
		list = append(list, c.normal(o))
	}
	return list, nil
}

// normal returns an object without what changes by itself. Attributes keep their
// order, which is the kernel's.
func (c class) normal(o object) object {
	out := slices.Clone(o[:c.header])
	if c.normalize != nil {
		c.normalize(out)
	}
	eachAttribute(o[c.header:], func(kind uint16, attribute []byte) {
		if !slices.Contains(c.volatile, kind) {
			out = append(out, attribute...)
		}
	})
	return out
}

// eachAttribute calls f with each attribute, header and padding included.
func eachAttribute(b []byte, f func(kind uint16, attribute []byte)) {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return
		}
		padded := min((n+3)&^3, len(b))
		f(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[:padded])
		b = b[padded:]
	}
}

// attribute returns the value of an attribute, nil if there is none.
func (o object) attribute(header int, kind uint16) (value []byte) {
	eachAttribute(o[header:], func(k uint16, a []byte) {
		if k == kind && value == nil {
			value = a[4:binary.NativeEndian.Uint16(a)]
		}
	})
	return value
}

// moved returns an object with the indexes that its links have now. A link that was
// removed and created again has another one.
func (c class) moved(o object, index map[uint32]uint32) object {
	out := slices.Clone(o)
	if len(out) < c.header {
		return out // from a file that was edited: the kernel refuses it
	}
	move := func(b []byte) {
		if to, ok := index[binary.NativeEndian.Uint32(b)]; ok {
			binary.NativeEndian.PutUint32(b, to)
		}
	}
	if c.ifindex >= 0 {
		move(out[c.ifindex:])
	}
	eachAttribute(out[c.header:], func(kind uint16, a []byte) {
		if slices.Contains(c.links, kind) && len(a) >= 8 {
			move(a[4:])
		}
	})
	return out
}

// restore makes the objects of a class those that were recorded: missing ones are
// created before additional ones are removed, because a rule that is missing may be the
// one by which the machine is reached.
func (c class) restore(conn *netlink.Conn, want []object) error {
	now, err := c.dump(conn)
	if err != nil {
		return err
	}
	missing, extra := subtract(want, now), subtract(now, want)
	// A route needs that to its gateway, and is tried again after that was created.
	var errs []error
	for range 3 {
		errs = nil
		var failed []object
		for _, o := range missing {
			if err := c.send(conn, c.create, netlink.Create|netlink.Replace, o); err != nil && !errors.Is(err, syscall.EEXIST) {
				failed, errs = append(failed, o), append(errs, fmt.Errorf("restore a %s: %w", c.name, err))
			}
		}
		if missing = failed; len(missing) == 0 {
			break
		}
	}
	for _, o := range extra {
		err := c.send(conn, c.del, 0, o)
		// The kernel removes a route with its address, and another one may be it.
		if err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("remove a %s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

func (c class) send(conn *netlink.Conn, kind uint16, flags netlink.HeaderFlags, o object) error {
	_, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | netlink.Acknowledge | flags},
		Data:   o,
	})
	return err
}

// subtract returns the objects of a that b does not have, each as often as a has more
// of it.
func subtract(a, b []object) []object {
	has := map[string]int{}
	for _, o := range b {
		has[string(o)]++
	}
	var list []object
	for _, o := range a {
		if has[string(o)] > 0 {
			has[string(o)]--
			continue
		}
		list = append(list, o)
	}
	return list
}

// cString returns the text of an attribute that ends with a zero byte.
func cString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}
