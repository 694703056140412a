package translate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxNameservers is how many a C library reads.
const maxNameservers = 3

// dnsConfig is the Resolver of a pod. There is no cluster's DNS on one
// machine, so ClusterFirst means the machine's own, as a kubelet without a
// cluster DNS has it.
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

// mergeOptions lets an option of the pod replace the machine's of its name.
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
