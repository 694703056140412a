package observe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseInvocation(t *testing.T) {
	for _, c := range []struct {
		args string
		want invocation
	}{
		{"--root /r --log /l --log-format json create --bundle /b --pid-file /p ID",
			invocation{root: "/r", log: "/l", command: "create", bundle: "/b", pidFile: "/p", id: "ID"}},
		{"--root=/r -log=/l --systemd-cgroup create -b /b --no-pivot --console-socket /c ID",
			invocation{root: "/r", log: "/l", command: "create", bundle: "/b", id: "ID"}},
		{"create ID", invocation{root: "/run/runc", command: "create", bundle: ".", id: "ID"}},
		{"--debug exec --process /f --detach --pid-file /p ID",
			invocation{root: "/run/runc", command: "exec", bundle: ".", pidFile: "/p", process: "/f", id: "ID"}},
		{"exec -t -u 1:1 -e A=b --cap CAP_X ID sh -c --pid-file",
			invocation{root: "/run/runc", command: "exec", bundle: ".", id: "ID"}},
		{"create -- --odd", invocation{root: "/run/runc", command: "create", bundle: ".", id: "--odd"}},
		{"kill --all ID 9", invocation{root: "/run/runc", command: "kill"}},
		{"--version", invocation{root: "/run/runc"}},
		{"--root", invocation{root: "/run/runc"}},
		{"", invocation{root: "/run/runc"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := parseInvocation(strings.Fields(c.args))
			if diff := cmp.Diff(got, c.want, cmp.AllowUnexported(invocation{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{"nginx-1.x": "nginx-1.x", "../a/b": ".._a_b", "ä\x00": "__", strings.Repeat("n", 999): strings.Repeat("n", 128)} {
		if got := fileName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
