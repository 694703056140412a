package reach

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// describe returns an object in words, similar to those of ip(8).
func (c class) describe(o object, links []link) string {
	words := []string{c.name}
	if len(o) < c.header {
		return c.name
	}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	switch c.get {
	case unix.RTM_GETADDR:
		if a, ok := o.address(c.header, unix.IFA_LOCAL, unix.IFA_ADDRESS); ok {
			add("%s/%d", a, o[1])
		}
	case unix.RTM_GETROUTE:
		if name := routeTypes[o[7]]; name != "" {
			add("%s", name)
		}
		if a, ok := o.address(c.header, unix.RTA_DST); ok {
			add("%s/%d", a, o[1])
		} else {
			add("default")
		}
		if a, ok := o.address(c.header, unix.RTA_GATEWAY); ok {
			add("via %s", a)
		}
		if table := max(number(o.attribute(c.header, unix.RTA_TABLE)), uint32(o[4])); table != unix.RT_TABLE_MAIN {
			add("table %d", table)
		}
	case unix.RTM_GETRULE:
		add("%d", number(o.attribute(c.header, unix.FRA_PRIORITY)))
		for _, end := range []struct {
			name string
			kind uint16
			bits byte
		}{{"from", unix.FRA_SRC, o[2]}, {"to", unix.FRA_DST, o[1]}} {
			if a, ok := o.address(c.header, end.kind); ok {
				add("%s %s/%d", end.name, a, end.bits)
			}
		}
	case unix.RTM_GETNEIGH:
		if a, ok := o.address(c.header, unix.NDA_DST); ok {
			add("%s", a)
		}
	case unix.RTM_GETQDISC:
		add("%s", cString(o.attribute(c.header, 1))) // TCA_KIND
	}
	if name := c.linkName(o, links); name != "" {
		add("dev %s", name)
	}
	return strings.Join(words, " ")
}

// routeTypes are the names of the types of routes that do not deliver packets.
var routeTypes = map[byte]string{
	unix.RTN_LOCAL: "local", unix.RTN_BROADCAST: "broadcast", unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable",
	unix.RTN_PROHIBIT: "prohibit",
}

// address returns the first of the attributes that is an address.
func (o object) address(header int, kinds ...uint16) (netip.Addr, bool) {
	for _, kind := range kinds {
		if a, ok := netip.AddrFromSlice(o.attribute(header, kind)); ok {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// linkName returns the name of the link that an object belongs to.
func (c class) linkName(o object, links []link) string {
	var index uint32
	if c.ifindex >= 0 {
		index = number(o[c.ifindex:])
	}
	for _, kind := range c.links {
		index = number(o.attribute(c.header, kind))
	}
	for _, l := range links {
		if l.Index == index {
			return l.Name
		}
	}
	return ""
}
