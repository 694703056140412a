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
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// An ingressRecord is a stored Ingress.
type ingressRecord struct {
	Made    time.Time            `json:"made"` // of two with the same host and path the older is served
	Ingress networkingv1.Ingress `json:"ingress"`
}

// Annotations of an Ingress, beside annotationForwarded.
const (
	annotationListenTLS = "adamant.sh/listen-tls"   // the address for TLS, as annotationListen is that without
	annotationRedirect  = "adamant.sh/ssl-redirect" // "false": hosts with TLS are served without TLS, too
)

// exposed are the objects that listen, and the certificates that they may use.
type exposed struct {
	services  []corev1.Service
	ingresses []ingressRecord
	pairs     keyPairs
}

// An entrance is an Ingress with its settings on this machine.
type entrance struct {
	networkingv1.Ingress
	address    string // without TLS
	addressTLS string // empty without certificates
	portTLS    int    // of addressTLS
	forwarding traffic.Forwarding
	redirect   bool // of hosts with TLS
}

func (e *entrance) name() string { return e.Namespace + "/" + e.Name }

// newEntrance reads the annotations of an Ingress.
func newEntrance(i networkingv1.Ingress) (*entrance, error) {
	e := &entrance{Ingress: i, forwarding: traffic.ForwardReplace, redirect: true}
	var err error
	if e.address, _, err = ingressAddress(i, annotationListen, 80); err != nil {
		return e, err
	}
	tls, port, err := ingressAddress(i, annotationListenTLS, 443)
	switch {
	case err != nil:
		return e, err
	case len(i.Spec.TLS) > 0 && tls == e.address:
		return e, &rollout.AnnotationError{Name: annotationListenTLS, Value: tls, Want: "another address than that without TLS"}
	case len(i.Spec.TLS) > 0:
		e.addressTLS, e.portTLS = tls, port
	}
	if v, ok := i.Annotations[annotationForwarded]; ok {
		if e.forwarding, err = parseForwarding(v); err != nil {
			return e, err
		}
	}
	switch v := i.Annotations[annotationRedirect]; v {
	case "", "true":
	case "false":
		e.redirect = false
	default:
		return e, &rollout.AnnotationError{Name: annotationRedirect, Value: v, Want: `"true" or "false"`}
	}
	return e, nil
}

// ingressAddress returns the address in an annotation, which may lack the port. Without
// the annotation it is one of loopback.
func ingressAddress(i networkingv1.Ingress, annotation string, port int) (string, int, error) {
	v, ok := i.Annotations[annotation]
	if !ok {
		v = "127.0.0.1"
	}
	host, number, err := net.SplitHostPort(v)
	if err != nil {
		host, number = v, strconv.Itoa(port)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if net.ParseIP(host) == nil || err != nil || n == 0 {
		return "", 0, &rollout.AnnotationError{Name: annotation, Value: v, Want: `an address such as "0.0.0.0" or "0.0.0.0:8080"`}
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), int(n), nil
}

// secures reports whether a host of the rules, which may be empty, is served with TLS.
func (e *entrance) secures(host string) bool {
	return slices.ContainsFunc(e.Spec.TLS, func(t networkingv1.IngressTLS) bool {
		_, domain, _ := strings.Cut(host, ".")
		return len(t.Hosts) == 0 || host != "" && (slices.Contains(t.Hosts, host) || slices.Contains(t.Hosts, "*."+domain))
	})
}

// doors are the listeners of all Ingress objects.
type doors struct {
	services  map[string]corev1.Service
	pairs     keyPairs
	byAddress map[string]*door
	errs      map[string]error // why an Ingress is not served whole, by name
	notes     []string
	targets   map[string]bool // listeners of Services that rules lead to
}

// A door is one listener.
type door struct {
	traffic.Listener
	hosts    []string          // of its rules, each once
	defaults map[string]source // what is served at other paths of a host
	any      *source           // what is served at other hosts
	owners   map[string]string // the Ingress of each host and path
}

// A source is a default backend with its Ingress.
type source struct {
	of *entrance
	networkingv1.IngressBackend
}

// newDoors makes the listeners of Ingress objects. Their rules lead to the listeners of
// Services. Older objects come first, so that theirs are the rules of a host and path
// that several have.
func newDoors(all exposed) *doors {
	d := &doors{services: map[string]corev1.Service{}, pairs: all.pairs, byAddress: map[string]*door{}, errs: map[string]error{}, targets: map[string]bool{}}
	for _, s := range all.services {
		d.services[nameOf(s.ObjectMeta)] = s
	}
	for _, r := range byAge(all.ingresses) {
		e, err := newEntrance(r.Ingress)
		if err != nil {
			d.errs[e.name()] = err
			continue
		}
		d.add(e)
	}
	for _, one := range d.byAddress {
		d.addDefaults(one)
	}
	return d
}

func byAge(list []ingressRecord) []ingressRecord {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b ingressRecord) int {
		return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(nameOf(a.Ingress.ObjectMeta), nameOf(b.Ingress.ObjectMeta)))
	})
	return list
}

// at returns the door of an address.
func (d *doors) at(address string) *door {
	one := d.byAddress[address]
	if one == nil {
		one = &door{Listener: traffic.Listener{Name: doorName(address), Address: address, Protocol: traffic.HTTP}, defaults: map[string]source{}, owners: map[string]string{}}
		d.byAddress[address] = one
	}
	return one
}

// targetName returns the name of the listener without an address that has the pods behind
// a Service's port: its other listeners need not be open.
func targetName(s corev1.Service, port int32) string {
	return fmt.Sprintf("%s/%s:%d (ingress)", s.Namespace, s.Name, port)
}

// doorName returns the name of a listener of Ingress objects in a Balancer.
func doorName(address string) string { return "ingress " + address }

// add adds the rules and certificates of an Ingress.
func (d *doors) add(e *entrance) {
	plain := d.at(e.address)
	d.addRules(e, plain, e.portTLS)
	if e.addressTLS == "" {
		return
	}
	secured := d.at(e.addressTLS)
	if secured.TLS == nil {
		secured.TLS = &traffic.TLS{Protocols: []string{"http/1.1", "http/1.0"}}
	}
	for _, t := range e.Spec.TLS {
		c, err := d.pairs.certificate(e.Namespace, t.SecretName, t.Hosts)
		if err != nil {
			d.errs[e.name()] = err
			continue
		}
		secured.TLS.Certificates = append(secured.TLS.Certificates, c)
	}
	d.addRules(e, secured, 0)
}

// addRules adds the rules of an Ingress to a door. redirect is the port of its TLS, 0 if
// the door has that itself or there is none.
func (d *doors) addRules(e *entrance, at *door, redirect int) {
	for _, r := range e.Spec.Rules {
		if !slices.Contains(at.hosts, r.Host) {
			at.hosts = append(at.hosts, r.Host)
		}
		if _, ok := at.defaults[r.Host]; !ok && e.Spec.DefaultBackend != nil {
			at.defaults[r.Host] = source{e, *e.Spec.DefaultBackend}
		}
		if r.HTTP == nil {
			continue
		}
		for _, p := range r.HTTP.Paths {
			exact := *p.PathType == networkingv1.PathTypeExact
			path := cmp.Or(p.Path, "/")
			id := fmt.Sprint(r.Host, strings.TrimSuffix(path, "/"), exact)
			if exact {
				id = fmt.Sprint(r.Host, path, exact)
			}
			if owner := at.owners[id]; owner != "" {
				if owner == e.name() {
					d.note("Ingress %s: %s%s is there twice: the first one is served", owner, r.Host, path)
				} else {
					d.note("Ingress %s: %s%s is served as in Ingress %s, which is older", e.name(), r.Host, path, owner)
				}
				continue
			}
			at.owners[id] = e.name()
			at.Rules = append(at.Rules, d.rule(e, r.Host, path, exact, p.Backend, redirect))
		}
	}
	if at.any == nil && e.Spec.DefaultBackend != nil {
		at.any = &source{e, *e.Spec.DefaultBackend}
	}
}

// addDefaults adds the rules for all other paths and hosts.
func (d *doors) addDefaults(at *door) {
	add := func(host string, s source) {
		redirect := s.of.portTLS
		if at.TLS != nil {
			redirect = 0
		}
		at.Rules = append(at.Rules, d.rule(s.of, host, "/", false, s.IngressBackend, redirect))
	}
	for _, host := range at.hosts {
		if s, ok := at.defaults[host]; ok {
			add(host, s)
		} else if at.any != nil {
			add(host, *at.any)
		}
	}
	if at.any != nil && !slices.Contains(at.hosts, "") {
		add("", *at.any)
	}
}

// rule makes the rule for a path.
func (d *doors) rule(e *entrance, host, path string, exact bool, b networkingv1.IngressBackend, redirect int) traffic.Rule {
	r := traffic.Rule{Host: host, Path: path, Exact: exact, Forwarding: e.forwarding}
	if redirect != 0 && e.redirect && e.secures(host) {
		r.Redirect = redirect
	}
	if b.Service == nil {
		return r // refused before
	}
	s, ok := d.services[e.Namespace+"/"+b.Service.Name]
	if !ok {
		d.note("Ingress %s: there is no Service %s: the answer is 503", e.name(), b.Service.Name)
		return r
	}
	if isExternal(&s) {
		d.note("Ingress %s: Service %s is a name outside: the answer is 503", e.name(), s.Name)
		return r
	}
	for _, p := range s.Spec.Ports {
		if b.Service.Port.Number == p.Port || b.Service.Port.Name != "" && b.Service.Port.Name == p.Name {
			r.To = targetName(s, p.Port)
			d.targets[r.To] = true
			return r
		}
	}
	d.note("Ingress %s: Service %s has no port %s: the answer is 503", e.name(), s.Name, cmp.Or(b.Service.Port.Name, strconv.Itoa(int(b.Service.Port.Number))))
	return r
}

// note adds a note once: an Ingress may lead to a Service by several rules.
func (d *doors) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(d.notes, n) {
		d.notes = append(d.notes, n)
	}
}

// listeners returns the listeners, by address. One without rules is none: it could only
// answer 404.
func (d *doors) listeners() []traffic.Listener {
	var list []traffic.Listener
	for _, address := range slices.Sorted(maps.Keys(d.byAddress)) {
		if one := d.byAddress[address]; len(one.Rules) > 0 {
			list = append(list, one.Listener)
		}
	}
	return list
}

// isYielded reports whether a Service leaves its address to Ingress objects: it has the
// address only by default, and is reached through them.
func (d *doors) isYielded(s corev1.Service, address string) bool {
	_, chosen := s.Annotations[annotationListen]
	return !chosen && s.Spec.Type == corev1.ServiceTypeClusterIP && d.byAddress[address] != nil
}

// checkDoors returns an error if an address of a declared Ingress is taken, by a Service or
// by another program, or if an annotation is invalid, and notes about the Ingress objects.
func (s *services) checkDoors(d declaration, all exposed, after *doors) (notes []string, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ours, taken := map[string]bool{}, map[string]string{} // open now; of Services after the apply
	var inner []string
	for _, one := range s.list {
		for port, address := range one.listen {
			ours[address] = ours[address] || !one.closed[port]
		}
		inner = slices.AppendSeq(inner, maps.Values(one.inner))
	}
	if s.doors != nil && !s.unused {
		for _, l := range s.doors.listeners() {
			ours[l.Address] = s.shut[l.Address] == nil
		}
	}
	for _, spec := range all.services {
		for _, p := range spec.Spec.Ports {
			switch address, err := listenAddress(spec, p); {
			case err != nil:
			case after.isYielded(spec, address):
				notes = append(notes, fmt.Sprintf("Service %s: %s is an address of Ingress objects, through which the Service is reached", nameOf(spec.ObjectMeta), address))
			default:
				taken[address] = nameOf(spec.ObjectMeta)
			}
		}
	}
	for _, i := range d.ingresses {
		name := nameOf(i.ObjectMeta)
		e, err := newEntrance(i)
		if err != nil {
			return nil, fmt.Errorf("ingress %s: %w", name, err)
		}
		for _, address := range []string{e.address, e.addressTLS} {
			if address == "" || ours[address] {
				continue
			}
			if err := s.tryDoor(address, ours, taken, after, inner); err != nil {
				return nil, fmt.Errorf("ingress %s: %w", name, err)
			}
		}
		notes = append(notes, annotationNotes(i)...)
	}
	for address, service := range taken {
		if after.byAddress[address] != nil {
			return nil, fmt.Errorf("service %s: %s is an address of Ingress objects", service, address)
		}
	}
	if len(d.ingresses)+len(d.services) == 0 {
		return nil, nil // they were noted before
	}
	return append(notes, after.notes...), nil
}

// tryDoor returns an error if an address cannot be listened to. inner are the open
// addresses of Services for pods. The caller holds mu.
func (s *services) tryDoor(address string, ours map[string]bool, taken map[string]string, after *doors, inner []string) error {
	_, port, _ := net.SplitHostPort(address)
	for open, isOpen := range ours {
		_, p, _ := net.SplitHostPort(open)
		if isOpen && p == port && taken[open] == "" && after.byAddress[open] == nil {
			return nil // in use by an address that the apply closes: 127.0.0.1:80 becomes 0.0.0.0:80
		}
	}
	return s.try(address, inner)
}

// foreignAnnotations are parts of the names of annotations by which other controllers
// are configured.
var foreignAnnotations = []string{"nginx", "traefik", "haproxy", "alb.ingress", "cert-manager", "appgw", "contour", "istio"}

// annotationNotes returns a note for each annotation that another controller would
// follow: what it asks for, such as another path, is not done here.
func annotationNotes(i networkingv1.Ingress) []string {
	var notes []string
	for _, name := range slices.Sorted(maps.Keys(i.Annotations)) {
		domain, _, _ := strings.Cut(name, "/")
		if slices.ContainsFunc(foreignAnnotations, func(part string) bool { return strings.Contains(domain, part) }) {
			notes = append(notes, fmt.Sprintf("Ingress %s: annotation %s has no meaning here", nameOf(i.ObjectMeta), name))
		}
	}
	return notes
}
