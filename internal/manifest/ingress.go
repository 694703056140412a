package manifest

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// ingressClass is the class of the Ingress objects that are served here.
const ingressClass = "adamant"

// annotationClass is the annotation that named the class before there was a field.
const annotationClass = "kubernetes.io/ingress.class"

// Ingresses returns the Ingress objects of the file that are served on one machine: those
// of class adamant or of none. foreign are those of other classes. There is an error for
// each field that is wrong or not supported.
func (f File) Ingresses() (list []networkingv1.Ingress, foreign []Other, errs Errors) {
	for i := range f.objects {
		o := &f.objects[i]
		if !o.isIngress() {
			continue
		}
		if class := o.ingressClass(); class != ingressClass && class != "" {
			foreign = append(foreign, o.other())
			continue
		}
		s, problems := f.ingress(o)
		list, errs = append(list, s), append(errs, problems...)
	}
	return list, foreign, errs.sorted()
}

// IsIngress reports whether an object is one that Ingresses returns or refuses.
func (o Other) IsIngress() bool {
	return o.Kind == "Ingress" && (group(o.APIVersion) == networkingv1.GroupName || group(o.APIVersion) == "extensions")
}

func (o *object) isIngress() bool {
	return Other{Kind: o.kind, APIVersion: o.apiVersion}.IsIngress()
}

// ingressClass returns the class of an Ingress, or "" if it has none.
func (o *object) ingressClass() string {
	for _, at := range []path{{key("spec"), key("ingressClassName")}, {key("metadata"), key("annotations"), key(annotationClass)}} {
		n, rest := o.node.find(at)
		if class, ok := n.str(); ok && rest == len(at) {
			return class
		}
	}
	return ""
}

func (f File) ingress(o *object) (networkingv1.Ingress, Errors) {
	var s networkingv1.Ingress
	d := &decoder{file: o.file}
	c := &checker{d: d, o: o}
	if want := networkingv1.SchemeGroupVersion.String(); o.apiVersion != want {
		c.fail(path{key("apiVersion")}, "write apiVersion: "+want, "Kubernetes has no Ingress in %s", o.apiVersion)
		return s, d.errs
	}
	d.decode(o.node, reflect.ValueOf(&s).Elem())
	if len(d.errs) > 0 {
		return s, d.errs
	}
	orDefault(&s.Namespace, corev1.NamespaceDefault)
	c.ingress(&s)
	survey := &surveyor{decoder: decoder{file: o.file}, runner: Declared}
	survey.walk(o.node, reflect.TypeFor[networkingv1.Ingress](), "Ingress")
	return s, append(d.errs, survey.refused...)
}

// ingress makes the checks of a kube-apiserver
// (k8s.io/kubernetes/pkg/apis/networking/validation, 1.37), and those of the paths that
// the router does not accept.
func (c *checker) ingress(s *networkingv1.Ingress) {
	c.meta(s.ObjectMeta, nil)
	spec := path{key("spec")}
	if len(s.Spec.Rules) == 0 && s.Spec.DefaultBackend == nil {
		c.fail(spec, "", "rules or a defaultBackend are required")
	}
	if b := s.Spec.DefaultBackend; b != nil {
		c.ingressBackend(spec.with(key("defaultBackend")), b)
	}
	for i, t := range s.Spec.TLS {
		at := spec.with(key("tls"), item(i))
		for n, h := range t.Hosts {
			c.ingressHost(at.with(key("hosts"), item(n)), h)
		}
		if c.require(at.with(key("secretName")), t.SecretName) {
			c.name(at.with(key("secretName")), t.SecretName, validation.IsDNS1123Subdomain(t.SecretName))
		}
	}
	for i, r := range s.Spec.Rules {
		at := spec.with(key("rules"), item(i))
		if r.Host != "" {
			c.ingressHost(at.with(key("host")), r.Host)
		}
		if r.HTTP == nil {
			continue
		}
		at = at.with(key("http"), key("paths"))
		if len(r.HTTP.Paths) == 0 {
			c.fail(at, "", "required")
		}
		for n := range r.HTTP.Paths {
			c.ingressPath(at.with(item(n)), &r.HTTP.Paths[n])
		}
	}
}

func (c *checker) ingressHost(at path, host string) {
	switch _, err := netip.ParseAddr(host); {
	case err == nil:
		c.fail(at, "leave the host out, or use a name", "%q is an address: want a DNS name", host)
	case strings.Contains(host, "*"):
		c.name(at, host, validation.IsWildcardDNS1123Subdomain(host))
	default:
		c.name(at, host, validation.IsDNS1123Subdomain(host))
	}
}

func (c *checker) ingressPath(at path, p *networkingv1.HTTPIngressPath) {
	c.ingressBackend(at.with(key("backend")), &p.Backend)
	if p.PathType == nil {
		c.fail(at.with(key("pathType")), "", "required")
		return
	}
	oneOf(c, at.with(key("pathType")), *p.PathType, networkingv1.PathTypeExact, networkingv1.PathTypePrefix, networkingv1.PathTypeImplementationSpecific)
	at = at.with(key("path"))
	if p.Path == "" && *p.PathType == networkingv1.PathTypeImplementationSpecific {
		return
	}
	if !strings.HasPrefix(p.Path, "/") {
		c.fail(at, "", "%q must begin with /", p.Path)
		return
	}
	lower := strings.ToLower(p.Path)
	for _, part := range []string{"//", "/./", "/../", "%2f", "%5c", `\`, "?", "#", ";"} {
		if strings.Contains(lower, part) {
			c.fail(at, "", "%q must not contain %s", p.Path, part)
			return
		}
	}
	plain, err := url.PathUnescape(p.Path)
	switch {
	case err != nil:
		c.fail(at, "", "%q is no path: %v", p.Path, err)
	case strings.HasSuffix(plain, "/.") || strings.HasSuffix(plain, "/..") || strings.Contains(plain, "/./") || strings.Contains(plain, "/../"):
		c.fail(at, "", "%q must not have elements . or ..", p.Path)
	case strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f }):
		c.fail(at, "", "%q has control characters", p.Path)
	case strings.Contains(p.Path, " "):
		c.fail(at, "write %20", "%q has a blank", p.Path)
	case *p.PathType == networkingv1.PathTypeImplementationSpecific && strings.ContainsAny(p.Path, "*()[]|$^+"):
		c.fail(at, "ImplementationSpecific is a Prefix here", "%q seems to be a pattern", p.Path)
	}
}

func (c *checker) ingressBackend(at path, b *networkingv1.IngressBackend) {
	if b.Resource != nil {
		return // refused as not supported
	}
	if b.Service == nil {
		c.fail(at.with(key("service")), "", "required")
		return
	}
	at = at.with(key("service"))
	if c.require(at.with(key("name")), b.Service.Name) {
		c.name(at.with(key("name")), b.Service.Name, validation.IsDNS1035Label(b.Service.Name))
	}
	switch p := b.Service.Port; {
	case p.Name == "" && p.Number == 0:
		c.fail(at.with(key("port")), "", "a name or number is required")
	case p.Name != "" && p.Number != 0:
		c.fail(at.with(key("port")), "", "a name and a number exclude each other")
	case p.Name != "":
		c.name(at.with(key("port"), key("name")), p.Name, validation.IsValidPortName(p.Name))
	default:
		c.port(at.with(key("port"), key("number")), p.Number)
	}
}

// Errorf returns an error with the path and position of a field of an object.
func (f File) Errorf(kind, namespace, name, fieldPath, hint, format string, args ...any) FieldError {
	e := FieldError{File: f.Name, Path: fieldPath, Detail: fmt.Sprintf(format, args...), Hint: hint}
	for _, o := range f.objects {
		if p, err := parsePath(fieldPath); err == nil && o.kind == kind && o.name == name && (o.namespace == namespace || o.namespace == "" && namespace == corev1.NamespaceDefault) {
			place := o.node.findKey(p)
			e.File, e.Line, e.Column = o.file, place.line, place.col
		}
	}
	return e
}
