package translate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestHostsFile(t *testing.T) {
	s := &PodSpec{Name: "web-0", Namespace: "shop", Spec: corev1.PodSpec{
		Subdomain:   "front",
		HostAliases: []corev1.HostAlias{{IP: "192.0.2.1", Hostnames: []string{"a", "b"}}},
	}}
	want := `# Kubernetes-managed hosts file.
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::0	ip6-localnet
fe00::0	ip6-mcastprefix
fe00::1	ip6-allnodes
fe00::2	ip6-allrouters
10.0.0.2	web-0.front.shop.svc.cluster.local	web-0

# Entries added by HostAliases.
192.0.2.1	a	b
`
	if diff := cmp.Diff(string(HostsFile(s, []string{"10.0.0.2"}, nil)), want); diff != "" {
		t.Error(diff)
	}
	s.Spec.HostNetwork, s.Spec.HostAliases = true, nil
	if got, want := string(HostsFile(s, nil, []byte("127.0.0.1 box\n"))), "# Kubernetes-managed hosts file (host network).\n127.0.0.1 box\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDNSConfig(t *testing.T) {
	machine := Resolver{Servers: []string{"1.1.1.1", "2.2.2.2"}, Searches: []string{"lan"}, Options: []string{"ndots:2", "rotate"}}
	own := &corev1.PodDNSConfig{
		Nameservers: []string{"3.3.3.3", "4.4.4.4"}, Searches: []string{"lan", "shop"},
		Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: new("5")}, {Name: "edns0"}},
	}
	for _, tt := range []struct {
		name   string
		policy corev1.DNSPolicy
		config *corev1.PodDNSConfig
		want   *cri.DNSConfig
	}{
		{"the machine's", corev1.DNSClusterFirst, nil, &cri.DNSConfig{Servers: machine.Servers, Searches: machine.Searches, Options: machine.Options}},
		{"merged", corev1.DNSDefault, own, &cri.DNSConfig{Servers: []string{"1.1.1.1", "2.2.2.2", "3.3.3.3"}, Searches: []string{"lan", "shop"}, Options: []string{"rotate", "ndots:5", "edns0"}}},
		{"own", corev1.DNSNone, own, &cri.DNSConfig{Servers: []string{"3.3.3.3", "4.4.4.4"}, Searches: []string{"lan", "shop"}, Options: []string{"ndots:5", "edns0"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := dnsConfig(&PodSpec{Spec: corev1.PodSpec{DNSPolicy: tt.policy, DNSConfig: tt.config}}, machine)
			if got.String() != tt.want.String() {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPortMappings(t *testing.T) {
	spec := &corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
		{ContainerPort: 80}, {ContainerPort: 81, HostPort: 8081, HostIP: "127.0.0.1"}, {ContainerPort: 53, HostPort: 53, Protocol: corev1.ProtocolUDP},
	}}}}
	got := portMappings(spec)
	if len(got) != 2 || got[0].HostPort != 8081 || got[0].HostIp != "127.0.0.1" || got[1].Protocol != cri.Protocol_UDP {
		t.Errorf("got %v", got)
	}
	spec.HostNetwork = true
	if got := portMappings(spec); got != nil {
		t.Errorf("on the machine's network: got %v, want none", got)
	}
}

func TestSharedHostPort(t *testing.T) {
	with := func(ip string, port int32, proto corev1.Protocol) *corev1.PodSpec {
		return &corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{ContainerPort: 80, HostPort: port, HostIP: ip, Protocol: proto}}}}}
	}
	for _, tt := range []struct {
		name string
		a, b *corev1.PodSpec
		want string
	}{
		{"same", with("", 80, ""), with("", 80, ""), "80/TCP"},
		{"one address of all", with("", 80, ""), with("127.0.0.1", 80, ""), "80/TCP"},
		{"other address", with("127.0.0.2", 80, ""), with("127.0.0.1", 80, ""), ""},
		{"other protocol", with("", 53, "UDP"), with("", 53, "TCP"), ""},
		{"other port", with("", 80, ""), with("", 81, ""), ""},
		{"none", with("", 0, ""), with("", 0, ""), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := SharedHostPort(tt.a, tt.b); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNestedMounts(t *testing.T) {
	spec := &corev1.PodSpec{Containers: []corev1.Container{{VolumeMounts: []corev1.VolumeMount{
		{Name: "etc", MountPath: "/etc/app"}, {Name: "x", MountPath: "/etc/app/conf.d"}, {Name: "y", MountPath: "/etc/app/conf.d/deep"},
		{Name: "z", MountPath: "/etc/apple"}, {Name: "w", MountPath: "/etc/app/a/b/"},
	}}}}
	if diff := cmp.Diff(nestedMounts(spec, "etc"), []string{"a/b", "conf.d"}); diff != "" {
		t.Error(diff)
	}
}

func TestValidate(t *testing.T) {
	c := func(name, image string) corev1.Container { return corev1.Container{Name: name, Image: image} }
	for _, tt := range []struct {
		name string
		spec PodSpec
		want string
	}{
		{"no name", PodSpec{}, "empty or too long"},
		{"path as a name", PodSpec{Name: "../x", Spec: corev1.PodSpec{Containers: []corev1.Container{c("a", "i")}}}, "not a DNS subdomain"},
		{"no containers", PodSpec{Name: "p"}, "no containers"},
		{"no image", PodSpec{Name: "p", Spec: corev1.PodSpec{Containers: []corev1.Container{c("a", "")}}}, "has no image"},
		{"bad container name", PodSpec{Name: "p", Spec: corev1.PodSpec{Containers: []corev1.Container{c("../a", "i")}}}, "not a DNS label"},
		{"two of a name", PodSpec{Name: "p", Spec: corev1.PodSpec{Containers: []corev1.Container{c("a", "i"), c("a", "i")}}}, "two containers are named a"},
		{"bad volume name", PodSpec{Name: "p", Spec: corev1.PodSpec{Containers: []corev1.Container{c("a", "i")}, Volumes: []corev1.Volume{{Name: ".."}}}}, "volume name"},
		{"two volumes of a name", PodSpec{Name: "p", Spec: corev1.PodSpec{Containers: []corev1.Container{c("a", "i")}, Volumes: []corev1.Volume{{Name: "v"}, {Name: "v"}}}}, "two volumes are named v"},
		{"user namespace", PodSpec{Name: "p", Spec: corev1.PodSpec{HostUsers: new(false), Containers: []corev1.Container{c("a", "i")}}}, "hostUsers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.spec.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
