package local

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

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
	taken := addressOwners{}
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
	for _, spec := range s.byPrecedence(list) {
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

// addressOwners are the Services and Ingress objects by the addresses that they have on
// this machine.
type addressOwners map[string]string

// ingressOwner is the owner of the address of a door.
const ingressOwner = "Ingress objects"

func ownerOf(m metav1.ObjectMeta) string { return "service " + nameOf(m) }

func (o addressOwners) add(address, owner string) {
	o[address] = owner
	if port := portOfAll(address); port != "" {
		o["*:"+port] = owner
	}
}

// addDoors adds the ports that Ingress objects have at all addresses; for single
// addresses see isYielded and checkDoors.
func (o addressOwners) addDoors(list []traffic.Listener) {
	for _, l := range list {
		if port := portOfAll(l.Address); port != "" {
			o["*:"+port] = ingressOwner
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
func (o addressOwners) conflict(address, owner string, spare bool) error {
	other, ok := o[address]
	if !ok && spare {
		other, ok = o["*:"+address[strings.LastIndexByte(address, ':')+1:]]
	}
	if ok && other != owner {
		return fmt.Errorf("%s belongs to %s", address, other)
	}
	return nil
}

// byPrecedence returns Services in the order in which they get addresses on loopback: those
// that need theirs first, then the oldest.
func (s *services) byPrecedence(list []corev1.Service) []corev1.Service {
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
