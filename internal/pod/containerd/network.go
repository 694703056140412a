package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// A Network describes the network of the pods.
type Network struct {
	Bridge     string       // name of the interface on the machine
	Subnet     netip.Prefix // the pods' addresses; the first one is the machine's
	Services   netip.Prefix // addresses of this machine for Services, which pods can reach; zero if there are none
	Masquerade bool         // pods can connect to other machines
	HostPorts  bool         // hostPorts work; if not, the runtime silently ignores them
	Reason     string       // why one of them does not work, with a hint on how to fix it
}

// Limits returns what pods cannot do, with the reason. It is empty if they can do
// everything.
func (n Network) Limits() string {
	switch {
	case n.Reason == "":
		return ""
	case n.Masquerade:
		return n.Reason
	}
	return "the pod cannot connect to other machines: " + n.Reason
}

// candidates returns subnets in ranges that common networks do not use. Those of
// Docker (172.17-31, 192.168), podman (10.88, 10.89), kubeadm (10.244), k3s
// (10.42, 10.43) and of service networks (10.96) are avoided.
func candidates(start int) []netip.Prefix {
	var all []netip.Prefix
	for _, second := range []byte{201, 203, 205} {
		for i := range 256 {
			third := byte(start + i)
			all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, second, third, 0}), 24))
		}
	}
	return all
}

// errNoSubnet is returned by chooseSubnet if no candidate is left.
var errNoSubnet = errors.New("no subnet of 10.201.0.0/16, 10.203.0.0/16, 10.205.0.0/16 is free for the pods' network")

// chooseSubnet returns the first candidate that overlaps no address and no route
// of this machine and for which claim does not return EEXIST.
func chooseSubnet(l layout, used []netip.Prefix, claim func(netip.Prefix) error) (netip.Prefix, error) {
	for _, c := range candidates(firstCandidate(l)) {
		if overlapsAny(c, used) {
			continue
		}
		if err := claim(c); !errors.Is(err, unix.EEXIST) {
			return c, err
		}
	}
	return netip.Prefix{}, errNoSubnet
}

// firstCandidate returns where the choice starts. It is another candidate for roots other
// than the default, because their bridges exist only while pods run and are not seen
// otherwise.
func firstCandidate(l layout) int {
	if l.root == DefaultRoot {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(l.root))
	return int(h.Sum32() % 256)
}

// chooseServices returns a range for the addresses of Services. Each subnet of
// candidates has its own first choice, so that two roots with different subnets have
// different ranges although a route of type local is not in /proc/net/route.
func chooseServices(subnet netip.Prefix, used []netip.Prefix) (netip.Prefix, error) {
	a := subnet.Addr().As4()
	family := max(int(a[1])-201, 0) / 2
	for i := range 3 {
		second := 212 + 4*byte((family+i)%3) + a[2]>>6
		c := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, second, a[2] << 2, 0}), 22)
		if !overlapsAny(c, used) {
			return c, nil
		}
	}
	return netip.Prefix{}, errors.New("no range of 10.212.0.0/14, 10.216.0.0/14, 10.220.0.0/14 is free for the addresses of Services")
}

func overlapsAny(p netip.Prefix, used []netip.Prefix) bool {
	for _, u := range used {
		if u.Overlaps(p) {
			return true
		}
	}
	return false
}

// usedSubnets returns the subnets that this machine has addresses in or routes
// to, except those of the bridge itself.
func usedSubnets(bridge string) ([]netip.Prefix, error) {
	used, err := routes("/proc/net/route", bridge)
	if err != nil {
		return nil, err
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range interfaces {
		if i.Name == bridge {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // the interface was removed
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
				used = append(used, p.Masked())
			}
		}
	}
	return used, nil
}

// chooseRanges chooses the subnet and the range of Services, unless the recorded ones
// can stay.
//
// A subnet is invisible to other roots until its bridge exists. The route to the range of
// Services, which belongs to one subnet, is the claim to both. It is recorded at once. If
// the process is killed before, the route remains until a reboot, and its subnet is not
// chosen.
func (in *instance) chooseRanges(l layout, used []netip.Prefix, bridgeUp bool) error {
	stays := func(p netip.Prefix) bool { return p.IsValid() && (bridgeUp || !overlapsAny(p, used)) }
	subnetStays := stays(in.Subnet)
	if subnetStays && stays(in.Services) {
		return nil
	}
	// The network that has the subnet otherwise may have the range as well.
	if subnetStays && in.Services.IsValid() {
		if err := removeLocalRoute(in.Services); err != nil {
			return err
		}
	}
	add := claimLocalRoute
	if bridgeUp { // which is a claim already; the route may be of a start whose record is lost
		add = addLocalRoute
	}
	claim := func(subnet netip.Prefix) error {
		services, err := chooseServices(subnet, used)
		if err != nil {
			return err
		}
		if err := add(services); err != nil {
			return err
		}
		in.Subnet, in.Services = subnet, services
		return nil
	}
	err := error(unix.EEXIST)
	if subnetStays {
		err = claim(in.Subnet)
	}
	if errors.Is(err, unix.EEXIST) {
		_, err = chooseSubnet(l, used, claim)
	}
	if errors.Is(err, errNoSubnet) {
		add = addLocalRoute // routes may be left of roots that were deleted without a reset
		_, err = chooseSubnet(l, used, claim)
	}
	if err != nil {
		return err
	}
	if err := in.save(l.instance()); err != nil {
		return errors.Join(err, removeLocalRoute(in.Services))
	}
	return nil
}

// network writes the CNI configuration, adds the firewall rules and returns the
// features of the network.
func (in *instance) network(ctx context.Context, s settings) (Network, error) {
	used, err := usedSubnets(s.bridge())
	if err != nil {
		return Network{}, fmt.Errorf("choose the pods' subnet: %w", err)
	}
	// While the bridge exists pods may have addresses, so that the subnet cannot
	// change.
	_, err = net.InterfaceByName(s.bridge())
	bridgeUp := err == nil
	if err := in.chooseRanges(s.layout, used, bridgeUp); err != nil {
		return Network{}, err
	}
	n := Network{Bridge: s.bridge(), Subnet: in.Subnet, Services: in.Services}
	err = openFirewall(ctx, s.binaries.Iptables, n)
	if err != nil {
		n.Reason = err.Error()
	}
	n.Masquerade = err == nil || errors.Is(err, errServices)
	n.HostPorts = n.Masquerade
	content, err := json.MarshalIndent(cniConf(s, n), "", "\t")
	if err != nil {
		return Network{}, err
	}
	path := filepath.Join(s.cniConfDir(), "10-adamant.conflist")
	if old, err := os.ReadFile(path); err == nil && string(old) == string(content) {
		return n, nil // containerd watches the directory and would reload the network
	}
	return n, durable.WriteFile(path, content, 0o644)
}

func firstLine(out []byte, err error) string {
	for i, c := range out {
		if c == '\n' {
			return string(out[:i])
		}
	}
	if len(out) > 0 {
		return string(out)
	}
	return err.Error()
}

type object = map[string]any

// cniConf returns the configuration list of the pods' network, see the CNI
// specification 1.0.0 and the documentation of the plugins.
func cniConf(s settings, n Network) object {
	bridge := object{
		"type": "bridge", "bridge": n.Bridge,
		"isGateway": true, "isDefaultGateway": true, "hairpinMode": true,
		"ipam": object{
			"type": "host-local", "dataDir": s.cniData(),
			"ranges": [][]object{{{"subnet": n.Subnet.String()}}},
		},
	}
	plugins := []object{bridge}
	if n.HostPorts {
		plugins = append(plugins, object{"type": "portmap", "snat": true, "capabilities": object{"portMappings": true}})
	}
	return object{"cniVersion": "0.4.0", "name": n.Bridge, "plugins": plugins}
}
