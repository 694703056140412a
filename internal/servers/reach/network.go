package reach

import (
	"errors"
	"time"
)

// A network is the links of this network namespace and everything that decides how
// they carry packets, apart from firewalls.
type network struct {
	Links     []link   `json:"links"`
	Addresses []object `json:"addresses"`
	Routes    []object `json:"routes"` // of all tables and families
	Rules     []object `json:"rules"`  // of all families
	Neighbors []object `json:"neighbors,omitempty"`
	Qdiscs    []object `json:"qdiscs,omitempty"`
}

// kinds pairs the lists of a network with their classes, in the order in which they
// are restored: a route needs an address, and an address needs a link.
func (n *network) kinds() []struct {
	class class
	list  *[]object
} {
	return []struct {
		class class
		list  *[]object
	}{
		{qdiscs, &n.Qdiscs}, {addresses, &n.Addresses}, {neighbors, &n.Neighbors}, {rules, &n.Rules}, {routes, &n.Routes},
	}
}

// readNetworkAgain reads the network, and tries again if that fails: the kernel interrupts
// a list that changes while it is read. The network is nil after an error.
func readNetworkAgain() (*network, error) {
	var last error
	for range 5 {
		n, err := readNetwork()
		if err == nil {
			return &n, nil
		}
		last = err
		time.Sleep(50 * time.Millisecond)
	}
	return nil, last
}

func readNetwork() (network, error) {
	var n network
	conn, err := dial()
	if err != nil {
		return n, err
	}
	defer conn.Close()
	if n.Links, err = readLinks(conn); err != nil {
		return n, err
	}
	for _, k := range n.kinds() {
		if *k.list, err = k.class.dump(conn); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (n network) restore() error {
	conn, err := dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	errs := []error{restoreLinks(conn, n.Links)}
	now, err := readLinks(conn)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	index := linkIndex(n.Links, now)
	for _, k := range n.kinds() {
		var want []object
		for _, o := range *k.list {
			want = append(want, k.class.moved(o, index))
		}
		errs = append(errs, k.class.restore(conn, want))
	}
	return errors.Join(errs...)
}

// difference returns how the present network differs from the recorded one.
func (n network) difference(now network) (left []string) {
	for _, b := range n.Links {
		found, ok := findLink(b, now.Links)
		if !ok {
			left = append(left, "link "+b.Name+": gone")
		} else if !b.equal(found) {
			left = append(left, "link "+b.Name)
		}
	}
	for _, l := range now.Links {
		if _, ok := findLink(l, n.Links); !ok {
			left = append(left, "link "+l.Name+": added")
		}
	}
	index := linkIndex(n.Links, now.Links)
	old, present := n.kinds(), now.kinds()
	for i, k := range old {
		var want []object
		for _, o := range *k.list {
			want = append(want, k.class.moved(o, index))
		}
		for _, o := range subtract(want, *present[i].list) {
			left = append(left, k.class.describe(o, now.Links)+": missing")
		}
		for _, o := range subtract(*present[i].list, want) {
			left = append(left, k.class.describe(o, now.Links)+": added")
		}
	}
	return left
}

func (l link) equal(o link) bool {
	return l.Name == o.Name && l.Flags == o.Flags && l.MTU == o.MTU && string(l.Address) == string(o.Address) &&
		(l.Master == 0) == (o.Master == 0) && l.XDP == o.XDP
}
