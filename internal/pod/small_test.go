package pod

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestInstanceName(t *testing.T) {
	for _, tt := range []struct{ kind, name, want string }{
		{"Pod", "web", `^web$`},
		{"StatefulSet", "db", `^db-0$`},
		{"Deployment", "web", `^web-[bcdfghjklmnpqrstvwxz2456789]{5}$`},
		{"Job", strings.Repeat("x", 300), `^x{247}-[a-z0-9]{5}$`},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			if got := InstanceName(tt.kind, tt.name); !regexp.MustCompile(tt.want).MatchString(got) {
				t.Errorf("got %q, want %s", got, tt.want)
			}
		})
	}
}

func TestBackOff(t *testing.T) {
	var got []time.Duration
	for n := range 8 {
		got = append(got, backOff(n)/time.Second)
	}
	if diff := cmp.Diff(got, []time.Duration{0, 10, 20, 40, 80, 160, 300, 300}); diff != "" {
		t.Error(diff)
	}
	if got := backOff(1 << 30); got != backOffMax {
		t.Errorf("got %s after very many", got)
	}
}

func TestHints(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       []Hint
	}{
		{"nginx", `nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed (30: Read-only file system)`, []Hint{{"/var/cache/nginx/client_temp", "Read-only file system"}}},
		{"apache", `(30)Read-only file system: AH00091: apache2: could not open error log file /var/log/apache2/error.log.`, []Hint{{"/var/log/apache2/error.log", "Read-only file system"}}},
		{"go", `open /run/app.pid: read-only file system`, []Hint{{"/run/app.pid", "Read-only file system"}}},
		{"shell", `/bin/sh: 1: cannot create /etc/x: Read-only file system`, []Hint{{"/etc/x", "Read-only file system"}}},
		{"java", `java.io.FileNotFoundException: /opt/app/logs/out.log (Read-only file system)`, []Hint{{"/opt/app/logs/out.log", "Read-only file system"}}},
		{"no such", `python: can't open file '/srv/main.py': [Errno 2] No such file or directory`, []Hint{{"/srv/main.py", "No such file or directory"}}},
		{"runc", `exec: "/bin/none": stat /bin/none: no such file or directory: unknown`, []Hint{{"/bin/none", "No such file or directory"}}},
		{"no path", `Read-only file system`, nil},
		{"nothing", `listening on /run/app.sock`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(hints([]string{tt.line}), tt.want); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRestarts(t *testing.T) {
	rules := []corev1.ContainerRestartRule{{
		Action:    corev1.ContainerRestartRuleActionRestart,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}},
	}}
	for _, tt := range []struct {
		name string
		pod  corev1.RestartPolicy
		c    corev1.Container
		code int32
		want bool
	}{
		{"always", "Always", corev1.Container{}, 0, true},
		{"on failure, failed", "OnFailure", corev1.Container{}, 1, true},
		{"on failure, done", "OnFailure", corev1.Container{}, 0, false},
		{"never", "Never", corev1.Container{}, 1, false},
		{"a container's own", "Never", corev1.Container{RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}, 0, true},
		{"a rule", "Never", corev1.Container{RestartPolicyRules: rules}, 42, true},
		{"not by the rule", "Never", corev1.Container{RestartPolicyRules: rules}, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &PodSpec{Spec: corev1.PodSpec{RestartPolicy: tt.pod}}
			if got := restarts(s, &tt.c, tt.code); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

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
	if diff := cmp.Diff(string(hostsFile(s, []string{"10.0.0.2"}, nil)), want); diff != "" {
		t.Error(diff)
	}
	s.Spec.HostNetwork, s.Spec.HostAliases = true, nil
	if got, want := string(hostsFile(s, nil, []byte("127.0.0.1 box\n"))), "# Kubernetes-managed hosts file (host network).\n127.0.0.1 box\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDNSConfig(t *testing.T) {
	machine := resolver{servers: []string{"1.1.1.1", "2.2.2.2"}, searches: []string{"lan"}, options: []string{"ndots:2", "rotate"}}
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
		{"the machine's", corev1.DNSClusterFirst, nil, &cri.DNSConfig{Servers: machine.servers, Searches: machine.searches, Options: machine.options}},
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

func TestSharedPort(t *testing.T) {
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
			if got := sharedPort(tt.a, tt.b); got != tt.want {
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

func TestSignals(t *testing.T) {
	for _, tt := range []struct {
		base   int
		offset string
		want   int
	}{{34, "", 34}, {34, "+3", 37}, {34, "PLUS3", 37}, {64, "-2", 62}, {64, "MINUS2", 62}} {
		if got := realtime(tt.base, tt.offset); int(got) != tt.want {
			t.Errorf("%d%s: got %d, want %d", tt.base, tt.offset, got, tt.want)
		}
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
			if err := tt.spec.validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A log is what a program says, whatever that is.
func FuzzTail(f *testing.F) {
	f.Add([]byte("2026-11-23T00:00:00.000000000Z stderr F open \"/run/x\": Read-only file system\n"))
	f.Add([]byte("\xff /a: no such file or directory"))
	f.Fuzz(func(t *testing.T, log []byte) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, log, 0o600); err != nil {
			t.Fatal(err)
		}
		lines := tail(path, 5)
		if len(lines) > 5 {
			t.Errorf("got %d lines", len(lines))
		}
		for _, h := range hints(lines) {
			if !strings.HasPrefix(h.Path, "/") {
				t.Errorf("hint at %q", h.Path)
			}
		}
	})
}
