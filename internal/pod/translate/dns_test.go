package translate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// TestClusterDNS checks the lines of /etc/resolv.conf against those that a kubelet
// writes.
func TestClusterDNS(t *testing.T) {
	machine := Resolver{[]string{"192.0.2.1", "192.0.2.2"}, []string{"corp.test"}, []string{"edns0"}}
	const inCluster = "10.9.0.10; a.svc.cluster.local svc.cluster.local cluster.local corp.test; ndots:5"
	const ofMachine = "192.0.2.1 192.0.2.2; corp.test; edns0"
	for _, tt := range []struct {
		name string
		dns  string
		spec corev1.PodSpec
		want string
	}{
		{"the default", "10.9.0.10", corev1.PodSpec{}, inCluster},
		{"no cluster DNS", "", corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst}, ofMachine},
		{"ClusterFirst", "10.9.0.10", corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst}, inCluster},
		{"the host network", "10.9.0.10", corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst, HostNetwork: true}, ofMachine},
		{"ClusterFirstWithHostNet", "10.9.0.10", corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirstWithHostNet, HostNetwork: true}, inCluster},
		{"Default", "10.9.0.10", corev1.PodSpec{DNSPolicy: corev1.DNSDefault}, ofMachine},
		{"None", "10.9.0.10", corev1.PodSpec{DNSPolicy: corev1.DNSNone, DNSConfig: &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.9"}}}, "192.0.2.9; ; "},
		{
			"more", "10.9.0.10", corev1.PodSpec{DNSConfig: &corev1.PodDNSConfig{
				Nameservers: []string{"192.0.2.7", "192.0.2.8", "192.0.2.9"}, Searches: []string{"more.test", "corp.test"},
				Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr.To("2")}, {Name: "single-request"}},
			}},
			"10.9.0.10 192.0.2.7 192.0.2.8; a.svc.cluster.local svc.cluster.local cluster.local corp.test more.test; ndots:2 single-request",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dnsConfig(&PodSpec{Namespace: "a", ClusterDNS: tt.dns, Spec: tt.spec}, machine)
			got := strings.Join([]string{strings.Join(c.Servers, " "), strings.Join(c.Searches, " "), strings.Join(c.Options, " ")}, "; ")
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestServiceLinks checks that the variables of Services are those of a kubelet, and
// that those of the manifest come first and can refer to them.
func TestServiceLinks(t *testing.T) {
	links := map[string]string{}
	ServiceVariables(links, "my-db", "10.9.0.16", []corev1.ServicePort{{Name: "sql", Port: 5432, Protocol: "TCP"}, {Name: "x-y", Port: 53, Protocol: "UDP"}})
	c := corev1.Container{Env: []corev1.EnvVar{{Name: "URL", Value: "sql://$(MY_DB_SERVICE_HOST):$(MY_DB_SERVICE_PORT)"}, {Name: "MY_DB_PORT", Value: "own"}}}
	s := PodSpec{ServiceLinks: links}
	env, err := buildEnv(&s, testFacts, &c)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(env.values, map[string]string{
		"URL": "sql://10.9.0.16:5432", "MY_DB_PORT": "own",
		"MY_DB_SERVICE_HOST": "10.9.0.16", "MY_DB_SERVICE_PORT": "5432", "MY_DB_SERVICE_PORT_SQL": "5432", "MY_DB_SERVICE_PORT_X_Y": "53",
		"MY_DB_PORT_5432_TCP": "tcp://10.9.0.16:5432", "MY_DB_PORT_5432_TCP_PROTO": "tcp", "MY_DB_PORT_5432_TCP_PORT": "5432", "MY_DB_PORT_5432_TCP_ADDR": "10.9.0.16",
		"MY_DB_PORT_53_UDP": "udp://10.9.0.16:53", "MY_DB_PORT_53_UDP_PROTO": "udp", "MY_DB_PORT_53_UDP_PORT": "53", "MY_DB_PORT_53_UDP_ADDR": "10.9.0.16",
	}); d != "" {
		t.Errorf("-got +want\n%s", d)
	}
	s.Spec.EnableServiceLinks = ptr.To(false)
	env, err = buildEnv(&s, testFacts, &c)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(env.values, map[string]string{"URL": "sql://$(MY_DB_SERVICE_HOST):$(MY_DB_SERVICE_PORT)", "MY_DB_PORT": "own"}); d != "" {
		t.Errorf("without links: -got +want\n%s", d)
	}
}
