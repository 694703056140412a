package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Services returns the Services of the file with a kube-apiserver's defaults,
// and an error for each field that is wrong or not supported on one machine.
// Parse does not check them, because most runners do not use them.
func (f File) Services() ([]corev1.Service, Errors) {
	var list []corev1.Service
	var errs Errors
	for i := range f.objects {
		o := &f.objects[i]
		if o.apiVersion != "v1" || o.kind != "Service" {
			continue
		}
		s, problems := f.service(o)
		list, errs = append(list, s), append(errs, problems...)
	}
	return list, errs.sorted()
}

func (f File) service(o *object) (corev1.Service, Errors) {
	var s corev1.Service
	d := &decoder{file: o.file}
	d.decode(o.node, reflect.ValueOf(&s).Elem())
	if len(d.errs) > 0 {
		return s, d.errs
	}
	defaultService(&s)
	c := &checker{d: d, o: o}
	c.service(&s)
	survey := &surveyor{decoder: decoder{file: o.file}, runner: Declared}
	survey.walk(o.node, reflect.TypeFor[corev1.Service](), "Service")
	return s, append(d.errs, survey.refused...)
}

// defaultService sets the defaults of a kube-apiserver
// (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go, 1.37).
func defaultService(s *corev1.Service) {
	orDefault(&s.Namespace, corev1.NamespaceDefault)
	orDefault(&s.Spec.Type, corev1.ServiceTypeClusterIP)
	orDefault(&s.Spec.SessionAffinity, corev1.ServiceAffinityNone)
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		orDefault(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == (intstr.IntOrString{}) || p.TargetPort.Type == intstr.String && p.TargetPort.StrVal == "" {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
}

// ServiceErrorf returns an error with the path and position of a field in the spec of a
// Service, for a caller that knows more than this package.
func (f File) ServiceErrorf(namespace, name, field, hint, format string, args ...any) FieldError {
	at := path{key("spec"), key(field)}
	e := FieldError{File: f.Name, Path: at.String(), Detail: fmt.Sprintf(format, args...), Hint: hint}
	for i := range f.objects {
		if o := &f.objects[i]; o.apiVersion == "v1" && o.kind == "Service" && o.name == name && cmp.Or(o.namespace, corev1.NamespaceDefault) == namespace {
			place := o.node.findKey(at)
			e.File, e.Line, e.Column = o.file, place.line, place.col
		}
	}
	return e
}

func (c *checker) service(s *corev1.Service) {
	c.meta(s.ObjectMeta, nil)
	spec := path{key("spec")}
	isExternal, isHeadless := s.Spec.Type == corev1.ServiceTypeExternalName, s.Spec.ClusterIP == corev1.ClusterIPNone
	c.clusterIP(s, spec)
	if isExternal {
		c.externalName(s, spec)
	} else if len(s.Spec.Selector) == 0 {
		c.fail(spec.with(key("selector")), "select the labels of the pods", "required")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Spec.Selector)) {
		at := spec.with(key("selector"), key(name))
		c.name(at, name, validation.IsQualifiedName(name))
		c.name(at, s.Spec.Selector[name], validation.IsValidLabelValue(s.Spec.Selector[name]))
	}
	if len(s.Spec.Ports) == 0 && !isExternal && !isHeadless {
		c.fail(spec.with(key("ports")), "", "required")
	}
	names := map[string]bool{}
	numbers, nodes := map[corev1.ServicePort]bool{}, map[corev1.ServicePort]bool{}
	for i, p := range s.Spec.Ports {
		at := spec.with(key("ports"), item(i))
		c.servicePort(at, p)
		if len(s.Spec.Ports) > 1 && p.Name == "" {
			c.fail(at.with(key("name")), "", "required where there are several ports")
		}
		if p.Name != "" && names[p.Name] {
			c.fail(at.with(key("name")), "", "another port is named %q", p.Name)
		}
		names[p.Name] = true
		// The same number may be used by another protocol, as DNS does.
		if id := (corev1.ServicePort{Port: p.Port, Protocol: p.Protocol}); numbers[id] {
			c.fail(at.with(key("port")), "", "another port has %s %d", p.Protocol, p.Port)
		} else {
			numbers[id] = true
		}
		if p.NodePort == 0 {
			continue
		}
		if id := (corev1.ServicePort{NodePort: p.NodePort, Protocol: p.Protocol}); nodes[id] {
			c.fail(at.with(key("nodePort")), "", "another port has %s %d", p.Protocol, p.NodePort)
		} else {
			nodes[id] = true
		}
		if s.Spec.Type == corev1.ServiceTypeClusterIP {
			c.fail(at.with(key("nodePort")), "", "not where type is ClusterIP")
		}
	}
	c.affinity(s, spec)
}

// clusterIP checks an address, which may also be None.
func (c *checker) clusterIP(s *corev1.Service, spec path) {
	ip, at := s.Spec.ClusterIP, spec.with(key("clusterIP"))
	switch {
	case ip == "":
	case s.Spec.Type == corev1.ServiceTypeExternalName:
		c.fail(at, "", "not where type is ExternalName")
	case ip == corev1.ClusterIPNone:
		if s.Spec.Type != corev1.ServiceTypeClusterIP {
			c.fail(at, "", "None only where type is ClusterIP")
		}
	default:
		if a, err := netip.ParseAddr(ip); err != nil || !a.Is4() {
			c.fail(at, "leave it out: a free one is chosen", "%q is no IPv4 address and not None", ip)
		}
	}
}

func (c *checker) externalName(s *corev1.Service, spec path) {
	at := spec.with(key("externalName"))
	if c.require(at, s.Spec.ExternalName) {
		name := strings.TrimSuffix(s.Spec.ExternalName, ".")
		c.name(at, s.Spec.ExternalName, validation.IsDNS1123Subdomain(name))
	}
}

func (c *checker) affinity(s *corev1.Service, spec path) {
	oneOf(c, spec.with(key("sessionAffinity")), s.Spec.SessionAffinity, corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP)
	if s.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return // a kube-apiserver ignores the configuration then
	}
	at := spec.with(key("sessionAffinityConfig"))
	if a := s.Spec.SessionAffinityConfig; a != nil && a.ClientIP != nil && a.ClientIP.TimeoutSeconds != nil {
		if n := *a.ClientIP.TimeoutSeconds; n < 1 || n > 86400 {
			c.fail(at.with(key("clientIP"), key("timeoutSeconds")), "", "%d is not between 1 and 86400, a day", n)
		}
	}
}

func (c *checker) servicePort(at path, p corev1.ServicePort) {
	c.optionalName(at.with(key("name")), p.Name, validation.IsDNS1123Label)
	for name, n := range map[string]int32{"port": p.Port, "nodePort": p.NodePort} {
		if n < 0 || n > 65535 || n == 0 && name == "port" {
			c.fail(at.with(key(name)), "", "%d is no port: want 1 to 65535", n)
		}
	}
	oneOf(c, at.with(key("protocol")), p.Protocol, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
	switch t := p.TargetPort; {
	case t.Type == intstr.Int && (t.IntVal < 1 || t.IntVal > 65535):
		c.fail(at.with(key("targetPort")), "", "%d is no port: want 1 to 65535", t.IntVal)
	case t.Type == intstr.String:
		c.name(at.with(key("targetPort")), t.StrVal, validation.IsValidPortName(t.StrVal))
	}
	if p.AppProtocol != nil {
		c.name(at.with(key("appProtocol")), *p.AppProtocol, validation.IsQualifiedName(*p.AppProtocol))
	}
}
