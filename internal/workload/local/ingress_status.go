package local

import (
	"net"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// An IngressStatus is the current state of an Ingress.
type IngressStatus struct {
	Name      string   `json:"name"`
	Namespace string   `json:"namespace"`
	Hosts     []string `json:"hosts,omitempty"`   // of its rules; none for any
	Address   string   `json:"address,omitempty"` // on this machine
	TLS       string   `json:"tls,omitempty"`     // address with TLS
	Err       string   `json:"error,omitempty"`
}

// ingressesOf returns the Ingress objects that lead to pods with these labels.
func (s *services) ingressesOf(namespace string, labels map[string]string) []IngressStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []IngressStatus
	for _, r := range byAge(s.all.ingresses) {
		i := r.Ingress
		leads := slices.ContainsFunc(backendsOf(i), func(service string) bool {
			one := s.list[namespace+"/"+service]
			return one != nil && selects(one.Spec.Selector, labels)
		})
		if i.Namespace == namespace && leads {
			list = append(list, s.ingressStatus(i))
		}
	}
	return list
}

// backendsOf returns the names of the Services of an Ingress.
func backendsOf(i networkingv1.Ingress) []string {
	var names []string
	add := func(b *networkingv1.IngressBackend) {
		if b != nil && b.Service != nil {
			names = append(names, b.Service.Name)
		}
	}
	add(i.Spec.DefaultBackend)
	for _, r := range i.Spec.Rules {
		if r.HTTP != nil {
			for n := range r.HTTP.Paths {
				add(&r.HTTP.Paths[n].Backend)
			}
		}
	}
	return names
}

// ingressStatus returns the state of an Ingress. The caller holds mu.
func (s *services) ingressStatus(i networkingv1.Ingress) IngressStatus {
	one := IngressStatus{Name: i.Name, Namespace: i.Namespace}
	for _, r := range i.Spec.Rules {
		if r.Host != "" && !slices.Contains(one.Hosts, r.Host) {
			one.Hosts = append(one.Hosts, r.Host)
		}
	}
	e, err := newEntrance(i)
	if err != nil {
		one.Err = err.Error()
		return one
	}
	if s.doors != nil {
		err = s.doors.errs[e.name()]
	}
	for _, where := range []struct {
		address string
		shown   *string
	}{{e.address, &one.Address}, {e.addressTLS, &one.TLS}} {
		switch shut := s.shut[where.address]; {
		case shut != nil:
			err = shut
		case !s.unused:
			*where.shown = where.address
		}
	}
	if err != nil {
		one.Err = err.Error()
	}
	return one
}

// urls returns where the hosts of an Ingress are served.
func (i IngressStatus) urls() string {
	scheme, address, usual := "http://", i.Address, "80"
	if i.TLS != "" {
		scheme, address, usual = "https://", i.TLS, "443"
	}
	if address == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil || len(i.Hosts) == 0 {
		return scheme + address
	}
	var list []string
	for _, h := range i.Hosts {
		if h = scheme + h; port != usual {
			h += ":" + port
		}
		list = append(list, h)
	}
	return strings.Join(list, ", ") + " at " + address
}
