package local

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/manifest"
)

// A network is where the Services of one controller have their addresses. The range
// of the data directory is divided: the first 256 addresses are the daemon's, and each
// process in the foreground has a block of 32.
type network struct {
	block   netip.Prefix   // zero if the pods' network is not this program's own
	server  netip.Addr     // of the names
	clients []netip.Prefix // the pods, and this machine as it reaches the block
	claim   *os.File       // of a process in the foreground
}

const (
	daemonBits     = 24
	foregroundBits = 27
	serverHost     = 10 // the last byte that the cluster DNS usually has
	firstHost      = 16 // the first address that is chosen; those below are for manifests that name one
)

// daemonNetwork returns the network of the daemon.
func daemonNetwork(pods, services netip.Prefix) network {
	return newNetwork(pods, services, netip.PrefixFrom(services.Addr(), daemonBits))
}

func newNetwork(pods, services, block netip.Prefix) network {
	return network{block: block, server: addressIn(block, serverHost), clients: []netip.Prefix{pods, services}}
}

// claimNetwork returns a block that no other process in the foreground has. The claim
// is the lock of a file below root, which the kernel releases with the process. The
// file stays.
func claimNetwork(root string, pods, services netip.Prefix) (network, error) {
	dir := filepath.Join(root, "services")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return network{}, fmt.Errorf("claim addresses for Services: %w", err)
	}
	size := 1 << (32 - foregroundBits)
	first := 1 << (32 - daemonBits)
	last := 1 << (32 - services.Bits())
	for at := first; at < last; at += size {
		block := netip.PrefixFrom(addressIn(services, at), foregroundBits)
		claim, err := durable.TryLock(filepath.Join(dir, block.Addr().String()+".lock"))
		if errors.Is(err, durable.ErrLocked) {
			continue
		}
		if err != nil {
			return network{}, fmt.Errorf("claim addresses for Services: %w", err)
		}
		n := newNetwork(pods, services, block)
		n.claim = claim
		return n, nil
	}
	return network{}, fmt.Errorf("all addresses for Services are in use, by %d runs in the foreground", (last-first)/size)
}

func (n network) close() error {
	if n.claim == nil {
		return nil
	}
	return durable.Unlock(n.claim)
}

// addressIn returns the n-th address of a range.
func addressIn(p netip.Prefix, n int) netip.Addr {
	a := p.Addr().As4()
	a[2] += byte(n >> 8)
	a[3] += byte(n)
	return netip.AddrFrom4(a)
}

// isUsable reports whether a Service can have an address.
func (n network) isUsable(a netip.Addr) bool {
	last := addressIn(n.block, 1<<(32-n.block.Bits())-1)
	return n.block.Contains(a) && a != n.block.Addr() && a != last && a != n.server
}

// choices returns the usable addresses, in the order in which they are chosen.
func (n network) choices() []netip.Addr {
	size := 1 << (32 - n.block.Bits())
	var list []netip.Addr
	for i := range size {
		if a := addressIn(n.block, (i+firstHost)%size); n.isUsable(a) {
			list = append(list, a)
		}
	}
	return list
}

// A serviceAddress is what a controller stores of a Service beside the Service.
type serviceAddress struct {
	ClusterIP netip.Addr `json:"clusterIP,omitzero"` // zero for one that has none
	Since     time.Time  `json:"since"`              // when it was declared: of two that want a port of loopback, the older one has it
}

// isHeadless reports whether a Service has no address of its own, but those of its
// pods.
func isHeadless(s *corev1.Service) bool { return s.Spec.ClusterIP == corev1.ClusterIPNone }

func isExternal(s *corev1.Service) bool { return s.Spec.Type == corev1.ServiceTypeExternalName }

// declaredIP returns the address that a manifest names, zero if it names none.
func declaredIP(s *corev1.Service) netip.Addr {
	a, _ := netip.ParseAddr(s.Spec.ClusterIP)
	return a
}

// assign returns the addresses of Services, given those that were assigned before. An
// address stays as long as its Service. A Service has none if no address is free.
func (n network) assign(list []corev1.Service, before map[string]serviceAddress, now time.Time) map[string]serviceAddress {
	after := map[string]serviceAddress{}
	taken := map[netip.Addr]bool{}
	var rest []string
	for i := range list {
		s := &list[i]
		name := nameOf(s.ObjectMeta)
		own := serviceAddress{Since: now}
		if old, ok := before[name]; ok {
			own = old
		}
		wanted := declaredIP(s)
		switch {
		case !n.block.IsValid() || isHeadless(s) || isExternal(s):
			own.ClusterIP = netip.Addr{}
		case n.isUsable(wanted) && !taken[wanted]:
			own.ClusterIP = wanted
			taken[wanted] = true
		default:
			rest = append(rest, name)
		}
		after[name] = own
	}
	// First those that have an address, which others must not take.
	rest = slices.DeleteFunc(rest, func(name string) bool {
		a := after[name].ClusterIP
		keeps := n.isUsable(a) && !taken[a]
		taken[a] = taken[a] || keeps
		return keeps
	})
	choices := n.choices()
	for _, name := range rest {
		own := after[name]
		own.ClusterIP = netip.Addr{}
		if i := slices.IndexFunc(choices, func(a netip.Addr) bool { return !taken[a] }); i >= 0 {
			own.ClusterIP = choices[i]
			taken[own.ClusterIP] = true
		}
		after[name] = own
	}
	return after
}

// assignAddresses stores the addresses of the declared Services and returns them.
func assignAddresses(t tx, n network) (map[string]serviceAddress, error) {
	list, err := all[corev1.Service](t, "services", "")
	if err != nil {
		return nil, err
	}
	before, err := storedAddresses(t)
	if err != nil {
		return nil, err
	}
	after := n.assign(list, before, time.Now().UTC())
	for name := range before {
		if _, ok := after[name]; !ok {
			err = errors.Join(err, remove(t, "addresses", name))
		}
	}
	for name, own := range after {
		if before[name] != own {
			err = errors.Join(err, put(t, "addresses", name, own))
		}
	}
	return after, err
}

func storedAddresses(t tx) (map[string]serviceAddress, error) {
	list := map[string]serviceAddress{}
	return list, each(t, "addresses", "", func(name string, a serviceAddress) error {
		list[name] = a
		return nil
	})
}

// checkAddresses returns an error for each Service of a declaration that cannot have
// the address that it names, or any.
func checkAddresses(t tx, n network, d declaration) error {
	if !n.block.IsValid() {
		return nil
	}
	stored, err := storedAddresses(t)
	if err != nil {
		return err
	}
	others := map[netip.Addr]string{}
	for name, a := range stored {
		others[a.ClusterIP] = name
	}
	for i := range d.services {
		if name := nameOf(d.services[i].ObjectMeta); others[stored[name].ClusterIP] == name {
			delete(others, stored[name].ClusterIP) // it may take another one
		}
	}
	var refused manifest.Errors
	needed := len(others)
	for i := range d.services {
		s := &d.services[i]
		refuse := func(format string, args ...any) {
			hint := fmt.Sprintf("leave it out: a free one of %s is chosen, which stays", n.block)
			refused = append(refused, d.file.ServiceErrorf(namespaceOf(s.ObjectMeta), s.Name, "clusterIP", hint, format, args...))
		}
		if isHeadless(s) || isExternal(s) {
			continue
		}
		needed++
		a := declaredIP(s)
		if !a.IsValid() {
			continue
		}
		if !n.isUsable(a) {
			refuse("%s is no address of the Services on this machine", a)
		} else if other, ok := others[a]; ok {
			refuse("%s belongs to service %s", a, other)
		}
		others[a] = nameOf(s.ObjectMeta)
	}
	if len(refused) > 0 {
		return refused
	}
	if most := len(n.choices()); needed > most {
		return fmt.Errorf("%d Services need an address of %s, which has %d: delete some, or make them headless (clusterIP: None)", needed, n.block, most)
	}
	return nil
}
