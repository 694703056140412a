package local

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/workload/names"
)

// zone returns the names of Services and of their pods, nil if pods could not ask for
// them.
func (n network) zone(list []*service, endpoints []endpoint) *names.Zone {
	if !n.block.IsValid() {
		return nil
	}
	z := &names.Zone{Address: n.server, Clients: n.clients}
	for _, s := range list {
		one := names.Service{Namespace: s.Namespace, Name: s.Name, ClusterIP: s.ClusterIP, External: s.Spec.ExternalName}
		if !isExternal(&s.Service) {
			one.External = ""
		}
		if isHeadless(&s.Service) {
			one.Endpoints = s.endpoints(endpoints)
		} else {
			for _, p := range s.Spec.Ports {
				one.Ports = append(one.Ports, names.Port{Name: p.Name, Protocol: strings.ToLower(string(p.Protocol)), Port: uint16(p.Port)})
			}
		}
		z.Services = append(z.Services, one)
	}
	return z
}

// endpoints returns the pods of a headless Service: those that are ready, or all that
// run with publishNotReadyAddresses.
func (s *service) endpoints(list []endpoint) []names.Endpoint {
	var out []names.Endpoint
	for _, e := range list {
		isIn := e.named || s.Spec.PublishNotReadyAddresses && e.runs
		address, err := netip.ParseAddr(e.ip)
		if !isIn || err != nil || e.namespace != s.Namespace || !selects(s.Spec.Selector, e.labels) {
			continue
		}
		one := names.Endpoint{Address: address}
		if e.subdomain == s.Name {
			one.Host = e.hostname
		}
		for _, p := range s.Spec.Ports {
			if port := targetPort(p, e.template); port != 0 {
				one.Ports = append(one.Ports, names.Port{Name: p.Name, Protocol: strings.ToLower(string(p.Protocol)), Port: uint16(port)})
			}
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b names.Endpoint) int { return a.Address.Compare(b.Address) })
	return out
}
