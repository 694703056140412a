package translate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxNameservers is MAXNS of glibc, see resolv.conf(5).
const maxNameservers = 3

// dnsConfig returns the DNS configuration of a pod. One machine has no cluster
// DNS, so that ClusterFirst means the machine's resolver, as for a kubelet without
// cluster DNS.
func dnsConfig(s *PodSpec, machine Resolver) *cri.DNSConfig {
	var r Resolver
	if s.Spec.DNSPolicy != corev1.DNSNone {
		r = machine
	}
	if c := s.Spec.DNSConfig; c != nil {
		r.Servers = union(r.Servers, c.Nameservers)
		r.Searches = union(r.Searches, c.Searches)
		r.Options = mergeOptions(r.Options, c.Options)
	}
	r.Servers = r.Servers[:min(len(r.Servers), maxNameservers)]
	return &cri.DNSConfig{Servers: r.Servers, Searches: r.Searches, Options: r.Options}
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
