package local

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/adamant-sh/adamant/internal/workload/balancer"
	"github.com/adamant-sh/adamant/internal/workload/names"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// listenerName returns the name of a Service's port in a Balancer.
func listenerName(s *service, port int32) string {
	return fmt.Sprintf("%s/%s:%d", s.Namespace, s.Name, port)
}

// innerName returns the name of the same port at the Service's own address.
func innerName(s *service, port int32) string { return listenerName(s, port) + " (cluster)" }

// protocolOf returns how a port is balanced: by its appProtocol or the prefix
// of its name, as service meshes read them, or else by the first bytes of each
// connection. With TLS that ends here, https is HTTP.
func protocolOf(p corev1.ServicePort, endsTLS bool) traffic.Protocol {
	switch name := appProtocol(p); name {
	case "https", "kubernetes.io/wss":
		if endsTLS {
			return traffic.HTTP
		}
		return traffic.TCP
	case "http", "kubernetes.io/ws":
		return traffic.HTTP
	case "tcp", "tls", "grpc", "h2c", "kubernetes.io/h2c":
		return traffic.TCP
	}
	return traffic.Auto
}

func appProtocol(p corev1.ServicePort) string {
	if p.AppProtocol != nil {
		return strings.ToLower(*p.AppProtocol)
	}
	name, _, _ := strings.Cut(strings.ToLower(p.Name), "-")
	return name
}

// backendID returns the ID of an instance in a Balancer. Pods, and those of StatefulSets,
// may have the same name in two namespaces.
func backendID(namespace, pod string) string { return namespace + "/" + pod }

// An endpoint is an instance as Services see it.
type endpoint struct {
	id, host  string
	group     string // of one generation of one workload
	labels    map[string]string
	namespace string
	template  *corev1.PodSpec
	takes     bool // gets new traffic
	runs      bool // may get traffic before it is ready
	named     bool // is among the addresses of a headless Service
	ip        string
	hostname  string
	subdomain string
}

// route passes the Services with the selected instances to the balancer.
func (s *services) route() {
	// Read first: mu may be held for as long as the balancer takes, and the mu of
	// a workload must not wait for it.
	s.routing.Lock()
	defer s.routing.Unlock()
	endpoints, shares := s.controller.endpoints()
	workloads := len(s.controller.all())
	s.mu.Lock()
	s.unused = s.unused && workloads == 0
	unused := s.unused
	var list []traffic.Listener
	var zone *names.Zone
	s.doors = newDoors(s.all)
	doors := s.doors.listeners()
	sorted := s.sorted()
	listeners, skipped := s.listeners(sorted, endpoints, shares, doors)
	if !unused {
		list = append(listeners, doors...)
		zone = s.controller.network.zone(sorted, endpoints)
	}
	s.mu.Unlock()
	failed := s.balancer.Apply(s.controller.ctx, list, zone)
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed != nil { // nil if the controller is closed
		maps.Copy(failed, skipped)
	}
	for _, one := range s.list {
		one.setFailed(failed, unused)
	}
	s.shut = map[string]error{}
	for _, l := range doors {
		if err := failed[l.Name]; err != nil {
			s.shut[l.Address] = err
		}
	}
	lost := failed[balancer.NamesListener]
	s.named = zone != nil && lost == nil
	if lost != nil && (s.lost == nil || s.lost.Error() != lost.Error()) {
		s.controller.log(lost)
	}
	s.lost = lost
}

// sorted returns the Services in the order in which they get addresses on loopback.
func (s *services) sorted() []*service {
	var specs []corev1.Service
	for _, one := range s.list {
		specs = append(specs, one.Service)
	}
	var list []*service
	for _, spec := range s.byPrecedence(specs) {
		list = append(list, s.list[nameOf(spec.ObjectMeta)])
	}
	return list
}

// listeners returns the wanted listeners of all Services. A port of loopback that
// another Service has, or Ingress objects at all addresses, is in skipped.
func (s *services) listeners(sorted []*service, endpoints []endpoint, shares map[string]int, doors []traffic.Listener) (list []traffic.Listener, skipped map[string]error) {
	skipped = map[string]error{}
	taken := addressOwners{}
	taken.addDoors(doors)
	for _, one := range sorted {
		owner := ownerOf(one.ObjectMeta)
		one.spare = s.isSpare(&one.Service)
		for _, l := range one.listeners(endpoints, shares, s.doors, s.controller.network.clients) {
			if l.Address != "" && l.From == nil { // not for the pods or Ingress objects alone
				if err := taken.conflict(l.Address, owner, true); one.spare && err != nil {
					skipped[l.Name] = err
					continue
				}
				taken.add(l.Address, owner)
			}
			list = append(list, l)
		}
	}
	return list, skipped
}

// listeners returns the wanted listeners of a Service's ports. It sets err if the
// Service is invalid.
func (s *service) listeners(endpoints []endpoint, shares map[string]int, d *doors, clients []netip.Prefix) []traffic.Listener {
	s.invalid, s.listen, s.inner = nil, map[int32]string{}, map[int32]string{}
	forwarding, err := forwardingOf(s.Service)
	if err != nil {
		s.invalid = err
		return nil
	}
	if isExternal(&s.Service) {
		return nil
	}
	var list []traffic.Listener
	for _, p := range s.Spec.Ports {
		address, err := listenAddress(s.Service, p)
		if err != nil {
			s.invalid = err
			continue
		}
		tls, err := tlsOf(s.Service, p, d.pairs)
		if err != nil { // never plain text in place of TLS
			s.invalid = err
			continue
		}
		l := traffic.Listener{
			Name: listenerName(s, p.Port), Address: address, Protocol: protocolOf(p, tls != nil), Forwarding: forwarding, TLS: tls,
			Route: s.routeOf(p, endpoints, shares),
		}
		if d.targets[targetName(s.Service, p.Port)] {
			inside := l
			inside.Name, inside.Address, inside.TLS = targetName(s.Service, p.Port), "", nil
			list = append(list, inside)
		}
		if s.ClusterIP.IsValid() {
			s.inner[p.Port] = net.JoinHostPort(s.ClusterIP.String(), strconv.Itoa(int(p.Port)))
			inner := l
			inner.Name, inner.Address, inner.From = innerName(s, p.Port), s.inner[p.Port], clients
			list = append(list, inner)
		}
		if d.isYielded(s.Service, address) {
			continue
		}
		s.listen[p.Port] = address
		list = append(list, l)
	}
	return list
}

// setFailed stores which ports are not open: the failed ones, or all.
func (s *service) setFailed(failed map[string]error, all bool) {
	err := s.invalid
	s.closed = map[int32]bool{}
	for port := range s.listen {
		s.closed[port] = all
	}
	for port := range s.listen {
		if e := failed[listenerName(s, port)]; e != nil {
			s.closed[port] = true
			if !s.spare {
				err = e
			}
		}
	}
	for port := range s.inner {
		if e := failed[innerName(s, port)]; e != nil {
			err = e
		}
	}
	s.err = nil
	if err != nil {
		s.err = fmt.Errorf("service %s/%s: %w", s.Namespace, s.Name, err)
	}
}

func (s *service) routeOf(p corev1.ServicePort, endpoints []endpoint, shares map[string]int) traffic.Route {
	r := traffic.Route{Shares: map[string]int{}}
	for _, e := range endpoints {
		if !e.takes && !(s.Spec.PublishNotReadyAddresses && e.runs) || e.namespace != s.Namespace || !selects(s.Spec.Selector, e.labels) {
			continue
		}
		port := targetPort(p, e.template)
		if port == 0 {
			continue
		}
		r.Backends = append(r.Backends, traffic.Backend{ID: e.id, Address: net.JoinHostPort(e.host, strconv.Itoa(port)), Group: e.group})
		r.Shares[e.group] = shares[e.group]
	}
	return r
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

// targetPort returns the pod's port that a Service's port leads to, 0 if the
// pod has no port of that name.
func targetPort(p corev1.ServicePort, spec *corev1.PodSpec) int {
	if p.TargetPort.Type == intstr.Int {
		if p.TargetPort.IntVal == 0 {
			return int(p.Port)
		}
		return int(p.TargetPort.IntVal)
	}
	for _, c := range spec.Containers {
		for _, port := range c.Ports {
			if port.Name == p.TargetPort.StrVal {
				return int(port.ContainerPort)
			}
		}
	}
	return 0
}
