package translate

import (
	"cmp"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/ptr"
)

// The labels and annotations of sandboxes and containers: those of a kubelet and
// those of Adamant.
const (
	labelPodName       = "io.kubernetes.pod.name"
	labelPodNamespace  = "io.kubernetes.pod.namespace"
	LabelPodUID        = "io.kubernetes.pod.uid"
	labelContainerName = "io.kubernetes.container.name"

	annotationRestarts      = "io.kubernetes.container.restartCount"
	annotationMessagePath   = "io.kubernetes.container.terminationMessagePath"
	annotationMessagePolicy = "io.kubernetes.container.terminationMessagePolicy"
	annotationGracePeriod   = "io.kubernetes.pod.terminationGracePeriod"

	// LabelRoot identifies the sandboxes of one Options.Root.
	LabelRoot = "adamant.sh/root"
	// annotationWorkload is "kind/name" of the sandbox's workload.
	annotationWorkload = "adamant.sh/workload"
	// annotationTrace is the directory for the traces of a container.
	annotationTrace = "adamant.sh/trace"
)

// SandboxConfig translates the parts of a pod that its containers share.
func SandboxConfig(s *PodSpec, f Facts) *cri.PodSandboxConfig {
	labels := podLabels(s, f.Layout)
	maps.Copy(labels, s.Labels)
	maps.Copy(labels, podLabels(s, f.Layout)) // labels of the manifest must not replace these
	annotations := maps.Clone(s.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	// containerd passes a sandbox's annotations with this prefix to runc with each
	// container, and a manifest must not be able to choose where root writes traces.
	delete(annotations, annotationTrace)
	annotations[annotationWorkload] = s.WorkloadName()
	cfg := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: s.Name, Namespace: s.Namespace, Uid: f.Layout.UID},
		LogDirectory: f.Layout.Logs(),
		DnsConfig:    dnsConfig(s, f.Node.Resolver),
		PortMappings: portMappings(&s.Spec),
		Labels:       labels,
		Annotations:  annotations,
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    f.CgroupParent,
			SecurityContext: sandboxSecurity(&s.Spec),
			Sysctls:         sysctls(s.Spec.SecurityContext),
		},
	}
	if !s.Spec.HostNetwork {
		cfg.Hostname = kernelHostname(s)
	}
	return cfg
}

func podLabels(s *PodSpec, l Layout) map[string]string {
	return map[string]string{
		labelPodName:      s.Name,
		labelPodNamespace: s.Namespace,
		LabelPodUID:       l.UID,
		LabelRoot:         l.RootID,
	}
}

// kernelHostname returns the host name of the pod's UTS namespace.
func kernelHostname(s *PodSpec) string {
	host, domain := hostAndDomain(s)
	if ptr.Deref(s.Spec.SetHostnameAsFQDN, false) && domain != "" {
		return host + "." + domain
	}
	return host
}

// hostAndDomain returns the host name of a pod and, if it has a subdomain, the
// domain that the pod has in a cluster by default. The host name is that of the
// spec, or the pod's name truncated to 63 bytes.
func hostAndDomain(s *PodSpec) (host, domain string) {
	if s.Spec.HostnameOverride != nil {
		return *s.Spec.HostnameOverride, ""
	}
	if s.Spec.Subdomain != "" {
		domain = fmt.Sprintf("%s.%s.svc.cluster.local", s.Spec.Subdomain, s.Namespace)
	}
	return cmp.Or(s.Spec.Hostname, TruncateName(s.Name, 63)), domain
}

func sandboxSecurity(spec *corev1.PodSpec) *cri.LinuxSandboxSecurityContext {
	out := &cri.LinuxSandboxSecurityContext{
		NamespaceOptions: namespaces(spec),
		Privileged:       anyPrivileged(spec),
		Seccomp:          &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault},
	}
	if sc := spec.SecurityContext; sc != nil {
		out.RunAsUser, out.RunAsGroup = int64Value(sc.RunAsUser), int64Value(sc.RunAsGroup)
		out.SelinuxOptions = selinux(sc.SELinuxOptions)
		out.SupplementalGroups, out.SupplementalGroupsPolicy = groups(sc)
	}
	return out
}

func anyPrivileged(spec *corev1.PodSpec) bool {
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			if sc := list[i].SecurityContext; sc != nil && ptr.Deref(sc.Privileged, false) {
				return true
			}
		}
	}
	return false
}

func sysctls(sc *corev1.PodSecurityContext) map[string]string {
	out := map[string]string{}
	if sc != nil {
		for _, s := range sc.Sysctls {
			out[s.Name] = s.Value
		}
	}
	return out
}

// portMappings returns the ports with a hostPort, which the machine forwards.
func portMappings(spec *corev1.PodSpec) []*cri.PortMapping {
	var out []*cri.PortMapping
	if spec.HostNetwork {
		return nil // the container listens on the machine's ports itself
	}
	for _, c := range LongRunning(spec) {
		for _, p := range c.Ports {
			if p.HostPort == 0 {
				continue
			}
			out = append(out, &cri.PortMapping{
				Protocol:      protocol(p.Protocol),
				ContainerPort: p.ContainerPort,
				HostPort:      p.HostPort,
				HostIp:        p.HostIP,
			})
		}
	}
	return out
}

// SharedHostPort returns a host port that two pods both have, or "".
func SharedHostPort(a, b *corev1.PodSpec) string {
	any := func(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }
	for _, p := range portMappings(a) {
		for _, q := range portMappings(b) {
			if p.HostPort == q.HostPort && p.Protocol == q.Protocol && (p.HostIp == q.HostIp || any(p.HostIp) || any(q.HostIp)) {
				return fmt.Sprintf("%d/%s", p.HostPort, p.Protocol)
			}
		}
	}
	return ""
}

// FirstHostPort returns the first host port of a pod, or "".
func FirstHostPort(s *corev1.PodSpec) string {
	for _, p := range portMappings(s) {
		return fmt.Sprintf("%d/%s", p.HostPort, p.Protocol)
	}
	return ""
}

// LongRunning returns the sidecars and the main containers.
func LongRunning(spec *corev1.PodSpec) []*corev1.Container {
	var out []*corev1.Container
	for i := range spec.InitContainers {
		if IsSidecar(&spec.InitContainers[i]) {
			out = append(out, &spec.InitContainers[i])
		}
	}
	for i := range spec.Containers {
		out = append(out, &spec.Containers[i])
	}
	return out
}

func protocol(p corev1.Protocol) cri.Protocol {
	switch p {
	case corev1.ProtocolUDP:
		return cri.Protocol_UDP
	case corev1.ProtocolSCTP:
		return cri.Protocol_SCTP
	}
	return cri.Protocol_TCP
}
