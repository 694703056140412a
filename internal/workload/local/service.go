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

// services are the addresses on this machine behind which the instances stand.
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
	err   error                       // why one is not open
}

func newServices(c *Controller) *services {
	return &services{controller: c, wake: make(chan struct{}, 1), list: map[string]*service{}}
}

// run routes anew whenever something changed, until ctx ends.
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

// update asks for new routes.
func (s *services) update() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// setServices makes the open ports those of a list of Services. One whose address
// is taken is an error, and stays in the list.
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

// open opens the ports of a Service that are not open yet, and closes those
// that it has no more.
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

// protocolOf is how a port is balanced: by its appProtocol or its name, as
// service meshes read them, or else by what the client says first.
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

// AnnotationListen is the annotation of a Service that sets its address on this
// machine.
const AnnotationListen = "adamant.sh/listen"

// listenAddress is where a Service's port is on this machine: on its loopback
// or, where the Service is to be reached from outside, on all addresses; the
// annotation says otherwise.
func listenAddress(s corev1.Service, p corev1.ServicePort) (string, error) {
	host, port := "127.0.0.1", p.Port
	if s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		host = "0.0.0.0"
		if p.NodePort != 0 {
			port = p.NodePort
		}
	}
	if v, ok := s.Annotations[AnnotationListen]; ok {
		h, n, err := net.SplitHostPort(v)
		if err != nil {
			h, n = v, strconv.Itoa(int(port))
		}
		number, err := strconv.ParseUint(n, 10, 16)
		if net.ParseIP(h) == nil || err != nil || err == nil && len(s.Spec.Ports) > 1 && h != v {
			return "", &rollout.AnnotationError{Name: AnnotationListen, Value: v, Want: `an address such as "0.0.0.0" or, for one port, "0.0.0.0:8080"`}
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

// An endpoint is an instance as a Service sees it.
type endpoint struct {
	id, host  string
	group     string // of one generation of one workload
	labels    map[string]string
	namespace string
	template  *corev1.PodSpec
	takes     bool // new traffic
}

// route gives every open port the instances that its Service selects.
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

// targetPort is the port of a pod that a Service's port leads to, 0 if the pod
// has none of that name.
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

// drain lets what is open on an instance finish, until ctx ends.
func (s *services) drain(ctx context.Context, id string) {
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

// requestCounts is how many requests a generation got and how many of them failed,
// since the services were opened.
func (s *services) requestCounts(group string) (requests, failures uint64) {
	for _, b := range s.balancers() {
		st := b.Stats()[group]
		requests += uint64(st.Requests)
		failures += uint64(st.Errors)
	}
	return requests, failures
}

// group names a generation of a workload.
func group(k Key, generation int) string { return fmt.Sprintf("%s/%d", k, generation) }
