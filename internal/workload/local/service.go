package local

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/balancer"
	"github.com/adamant-sh/adamant/internal/workload/names"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// A Balancer spreads the traffic of Services over instances, and answers their names.
// It is a balancer.Local or another process that has one.
type Balancer interface {
	// Apply replaces all listeners and routes, and the names that pods can look up;
	// nil ends the DNS server. It returns an error for each listener that is not
	// open, by its name, and for the DNS server as balancer.NamesListener.
	Apply(context.Context, []traffic.Listener, *names.Zone) map[string]error
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
	named  bool                // the DNS server listens
	lost   error               // why it does not
}

// A service is one Service with its ports.
type service struct {
	corev1.Service
	serviceAddress
	listen  map[int32]string // address of each port
	closed  map[int32]bool   // the ports that are not open
	inner   map[int32]string // the same port of the Service's own address
	spare   bool             // the ports in listen need not be open: there are other ways to the pods
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

// declare replaces the Services with their addresses, and the Ingress objects. open opens
// their ports.
func (s *services) declare(all exposed, addresses map[string]serviceAddress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list, s.all = map[string]*service{}, all
	for _, spec := range all.services {
		name := spec.Namespace + "/" + spec.Name
		s.list[name] = &service{Service: spec, serviceAddress: addresses[name]}
	}
}

// open opens the ports of the declared Services and closes all others. It returns an
// error for a Service whose address is in use; its status shows the error, too, and the
// next route tries again.
func (s *services) open() error {
	s.route()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.sorted() {
		if one.err != nil {
			return one.err
		}
	}
	for address, err := range s.shut {
		return fmt.Errorf("ingress at %s: %w", address, err)
	}
	if s.doors != nil {
		for name, err := range s.doors.errs {
			return fmt.Errorf("ingress %s: %w", name, err)
		}
	}
	return nil
}

// check returns an error if a port of a Service is taken, by another Service or by
// another program, or if an annotation is invalid. For a port that need not be open
// on loopback it returns a note. after are the doors after the apply.
func (s *services) check(list []corev1.Service, after *doors) (notes []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	declared := map[string]bool{}
	for _, spec := range list {
		declared[nameOf(spec.ObjectMeta)] = true
	}
	taken := claims{}
	ours := map[string]bool{} // open now
	for name, one := range s.list {
		for port, address := range one.listen {
			ours[address] = ours[address] || !one.closed[port]
			if !declared[name] && !(one.spare && one.closed[port]) {
				taken.add(address, "service "+name)
			}
		}
		for port, address := range one.inner {
			ours[address] = ours[address] || !one.closed[port]
		}
	}
	taken.addDoors(after.listeners())
	open := slices.DeleteFunc(slices.Collect(maps.Keys(ours)), func(a string) bool { return !ours[a] })
	for _, spec := range s.byClaim(list) {
		name := nameOf(spec.ObjectMeta)
		if _, err := forwardingOf(spec); err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
		for _, p := range spec.Spec.Ports {
			address, err := listenAddress(spec, p)
			if err != nil {
				return nil, fmt.Errorf("service %s: %w", name, err)
			}
			if after.isYielded(spec, address) {
				continue
			}
			err = taken.conflict(address, ownerOf(spec.ObjectMeta), s.isSpare(&spec))
			if err == nil && !ours[address] {
				err = s.try(address, open)
			}
			if err == nil {
				taken.add(address, ownerOf(spec.ObjectMeta))
				continue
			}
			if !s.isSpare(&spec) {
				return nil, fmt.Errorf("service %s: port %d: %w", name, p.Port, err)
			}
			notes = append(notes, fmt.Sprintf("service %s: port %d has no address on loopback: %v", name, p.Port, err))
		}
	}
	return notes, nil
}

// claims are the addresses on this machine that Services and Ingress objects have, with
// their owners.
type claims map[string]string

// ingressOwner is the owner of the address of a door.
const ingressOwner = "Ingress objects"

func ownerOf(m metav1.ObjectMeta) string { return "service " + nameOf(m) }

func (c claims) add(address, owner string) {
	c[address] = owner
	if port := portOfAll(address); port != "" {
		c["*:"+port] = owner
	}
}

// addDoors adds the ports that Ingress objects have at all addresses; for single
// addresses see isYielded and checkDoors.
func (c claims) addDoors(list []traffic.Listener) {
	for _, l := range list {
		if port := portOfAll(l.Address); port != "" {
			c["*:"+port] = ingressOwner
		}
	}
}

// portOfAll returns the port of an address that stands for all, "" for others.
func portOfAll(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !net.ParseIP(host).IsUnspecified() {
		return ""
	}
	return port
}

// conflict returns an error if another owner has an address or, for one on loopback
// that need not be open, its port at all addresses.
func (c claims) conflict(address, owner string, spare bool) error {
	other, ok := c[address]
	if !ok && spare {
		other, ok = c["*:"+address[strings.LastIndexByte(address, ':')+1:]]
	}
	if ok && other != owner {
		return fmt.Errorf("%s belongs to %s", address, other)
	}
	return nil
}

// byClaim returns Services in the order in which they get addresses on loopback: those
// that need theirs first, then the oldest.
func (s *services) byClaim(list []corev1.Service) []corev1.Service {
	now := time.Now()
	since := func(name string) time.Time {
		if one := s.list[name]; one != nil {
			return one.Since
		}
		return now
	}
	return slices.SortedFunc(slices.Values(list), func(a, b corev1.Service) int {
		if x, y := s.isSpare(&a), s.isSpare(&b); x != y {
			if x {
				return 1
			}
			return -1
		}
		x, y := nameOf(a.ObjectMeta), nameOf(b.ObjectMeta)
		return cmp.Or(since(x).Compare(since(y)), cmp.Compare(x, y))
	})
}

// try returns an error if an address cannot be listened to.
func (s *services) try(address string, open []string) error {
	l, err := traffic.ListenBeside(s.controller.ctx, address, open)
	if err != nil {
		return err
	}
	return l.Close()
}

// isSpare reports whether a Service is reached without its ports on loopback: it has
// an address of its own, or those of its pods, and its manifest asks for no other.
func (s *services) isSpare(spec *corev1.Service) bool {
	_, asks := spec.Annotations[annotationListen]
	return spec.Spec.Type == corev1.ServiceTypeClusterIP && !asks && s.controller.network.block.IsValid()
}

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
	for _, spec := range s.byClaim(specs) {
		list = append(list, s.list[nameOf(spec.ObjectMeta)])
	}
	return list
}

// listeners returns the wanted listeners of all Services. A port of loopback that
// another Service has, or Ingress objects at all addresses, is in skipped.
func (s *services) listeners(sorted []*service, endpoints []endpoint, shares map[string]int, doors []traffic.Listener) (list []traffic.Listener, skipped map[string]error) {
	skipped = map[string]error{}
	taken := claims{}
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

// namesLost returns why the names of Services do not resolve, nil if they do.
func (s *services) namesLost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// join gives the pods of a controller the names and the variables of its Services.
func (s *services) join(spec *pod.PodSpec) {
	n := s.controller.network
	if !n.block.IsValid() {
		return
	}
	s.mu.Lock()
	named := s.named
	s.mu.Unlock()
	if !named {
		s.route() // the first one, or one that failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named { // otherwise the machine's resolver is better than none
		spec.ClusterDNS = n.server.String()
	}
	spec.ServiceLinks = map[string]string{}
	for _, one := range s.list {
		if one.Namespace == spec.Namespace && one.ClusterIP.IsValid() {
			pod.ServiceVariables(spec.ServiceLinks, one.Name, one.ClusterIP.String(), one.Spec.Ports)
		}
	}
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
