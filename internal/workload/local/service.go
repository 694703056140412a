package local

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// services are the open ports of all Services.
type services struct {
	controller *Controller
	wake       chan struct{}

	mu   sync.Mutex
	list map[string]*service // by namespace/name
}

// A service is one Service with its open ports.
type service struct {
	corev1.Service
	ports map[int32]*traffic.Balancer // by the Service's port
	err   error                       // why a port is not open
}

func newServices(c *Controller) *services {
	return &services{controller: c, wake: make(chan struct{}, 1), list: map[string]*service{}}
}

// run updates the routes after each change until ctx ends.
func (s *services) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			s.close()
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

// setServices opens the ports of a list of Services and closes all others. A
// Service whose address is in use returns an error and stays in the list, so
// that its status shows the error.
func (s *services) setServices(list []corev1.Service) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := map[string]bool{}
	var first error
	for _, spec := range list {
		name := spec.Namespace + "/" + spec.Name
		wanted[name] = true
		if err := s.open(name, spec); err != nil && first == nil {
			first = err
		}
	}
	for name, old := range s.list {
		if !wanted[name] {
			old.close()
			delete(s.list, name)
		}
	}
	s.update()
	return first
}

// check returns an error if a port of a Service is taken, by another Service or by
// another program, or if its address is invalid.
func (s *services) check(list []corev1.Service) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := map[string]string{} // address to the Service that has it after the apply
	declared := map[string]bool{}
	for _, spec := range list {
		declared[nameOf(spec.ObjectMeta)] = true
	}
	ours := map[string]bool{} // open now
	for name, one := range s.list {
		for _, b := range one.ports {
			ours[b.Addr().String()] = true
			if !declared[name] {
				taken[b.Addr().String()] = name
			}
		}
	}
	for _, spec := range list {
		name := nameOf(spec.ObjectMeta)
		for _, p := range spec.Spec.Ports {
			address, err := listenAddress(spec, p)
			if err != nil {
				return fmt.Errorf("service %s: %w", name, err)
			}
			if other, ok := taken[address]; ok && other != name {
				return fmt.Errorf("service %s: port %d: %s belongs to service %s", name, p.Port, address, other)
			}
			taken[address] = name
			if ours[address] {
				continue
			}
			b, err := traffic.Listen(s.controller.ctx, traffic.Options{Address: address, Protocol: protocolOf(p)})
			if err != nil {
				return fmt.Errorf("service %s: %w", name, err)
			}
			b.Close()
		}
	}
	return nil
}

// open opens the ports of a Service and closes those that it does not have any
// more.
func (s *services) open(name string, spec corev1.Service) error {
	old := s.list[name]
	if old == nil {
		old = &service{ports: map[int32]*traffic.Balancer{}}
		s.list[name] = old
	}
	old.Service, old.err = spec, nil
	wanted := map[int32]bool{}
	for _, p := range spec.Spec.Ports {
		wanted[p.Port] = true
		address, err := listenAddress(spec, p)
		if err == nil {
			err = old.listen(s.controller.ctx, address, p)
		}
		if err != nil {
			old.err = fmt.Errorf("service %s: %w", name, err)
		}
	}
	for port, b := range old.ports {
		if !wanted[port] {
			b.Close()
			delete(old.ports, port)
		}
	}
	return old.err
}

func (s *service) listen(ctx context.Context, address string, p corev1.ServicePort) error {
	if b := s.ports[p.Port]; b != nil {
		if b.Addr().String() == address {
			return nil
		}
		b.Close()
		delete(s.ports, p.Port)
	}
	b, err := traffic.Listen(ctx, traffic.Options{Address: address, Protocol: protocolOf(p)})
	if err != nil {
		return err
	}
	s.ports[p.Port] = b
	return nil
}

// protocolOf returns how a port is balanced: by its appProtocol or the prefix
// of its name, as service meshes read them, or else by the first bytes of each
// connection.
func protocolOf(p corev1.ServicePort) traffic.Protocol {
	name, _, _ := strings.Cut(strings.ToLower(p.Name), "-")
	if p.AppProtocol != nil {
		name = strings.ToLower(*p.AppProtocol)
	}
	switch name {
	case "http", "kubernetes.io/ws":
		return traffic.HTTP
	case "tcp", "tls", "https", "grpc", "h2c", "kubernetes.io/h2c":
		return traffic.TCP
	}
	return traffic.Auto
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

func (s *service) close() {
	for _, b := range s.ports {
		b.Close()
	}
}

func (s *services) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		one.close()
	}
	s.list = map[string]*service{}
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

// route passes the selected instances to the balancer of every open port.
func (s *services) route() {
	endpoints, shares := s.controller.endpoints()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		for _, p := range one.Spec.Ports {
			if b := one.ports[p.Port]; b != nil {
				b.Set(one.routeOf(p, endpoints, shares))
			}
		}
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

// drain waits until the open connections of an instance have ended, or ctx
// ends.
func (s *services) drain(ctx context.Context, id string) {
	// Routes are updated here and not in the background: otherwise a new connection
	// could reach the instance after it was drained.
	s.route()
	var wg sync.WaitGroup
	for _, b := range s.balancers() {
		wg.Go(func() { b.Drain(ctx, id) })
	}
	wg.Wait()
}

func (s *services) balancers() []*traffic.Balancer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*traffic.Balancer
	for _, one := range s.list {
		list = slices.AppendSeq(list, maps.Values(one.ports))
	}
	return list
}

// requestCounts returns the requests to a generation, and how many of them
// failed, since the Services were opened.
func (s *services) requestCounts(group string) (requests, failures uint64) {
	for _, b := range s.balancers() {
		st := b.Stats()[group]
		requests += uint64(st.Requests)
		failures += uint64(st.Errors)
	}
	return requests, failures
}

// group returns the name of a generation in routes.
func group(k Key, generation int) string { return fmt.Sprintf("%s/%d", k, generation) }
