package pod

import (
	"bufio"
	"net/netip"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A resolver is what /etc/resolv.conf says.
type resolver struct{ servers, searches, options []string }

// maxNameservers is how many a C library reads.
const maxNameservers = 3

// dnsConfig is the resolver of a pod. There is no cluster's DNS on one
// machine, so ClusterFirst means the machine's own, as a kubelet without a
// cluster DNS has it.
func dnsConfig(s *PodSpec, machine resolver) *cri.DNSConfig {
	var r resolver
	if s.Spec.DNSPolicy != corev1.DNSNone {
		r = machine
	}
	if c := s.Spec.DNSConfig; c != nil {
		r.servers = union(r.servers, c.Nameservers)
		r.searches = union(r.searches, c.Searches)
		r.options = mergeOptions(r.options, c.Options)
	}
	r.servers = r.servers[:min(len(r.servers), maxNameservers)]
	return &cri.DNSConfig{Servers: r.servers, Searches: r.searches, Options: r.options}
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

// machineResolver reads the machine's resolver. A local stub (systemd-resolved)
// cannot be reached from a pod's network, so what stands behind it is taken.
func machineResolver() resolver {
	r := readResolver("/etc/resolv.conf")
	if len(r.servers) > 0 && !slices.ContainsFunc(r.servers, isLoopback) {
		return r
	}
	if behind := readResolver("/run/systemd/resolve/resolv.conf"); len(behind.servers) > 0 {
		return behind
	}
	return r
}

func isLoopback(server string) bool {
	a, err := netip.ParseAddr(server)
	return err == nil && a.IsLoopback()
}

func readResolver(path string) resolver {
	f, err := os.Open(path)
	if err != nil {
		return resolver{}
	}
	defer f.Close()
	var r resolver
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			r.servers = append(r.servers, fields[1])
		case "search", "domain":
			r.searches = fields[1:]
		case "options":
			r.options = append(r.options, fields[1:]...)
		}
	}
	return r
}
