package learn

import (
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
)

// A network is the names by which the pods of one file find each other. Each name
// has an address that no machine has, in the hosts file of every pod. The pods'
// connections to it are redirected to the pod that is meant, as by a kube-proxy.
type network struct {
	hosts     []host
	workloads []Workload
}

// A host is one name, of a Service or of a pod, and its address.
type host struct {
	address   string
	namespace string
	name      string          // "db", or "db-0.db"
	service   *corev1.Service // nil for a pod
	workload  string          // key of the pod's workload; empty for a Service
}

// newNetwork returns the names of the Services of a file that select a pod of the
// workloads, and of the pods that have a name of their own. It is empty if there
// are none.
func newNetwork(f manifest.File, workloads []Workload) network {
	n := network{workloads: workloads}
	address := netip.MustParsePrefix(pod.VirtualNet).Addr()
	add := func(h host) {
		address = address.Next()
		h.address = address.String()
		n.hosts = append(n.hosts, h)
	}
	services, _ := f.Services() // a field that has no meaning here is no reason to miss a name
	for _, s := range services {
		if slices.ContainsFunc(workloads, func(w Workload) bool { return selects(&s, w) }) {
			add(host{namespace: s.Namespace, name: s.Name, service: &s})
		}
	}
	if len(n.hosts) == 0 {
		return n
	}
	for _, w := range workloads {
		if name, subdomain := hostOf(w); subdomain != "" {
			add(host{namespace: w.Object.Namespace, name: name + "." + subdomain, workload: w.key()})
		}
	}
	return n
}

// hostOf returns the host name and the subdomain of a workload's pod. The subdomain
// is empty if the pod has no name that others could use.
func hostOf(w Workload) (name, subdomain string) {
	spec := w.Object.Template.Spec
	name, subdomain = spec.Hostname, spec.Subdomain
	if set, ok := w.Object.Object.(*appsv1.StatefulSet); ok {
		name, subdomain = w.podName(), set.Spec.ServiceName
	}
	if name == "" && w.Object.Kind == "Pod" {
		name = w.Object.Name
	}
	if name == "" {
		return "", ""
	}
	return name, subdomain
}

func selects(s *corev1.Service, w Workload) bool {
	return len(s.Spec.Selector) > 0 && s.Namespace == w.Object.Namespace && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(w.Object.Template.Labels))
}

// namesOf returns the names that lead to a workload.
func (n network) namesOf(w Workload) []string {
	var names []string
	for _, h := range n.hosts {
		if h.workload == w.key() || h.service != nil && selects(h.service, w) {
			names = append(names, h.name)
		}
	}
	return names
}

// join gives the pod of a workload the names of the network, and the variables of
// the Services in its namespace.
func (n network) join(w Workload, spec *pod.PodSpec) {
	if spec.Spec.HostNetwork {
		return // its connections are the machine's
	}
	spec.Redirected = true
	for _, h := range n.hosts {
		var names []string
		if h.namespace == w.Object.Namespace {
			names = append(names, h.name)
		}
		full := h.name + "." + h.namespace
		names = append(names, full, full+".svc", full+".svc.cluster.local")
		spec.Spec.HostAliases = append(spec.Spec.HostAliases, corev1.HostAlias{IP: h.address, Hostnames: names})
	}
	spec.ServiceLinks = n.variables(w.Object.Namespace)
}

// variables returns the environment variables of the Services of a namespace.
func (n network) variables(namespace string) map[string]string {
	out := map[string]string{}
	for _, h := range n.hosts {
		if h.service == nil || h.namespace != namespace || h.service.Spec.ClusterIP == corev1.ClusterIPNone {
			continue
		}
		pod.ServiceVariables(out, h.name, h.address, h.service.Spec.Ports)
	}
	return out
}

// redirects returns the redirects of every pod, given the addresses of the pods by
// the keys of their workloads.
func (n network) redirects(addresses map[string]string) []pod.Redirect {
	var out []pod.Redirect
	for _, h := range n.hosts {
		isHeadless := h.service == nil || h.service.Spec.ClusterIP == corev1.ClusterIPNone
		w, ok := n.behind(h, addresses)
		switch {
		case !ok:
		case isHeadless:
			for _, protocol := range []string{"tcp", "udp"} {
				out = append(out, pod.Redirect{Address: h.address, Protocol: protocol, To: addresses[w.key()]})
			}
		default:
			for _, p := range h.service.Spec.Ports {
				to := podPort(p, w.Object.Template.Spec)
				if to == 0 || p.Protocol == corev1.ProtocolSCTP {
					continue
				}
				out = append(out, pod.Redirect{Address: h.address, Protocol: strings.ToLower(string(p.Protocol)), Port: p.Port, To: addresses[w.key()], ToPort: to})
			}
		}
	}
	return out
}

// behind returns the workload to whose pod a name leads: the first one that has an
// address.
func (n network) behind(h host, addresses map[string]string) (Workload, bool) {
	for _, w := range n.workloads {
		if addresses[w.key()] != "" && (h.workload == w.key() || h.service != nil && selects(h.service, w)) {
			return w, true
		}
	}
	return Workload{}, false
}

// podPort returns the pod's port that a port of a Service leads to, or 0 if the pod
// has no port of that name.
func podPort(p corev1.ServicePort, spec corev1.PodSpec) int32 {
	if p.TargetPort.Type == intstr.Int {
		return p.TargetPort.IntVal
	}
	var port int32
	eachContainer(&spec, func(c *corev1.Container) {
		for _, own := range c.Ports {
			if own.Name == p.TargetPort.StrVal && port == 0 {
				port = own.ContainerPort
			}
		}
	})
	return port
}
