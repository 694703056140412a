package pod

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/pod/translate"
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

// TestHostPortsThatDoNotWork: the runtime would ignore them.
func TestHostPortsThatDoNotWork(t *testing.T) {
	none := containerd.Network{Reason: "iptables is missing (apt install iptables)"}
	spec := PodSpec{Name: "web", Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}, {Name: "b", Ports: []corev1.ContainerPort{{ContainerPort: 80, HostPort: 8080, Protocol: "TCP"}}}}}}
	err := checkHostPorts(none, &spec)
	if want := "pod web: host port 8080/TCP: host ports do not work here: iptables is missing (apt install iptables)"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := checkHostPorts(containerd.Network{HostPorts: true}, &spec); err != nil {
		t.Error(err)
	}
	spec.Spec.HostNetwork = true
	if err := checkHostPorts(none, &spec); err != nil {
		t.Errorf("in the network of the node: %v", err)
	}
	spec = PodSpec{Name: "web", Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Ports: []corev1.ContainerPort{{ContainerPort: 80}}}}}}
	if err := checkHostPorts(none, &spec); err != nil {
		t.Errorf("without host ports: %v", err)
	}
}

func TestBackOff(t *testing.T) {
	var got []time.Duration
	for n := range 8 {
		got = append(got, backOff(10*time.Second, n)/time.Second)
	}
	if diff := cmp.Diff(got, []time.Duration{0, 10, 20, 40, 80, 160, 300, 300}); diff != "" {
		t.Error(diff)
	}
	if got := backOff(10*time.Second, 1<<30); got != backOffMax {
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
		{"haproxy", `[ALERT] Binding [/etc/haproxy/haproxy.cfg:5] for frontend GLOBAL: error when trying to unlink previous UNIX socket (Read-only file system) [/run/haproxy/admin.sock]`, []Hint{{"/run/haproxy/admin.sock", "Read-only file system"}}},
		{"a line only", `/etc/app.conf:5: Read-only file system`, []Hint{{"/etc/app.conf", "Read-only file system"}}},
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

func TestHintsNameWhatHelps(t *testing.T) {
	ctr := &corev1.Container{VolumeMounts: []corev1.VolumeMount{{Name: "conf", MountPath: "/conf/"}}}
	for path, want := range map[string]string{
		"/var/lib/app/x":      "it needs a volume there",
		"/etc/hosts":          "hostAliases in the pod add to it",
		"/etc/resolv.conf":    "dnsConfig in the pod sets it",
		"/etc/hostname":       "hostname in the pod sets it",
		"/proc/sys/vm/swap":   "no volume can be mounted there",
		"/devices":            "no volume can be mounted at /; one at /devices helps if the program accepts that it exists",
		"/conf/x":             "",
		"/config":             "no volume can be mounted at /; one at /config helps if the program accepts that it exists",
		"/.docker-instance/":  "no volume can be mounted at /; one at /.docker-instance helps if the program accepts that it exists",
		"/run/secrets/../pid": "it needs a volume there",
	} {
		h := onVolumes([]Hint{{Path: path, Error: readOnly}}, ctr)[0]
		if want = path + ": " + readOnly + " (" + want + ")"; path == "/conf/x" {
			want = "/conf/x: Read-only file system on volume conf"
		}
		if h.String() != want {
			t.Errorf("got %q, want %q", h, want)
		}
	}
}

func TestCrashRecord(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const first = 10 * time.Second
	var rec crashRecord
	for i, tt := range []struct {
		ran  time.Duration
		want time.Duration // the back-off
	}{{time.Second, 0}, {time.Second, first}, {9 * time.Minute, 2 * first}, {11 * time.Minute, 0}, {0, first}} {
		rec = rec.next(ending{attempt: uint32(i), at: at, ran: tt.ran, err: errors.New("exit")}, first)
		if got := rec.Until.Sub(at); got != tt.want {
			t.Errorf("crash %d: back-off %s, want %s", i, got, tt.want)
		}
	}
	if rec.Count != 2 || !rec.has(4, at) || !rec.has(3, at) || rec.has(4, at.Add(1)) || rec.has(5, at) {
		t.Errorf("got %+v", rec)
	}
	l := newLayout(t.TempDir(), "u")
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.writeCrash("main", rec); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l.readCrash("main"), rec); diff != "" {
		t.Errorf("read again (-got +want):\n%s", diff)
	}
	if err := os.WriteFile(l.crashes("main"), []byte("{"), 0o600); err != nil || l.readCrash("main") != (crashRecord{}) {
		t.Errorf("a damaged record: got %+v, %v", l.readCrash("main"), err)
	}
}

func TestRestartBackOffAnnotation(t *testing.T) {
	for value, ok := range map[string]bool{"1s": true, "5m": true, "10ms": false, "1h": false, "soon": false, "-1s": false} {
		s := PodSpec{
			Name: "p", Annotations: map[string]string{translate.AnnotationRestartBackOff: value},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "x"}}},
		}
		if err := s.Validate(); (err == nil) != ok {
			t.Errorf("%s: got %v", value, err)
		}
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
		{"an init container, done", "Always", corev1.Container{Name: "setup"}, 0, false},
		{"an init container, failed", "Always", corev1.Container{Name: "setup"}, 1, true},
		{"an init container, failed for good", "Never", corev1.Container{Name: "setup"}, 1, false},
		{"a container's own", "Never", corev1.Container{RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}, 0, true},
		{"a rule", "Never", corev1.Container{RestartPolicyRules: rules}, 42, true},
		{"not by the rule", "Never", corev1.Container{RestartPolicyRules: rules}, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &PodSpec{Spec: corev1.PodSpec{RestartPolicy: tt.pod, InitContainers: []corev1.Container{{Name: "setup"}}}}
			if got := restarts(s, &tt.c, tt.code); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
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

// A program may write any bytes to its log.
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
