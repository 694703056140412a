package manifest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A Publication is a port of the machine that leads to a port of a container.
type Publication struct {
	IP            string // of the machine; empty for all
	HostPort      int32
	ContainerPort int32
	Protocol      corev1.Protocol
}

// ParsePublication parses [IP:]PORT[:CONTAINERPORT[/PROTO]]. The port of the container is
// that of the machine if it is missing.
func ParsePublication(s string) (Publication, error) {
	p := Publication{Protocol: corev1.ProtocolTCP}
	bad := func(why string) (Publication, error) {
		return Publication{}, fmt.Errorf("%q: %s; want [IP:]PORT[:CONTAINERPORT[/PROTO]], as in 127.0.0.1:8080:80", s, why)
	}
	rest, protocol, ok := strings.Cut(s, "/")
	if ok {
		p.Protocol = corev1.Protocol(strings.ToUpper(protocol))
	}
	if !slices.Contains([]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}, p.Protocol) {
		return bad(fmt.Sprintf("%q is neither tcp, udp nor sctp", protocol))
	}
	parts := strings.Split(rest, ":")
	if len(parts) > 1 && strings.Contains(parts[0], ".") {
		ip, err := netip.ParseAddr(parts[0])
		if err != nil || !ip.Is4() {
			return bad(fmt.Sprintf("%q is no IPv4 address", parts[0]))
		}
		p.IP, parts = parts[0], parts[1:]
	}
	if len(parts) > 2 {
		return bad("too many parts")
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil || n == 0 {
			return bad(fmt.Sprintf("%q is no port", part))
		}
		if i == 0 {
			p.HostPort = int32(n)
		}
		p.ContainerPort = int32(n)
	}
	return p, nil
}

// String returns "127.0.0.1:8080:80/tcp".
func (p Publication) String() string {
	s := fmt.Sprintf("%d:%d/%s", p.HostPort, p.ContainerPort, strings.ToLower(string(p.Protocol)))
	if p.IP != "" {
		s = p.IP + ":" + s
	}
	return s
}

// Publish returns the file with ports of the machine for its pods, as podman kube play
// --publish sets them: a declared port gets the hostPort, and one that is not declared is
// added to the pod's first container, if the file has only one pod. The result cannot be
// edited.
func (f File) Publish(list []Publication) (File, error) {
	f.objects = slices.Clone(f.objects)
	var pods []publishedPod
	for i := range f.objects {
		o := &f.objects[i]
		typed, ok := o.typed.(runtime.Object)
		if t, _ := template(o.typed); t == nil || !ok {
			continue
		}
		clone := typed.DeepCopyObject()
		o.typed = clone
		pods = append(pods, publishedPod{o.kind + "/" + o.nameHere(), specOf(clone)})
	}
	for i, p := range list {
		for _, other := range list[:i] {
			if other.HostPort == p.HostPort && other.Protocol == p.Protocol && (other.IP == p.IP || other.IP == "" || p.IP == "") {
				return File{}, fmt.Errorf("port %d of the machine is published twice: %s and %s", p.HostPort, other, p)
			}
		}
		if err := publish(pods, p); err != nil {
			return File{}, fmt.Errorf("publish %s: %w", p, err)
		}
	}
	return f, nil
}

type publishedPod struct {
	name string
	spec *corev1.PodSpec
}

func publish(pods []publishedPod, p Publication) error {
	var found []string
	var port *corev1.ContainerPort
	for _, pod := range pods {
		for i := range pod.spec.Containers {
			c := &pod.spec.Containers[i]
			for j := range c.Ports {
				if c.Ports[j].ContainerPort == p.ContainerPort && c.Ports[j].Protocol == p.Protocol && (port == nil || port.HostPort == 0 || c.Ports[j].HostPort != 0) {
					port = &c.Ports[j]
					if !slices.Contains(found, pod.name) {
						found = append(found, pod.name)
					}
				}
			}
		}
	}
	var names []string
	for _, pod := range pods {
		names = append(names, pod.name)
	}
	switch {
	case len(found) > 1:
		return fmt.Errorf("%s have this port, and only one can be meant: set hostPort in the manifest", strings.Join(found, " and "))
	case port == nil && len(pods) == 0:
		return fmt.Errorf("the manifest has no pods")
	case port == nil && len(pods) > 1:
		return fmt.Errorf("no container declares this port, and it could be one of %s: declare containerPort: %d in the manifest", strings.Join(names, ", "), p.ContainerPort)
	case port == nil:
		c := &pods[0].spec.Containers[0]
		c.Ports = append(c.Ports, corev1.ContainerPort{ContainerPort: p.ContainerPort, Protocol: p.Protocol})
		port, found = &c.Ports[len(c.Ports)-1], names
	}
	for _, pod := range pods {
		if pod.name == found[0] && pod.spec.HostNetwork && p.HostPort != p.ContainerPort {
			return fmt.Errorf("%s is on the machine's network, where port %d stays what it is", pod.name, p.ContainerPort)
		}
	}
	port.HostPort, port.HostIP = p.HostPort, p.IP
	return nil
}

// specOf returns the pod of an object with a pod template, to be changed.
func specOf(typed any) *corev1.PodSpec {
	if p, ok := typed.(*corev1.Pod); ok {
		return &p.Spec // template copies it
	}
	t, _ := template(typed)
	return &t.Spec
}
