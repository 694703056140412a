package translate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	maxNameservers = 3  // MAXNS of glibc, see resolv.conf(5)
	maxSearches    = 32 // of a kubelet
)

// clusterDomain is the domain of the names of Services.
const clusterDomain = "cluster.local"

// dnsConfig returns the DNS configuration of a pod, as a kubelet makes it
// (k8s.io/kubernetes/pkg/kubelet/network/dns). Without a cluster DNS, ClusterFirst
// means the machine's resolver.
func dnsConfig(s *PodSpec, machine Resolver) *cri.DNSConfig {
	var r Resolver
	switch {
	case s.Spec.DNSPolicy == corev1.DNSNone:
	case usesClusterDNS(s):
		r = Resolver{
			Servers:  []string{s.ClusterDNS},
			Searches: union([]string{s.Namespace + ".svc." + clusterDomain, "svc." + clusterDomain, clusterDomain}, machine.Searches),
			Options:  []string{"ndots:5"},
		}
	default:
		r = machine
	}
	if c := s.Spec.DNSConfig; c != nil {
		r.Servers = union(r.Servers, c.Nameservers)
		r.Searches = union(r.Searches, c.Searches)
		r.Options = mergeOptions(r.Options, c.Options)
	}
	r.Servers = r.Servers[:min(len(r.Servers), maxNameservers)]
	r.Searches = r.Searches[:min(len(r.Searches), maxSearches)]
	return &cri.DNSConfig{Servers: r.Servers, Searches: r.Searches, Options: r.Options}
}

// usesClusterDNS reports whether a pod asks the cluster DNS. A pod on the machine's
// network must ask for it by its own policy.
func usesClusterDNS(s *PodSpec) bool {
	switch s.Spec.DNSPolicy {
	case corev1.DNSClusterFirst, "":
		return s.ClusterDNS != "" && !s.Spec.HostNetwork
	case corev1.DNSClusterFirstWithHostNet:
		return s.ClusterDNS != ""
	}
	return false
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// mergeOptions adds the options of the pod. They replace the machine's options
// with the same name.
func mergeOptions(old []string, own []corev1.PodDNSConfigOption) []string {
	out := slices.Clone(old)
	for _, o := range own {
		out = slices.DeleteFunc(out, func(s string) bool {
			name, _, _ := strings.Cut(s, ":")
			return name == o.Name
		})
		if o.Value != nil {
			out = append(out, o.Name+":"+*o.Value)
		} else {
			out = append(out, o.Name)
		}
	}
	return out
}
