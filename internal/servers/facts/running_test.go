package facts

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/test/disk"
)

// list is the output of systemctl for some units, of systemd 252 and, with bullets, of
// 219.
const list = `nginx.service                        loaded    active     running      A high performance web server
auditd.service                       not-found inactive   dead         auditd.service
apt-daily.service                    loaded    inactive   dead         Daily apt download activities
fstrim.service                       loaded    activating start        Discard unused blocks
● web.service                        loaded    failed     failed       Web
loop.service                         loaded    activating auto-restart Dies again and again
keys.service                         loaded    active     exited       Makes keys
proxy.service                        loaded    reloading  reload       Proxy
wrong.service                        bad-setting inactive dead         Wrong
rescue.service                       masked    inactive   dead         Rescue
getty@tty1.service                   loaded    active     running      Getty on tty1
user@1000.service                    loaded    active     running      User Manager for UID 1000
user-runtime-dir@1000.service        loaded    active     exited       User Runtime Directory
run-r0f1e.service                    loaded    active     running      /bin/sleep 9
sshd@3-10.0.0.1:22-10.0.0.9:5044.service loaded active running         OpenSSH per-connection server
systemd-fsck@dev-disk-by\x2duuid-66.service loaded active exited       File System Check
dbus.socket                          loaded    active     running      D-Bus System Message Bus Socket
cups.socket                          loaded    active     listening    CUPS
apt-daily.timer                      loaded    active     waiting      Daily apt download activities
boot.timer                           loaded    active     elapsed      Once
fstrim.timer                         loaded    inactive   dead         Discard unused blocks once a week
`

func TestRunning(t *testing.T) {
	got := map[string]string{}
	for _, f := range runningFacts(list + "\n \nshort\n● \na.service loaded active\n") {
		if f.Section != Running {
			t.Errorf("got %+v", f)
		}
		got[f.Key] = f.Value
	}
	want := map[string]string{
		"nginx.service": "active (running)", "web.service": "failed", "loop.service": "fails and is restarted",
		"keys.service": "active (exited)", "proxy.service": "active (running)", "wrong.service": "cannot be loaded (bad-setting)",
		"getty@tty1.service": "active (running)", "dbus.socket": "active", "cups.socket": "active", "apt-daily.timer": "active",
		"boot.timer": "active",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
}

// A running service on demand is left out of facts. A failed one is kept, and so is an
// enabled service that does not run.
func TestOnDemand(t *testing.T) {
	active := func(unit string) Fact { return Fact{Running, unit, "active"} }
	runs := func(unit string) Fact { return Fact{Running, unit, "active (running)"} }
	kept := []Fact{
		active("cups.socket"), active("docker.socket"), active("backup.timer"), active("broken.socket"),
		{Service, "docker.service", "enabled"}, runs("docker.service"), runs("nginx.service"), {Running, "broken.service", "failed"},
	}
	left := append([]Fact{runs("cups.service"), runs("backup.service"), runs("packagekit.service")}, kept...)
	if diff := cmp.Diff(withoutOnDemand(left), kept); diff != "" {
		t.Error(diff)
	}
}

// If systemd runs but does not answer, the running units are unknown. If it does not
// run, it is not asked.
func TestRunningUnknown(t *testing.T) {
	says := func(text string, err error) runFunc {
		return func(_ context.Context, _ []string, read func(io.Reader) error) error {
			if err != nil {
				return err
			}
			return read(strings.NewReader(text))
		}
	}
	booted := disk.Files{bootedDir + "/": ""}.Root(t)
	for name, run := range map[string]runFunc{
		"fails":   says("", errors.New("systemctl: exit status 1: Failed to connect to bus")),
		"nothing": says("", nil),
	} {
		facts, unknowns := readRunning(t.Context(), machine{run: run, booted: isBooted(booted)})
		if len(facts) > 0 || len(unknowns) != 1 || unknowns[0].Section != Running {
			t.Errorf("%s: got %v, %v", name, facts, unknowns)
		}
	}
	if facts, unknowns := readRunning(t.Context(), machine{run: says(list, nil), booted: isBooted(booted)}); len(facts) == 0 || len(unknowns) > 0 {
		t.Errorf("got %v, %v", facts, unknowns)
	}
	if facts, unknowns := readRunning(t.Context(), machine{run: says(list, nil), booted: isBooted(disk.Files{}.Root(t))}); len(facts)+len(unknowns) > 0 {
		t.Errorf("without systemd: got %v, %v", facts, unknowns)
	}
}

func TestExecute(t *testing.T) {
	nothing := func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
	for _, c := range []struct {
		argv []string
		read func(io.Reader) error
		want string
	}{
		{[]string{"echo", "a"}, nothing, ""},
		{[]string{"adamant-has-no-such-program"}, nothing, "is not installed"},
		{[]string{"sh", "-c", "echo no bus >&2; exit 1"}, nothing, "sh: exit status 1: no bus"},
		{[]string{"yes"}, func(r io.Reader) error { _, err := textOf(r); return err }, "yes: the output is too large"},
	} {
		err := runLocal(t.Context(), c.argv, c.read)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: got %v, want %q", c.argv, err, c.want)
		}
	}
}

func FuzzRunning(f *testing.F) {
	f.Add(list)
	f.Fuzz(func(t *testing.T, text string) {
		for _, fact := range withoutOnDemand(runningFacts(text)) {
			if fact.Key == "" || fact.Value == "" {
				t.Errorf("got %+v", fact)
			}
		}
	})
}
