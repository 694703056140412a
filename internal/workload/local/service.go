package local

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// A Balancer spreads the traffic of Services over instances. It is a traffic.Pool,
// or another process that has one.
type Balancer interface {
	// Apply replaces all listeners and routes. It returns an error for each
	// listener that is not open, by its name.
	Apply(context.Context, []traffic.Listener) map[string]error
	// Ended and Drain are those of traffic.Balancer, for all listeners.
	Ended(ctx context.Context, id string)
	Drain(ctx context.Context, id string) error
	Stats(context.Context) traffic.Counters
	// Close ends the use of the Balancer, which may go on in its own process.
	Close() error
}

// services are the open ports of all Services.
type services struct {
	controller *Controller
	balancer   Balancer
	wake       chan struct{}
	routing    sync.Mutex // held while routes are passed on, so that the latest wins

	mu     sync.Mutex
	list   map[string]*service // by namespace/name
	all    exposed             // of which list was made
	doors  *doors              // of the latest route
	shut   map[string]error    // doors that are not open, by address
	unused bool                // no workload is left, so that nothing listens
}

// A service is one Service with its ports.
type service struct {
	corev1.Service
	listen  map[int32]string // address of each port
	closed  map[int32]bool   // the ports that are not open
	invalid error            // why a port cannot be open
	err     error            // the first of these and of the balancer's
}

func newServices(c *Controller) *services {
	return &services{controller: c, balancer: c.opts.Balancer, wake: make(chan struct{}, 1), list: map[string]*service{}}
}

// run updates the routes after each change until ctx ends.
func (s *services) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			if err := s.balancer.Close(); err != nil {
				s.controller.log(err)
			}
			return
		case <-s.wake:
			s.route()
		}
	}
}

// update requests new routes.
func (s *services) update() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// setServices opens the ports of Services and the addresses of Ingress objects and closes
// all others. A Service whose address is in use returns an error and stays in the list,
// so that its status shows the error; the next route tries again.
func (s *services) setServices(all exposed) error {
	list := all.services
	s.mu.Lock()
	s.list, s.all = map[string]*service{}, all
	for _, spec := range list {
		s.list[spec.Namespace+"/"+spec.Name] = &service{Service: spec}
	}
	s.mu.Unlock()
	s.route()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, spec := range list {
		if one := s.list[spec.Namespace+"/"+spec.Name]; one != nil && one.err != nil {
			return one.err
		}
	}
	for address, err := range s.shut {
		return fmt.Errorf("ingress at %s: %w", address, err)
	}
	return nil
}

// check returns an error if a port of a Service is taken, by another Service or by
// another program, or if an annotation is invalid. after are the doors after the apply.
func (s *services) check(list []corev1.Service, after *doors) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := map[string]string{} // address to the Service that has it after the apply
	declared := map[string]bool{}
	for _, spec := range list {
		declared[nameOf(spec.ObjectMeta)] = true
	}
	ours := map[string]bool{} // open now
	for name, one := range s.list {
		for port, address := range one.listen {
			ours[address] = ours[address] || !one.closed[port]
			if !declared[name] {
				taken[address] = name
			}
		}
	}
	for _, spec := range list {
		name := nameOf(spec.ObjectMeta)
		if _, err := forwardingOf(spec); err != nil {
			return fmt.Errorf("service %s: %w", name, err)
		}
		for _, p := range spec.Spec.Ports {
			address, err := listenAddress(spec, p)
			if err != nil {
				return fmt.Errorf("service %s: %w", name, err)
			}
			if after.isYielded(spec, address) {
				continue
			}
			if other, ok := taken[address]; ok && other != name {
				return fmt.Errorf("service %s: port %d: %s belongs to service %s", name, p.Port, address, other)
			}
			taken[address] = name
			if ours[address] {
				continue
			}
			b, err := traffic.Listen(s.controller.ctx, traffic.Options{Address: address})
			if err != nil {
				return fmt.Errorf("service %s: %w", name, err)
			}
			b.Close()
		}
	}
	return nil
}

// listenerName returns the name of a Service's port in a Balancer.
func listenerName(s *service, port int32) string {
	return fmt.Sprintf("%s/%s:%d", s.Namespace, s.Name, port)
}

// protocolOf returns how a port is balanced: by its appProtocol or the prefix
// of its name, as service meshes read them, or else by the first bytes of each
// connection.
// With TLS that ends here, https is HTTP.
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

// annotationListen is the annotation of a Service that sets its address on this
// machine.
const annotationListen = "adamant.sh/listen"

// listenAddress returns the address of a Service's port on this machine: on
// loopback, or on all addresses for the types NodePort and LoadBalancer.
// annotationListen overrides it.
func listenAddress(s corev1.Service, p corev1.ServicePort) (string, error) {
	host, port := "127.0.0.1", p.Port
	if s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		host = "0.0.0.0"
		if p.NodePort != 0 {
			port = p.NodePort
		}
	}
	if v, ok := s.Annotations[annotationListen]; ok {
		h, n, err := net.SplitHostPort(v)
		if err != nil {
			h, n = v, strconv.Itoa(int(port))
		}
		number, err := strconv.ParseUint(n, 10, 16)
		if net.ParseIP(h) == nil || err != nil || err == nil && len(s.Spec.Ports) > 1 && h != v {
			return "", &rollout.AnnotationError{Name: annotationListen, Value: v, Want: `an address such as "0.0.0.0" or, for one port, "0.0.0.0:8080"`}
		}
		host, port = h, int32(number)
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), nil
}

// annotationForwarded is the annotation of a Service with the values "replace" and
// "append", see traffic.Forwarding.
const annotationForwarded = "adamant.sh/forwarded"

// forwardingOf returns what the Service's backends are told about the client.
func forwardingOf(s corev1.Service) (traffic.Forwarding, error) {
	return parseForwarding(s.Annotations[annotationForwarded])
}

func parseForwarding(v string) (traffic.Forwarding, error) {
	switch v {
	case "":
		return traffic.ForwardNothing, nil
	case "replace":
		return traffic.ForwardReplace, nil
	case "append":
		return traffic.ForwardAppend, nil
	default:
		return 0, &rollout.AnnotationError{Name: annotationForwarded, Value: v, Want: `"replace", or "append" behind a proxy that is trusted`}
	}
}

// An endpoint is an instance as Services see it.
type endpoint struct {
	id, host  string
	group     string // of one generation of one workload
	labels    map[string]string
	namespace string
	template  *corev1.PodSpec
	takes     bool // gets new traffic
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
	s.doors = newDoors(s.all)
	for _, one := range s.list {
		if listeners := one.listeners(endpoints, shares, s.doors); !unused {
			list = append(list, listeners...)
		}
	}
	doors := s.doors.listeners()
	if !unused {
		list = append(list, doors...)
	}
	s.mu.Unlock()
	failed := s.balancer.Apply(s.controller.ctx, list)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		one.setFailed(failed, unused)
	}
	s.shut = map[string]error{}
	for _, l := range doors {
		if err := failed[l.Name]; err != nil {
			s.shut[l.Address] = err
		}
	}
}

// listeners returns the wanted listeners of a Service's ports. It sets err if the
// Service is invalid.
func (s *service) listeners(endpoints []endpoint, shares map[string]int, d *doors) []traffic.Listener {
	s.invalid, s.listen = nil, map[int32]string{}
	forwarding, err := forwardingOf(s.Service)
	if err != nil {
		s.invalid = err
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
			s.closed[port], err = true, e
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
		if !e.takes || e.namespace != s.Namespace || !selects(s.Spec.Selector, e.labels) {
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

// finish waits until the clients of an instance, whose containers have ended, have
// everything that it sent, or until ctx ends.
func (s *services) finish(ctx context.Context, id string) {
	s.balancer.Ended(ctx, id)
	s.balancer.Drain(ctx, id) // only fails with ctx
}

// cut closes what is still open on an instance that is gone.
func (s *services) cut(id string) {
	ctx, cancel := context.WithCancel(s.controller.ctx)
	cancel()
	s.balancer.Drain(ctx, id)
}

// setUnused closes the ports if no workload is left.
func (s *services) setUnused() {
	s.mu.Lock()
	s.unused = len(s.controller.all()) == 0
	s.mu.Unlock()
	s.update()
}

// requestCounts returns the requests to a generation, and how many of them
// failed, since the ports were opened.
func (s *services) requestCounts(group string) (requests, failures uint64) {
	for _, groups := range s.balancer.Stats(s.controller.ctx) {
		requests += groups[group].Requests
		failures += groups[group].Errors
	}
	return requests, failures
}

// group returns the name of a generation in routes.
func group(k Key, generation int) string { return fmt.Sprintf("%s/%d", k, generation) }
