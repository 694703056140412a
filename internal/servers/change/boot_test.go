package change

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The blocks have the form of systemctl show, as systemd 252 and 255 print it.
func TestUnitsToReturn(t *testing.T) {
	text := `Id=ssh.service
ActiveState=active
UnitFileState=enabled
TriggeredBy=ssh.socket
BusName=

Id=polkit.service
ActiveState=active
UnitFileState=static
TriggeredBy=
BusName=org.freedesktop.PolicyKit1

Id=firewalld.service
ActiveState=active
UnitFileState=enabled
BusName=org.fedoraproject.FirewallD1

Id=by-hand.service
ActiveState=active
UnitFileState=disabled

Id=ssh@3-10.0.0.1:22-10.0.0.9:50122.service
ActiveState=active
UnitFileState=static
TriggeredBy=sshd.socket

Id=run-u42.service
ActiveState=active
UnitFileState=transient

Id=user@0.service
ActiveState=active
UnitFileState=static

Id=broken.service
ActiveState=failed
UnitFileState=enabled

Id=ssh.service
ActiveState=active
UnitFileState=enabled
`
	if diff := cmp.Diff(unitsToReturn(text), []string{"by-hand.service", "firewalld.service", "ssh.service"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func TestModulesReason(t *testing.T) {
	for name, test := range map[string]struct {
		dirs []string
		want string
	}{
		"none":        {nil, ""},
		"empty":       {[]string{"lib/modules"}, ""},
		"running":     {[]string{"lib/modules/6.6.8-0-lts", "lib/modules/6.6.7-0-lts"}, ""},
		"merged /usr": {[]string{"usr/lib/modules/6.6.7-0-lts"}, ""},
		"replaced":    {[]string{"lib/modules/6.6.8-0-lts"}, "the modules of the running kernel 6.6.7-0-lts are gone"},
	} {
		root := t.TempDir()
		for _, dir := range test.dirs {
			must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
		}
		if got, err := modulesReason(root, "6.6.7-0-lts"); got != test.want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, test.want)
		}
	}
}

func TestNeedsRestarting(t *testing.T) {
	exit1 := exec.Command("false").Run()
	for name, test := range map[string]struct {
		output    string
		err       error
		want      string
		isUnknown bool
	}{
		"no":   {"No core libraries or services have been updated since boot-up.\nReboot should not be necessary.\n", nil, "", false},
		"yes":  {"Core libraries or services have been updated since boot-up:\n  * kernel\n  * glibc\n\nReboot is required to fully utilize these updates.\n", exit1, "kernel, glibc was updated since the boot", false},
		"full": {"Error: [Errno 28] No space left on device\n", exit1, "", true},
	} {
		out := &tailBuffer{max: maxOutput}
		_, _ = out.Write([]byte(test.output))
		if got, err := needsRestarting(out, test.err); got != test.want || (err != nil) != test.isUnknown {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, test.want)
		}
	}
}

func TestNewestKernelReason(t *testing.T) {
	const text = "1700000000 6.5.6-300.fc39.x86_64\n1710000000 6.7.9-200.fc39.x86_64\npackage kernel is not installed\n"
	if got := newestKernelReason(text, "6.7.9-200.fc39.x86_64"); got != "" {
		t.Errorf("got %q", got)
	}
	if got := newestKernelReason(text, "6.5.6-300.fc39.x86_64"); !strings.Contains(got, "6.7.9-200.fc39.x86_64 is installed") {
		t.Errorf("got %q", got)
	}
	if got := newestKernelReason("package kernel-core is not installed\n", "6.1.0-18-amd64"); got != "" {
		t.Errorf("got %q", got)
	}
}
