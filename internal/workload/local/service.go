package local

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod"
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
