package facts

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A setting and the file that it is read from are one cause; so is what is known
// of a unit.
func TestSettingIsOneCause(t *testing.T) {
	with := func(id, root string) disk {
		return debian(id).with(disk{
			"/etc/ssh/sshd_config":                 "PermitRootLogin " + root + "\n",
			"/usr/lib/systemd/system/backup.timer": "[Timer]\nOnCalendar=daily\n",
		})
	}
	odd := with("c", "yes\nX11Forwarding yes").with(disk{
		"/etc/systemd/system/timers.target.wants/": "", "/etc/systemd/system/backup.timer.d/now.conf": "[Timer]\nOnCalendar=hourly\n",
		"/etc/cron.d/miner": "* * * * * root /tmp/miner\n", "/etc/ssl/openssl.cnf": openssl("TLSv1"),
	})
	usual := disk{"/etc/ssl/openssl.cnf": openssl("TLSv1.2"), "/etc/systemd/system/timers.target.wants/": ""}
	c := compare(t, with("a", "no").with(usual), with("b", "no").with(usual), odd)
	var got []string
	for _, cause := range c.Causes {
		got = append(got, fmt.Sprintf("%s: %s: %v", cause.Kind, cause.Title, cause.Files))
	}
	want := []string{
		"setting: cron /etc/cron.d/miner: * * * * * root /tmp/miner: none on most; is there on web-3: [/etc/cron.d/miner]",
		"setting: ssh PermitRootLogin: no on most; yes on web-3 / X11Forwarding: none on most; yes on web-3: [/etc/ssh/sshd_config]",
		"setting: tls /etc/ssl/openssl.cnf: MinProtocol: TLSv1.2 on most; TLSv1 on web-3: [/etc/ssl/openssl.cnf]",
		"unowned: 3 files that no package owns, on web-3: [/etc/cron.d /etc/systemd/system/backup.timer.d /etc/systemd/system/backup.timer.d/now.conf]",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	if d := find(c, File, "/etc/ssh/sshd_config"); d == nil || !strings.Contains(d.Text, "+PermitRootLogin yes") {
		t.Errorf("the text of the file is not shown: %+v", d)
	}
}

func openssl(least string) string {
	return "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = " + least + "\n"
}

func TestUnitIsOneCause(t *testing.T) {
	peers, _ := connect(t, debian("a"), debian("b"), debian("c"))
	for _, p := range peers {
		p.Live = true
	}
	peers[2].Facts = append(peers[2].Facts, Fact{Service, "miner.timer", "enabled"}, Fact{Running, "miner.timer", "active"},
		Fact{Timer, "miner.timer", "OnCalendar=hourly"})
	for _, p := range peers[:2] {
		p.Facts = append(p.Facts, Fact{Running, "web.service", "active (running)"})
	}
	c, err := Compare(t.Context(), peers, nil)
	must(t, err)
	var got []string
	for _, cause := range c.Causes {
		got = append(got, cause.Title)
	}
	want := []string{
		"service miner.timer: none on most; enabled on web-3 / running: inactive on most; active on web-3 / " +
			"timer: none on most; OnCalendar=hourly on web-3",
		"running web.service: active (running) on most; inactive on web-3",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	for _, f := range []struct {
		fact, file string
		want       bool
	}{
		{"timer a.timer", "/etc/systemd/system/a.timer.d/x.conf", true},
		{"timer a.timer", "/etc/systemd/system/a.timer.d", true},
		{"service a.timer", "/etc/systemd/system/timers.target.wants/a.timer", true},
		{"service web.service", "/etc/rc2.d/S01web", true},
		{"service web.service", "/etc/web.service", false},
		{"running web.service", "/usr/lib/systemd/system/web.service", true},
		{"ssh Port", "/etc/ssh/ssh_config", false},
		{"tls /etc/ssl/certs/ca-certificates.crt: certificates", "/etc/ssl/certs/My_CA.pem", true},
		{"cron logrotate", "/etc/cron.daily/logrotate", true},
		{"sysctl vm.swappiness", "/etc/sysctl.conf", false},
	} {
		if got := IsReadFrom(f.fact, f.file); got != f.want {
			t.Errorf("%s from %s: got %v", f.fact, f.file, got)
		}
	}
}

// Files that several causes could explain have the same one each time.
func TestExplainIsStable(t *testing.T) {
	j := jury{servers: []string{"a", "b", "c"}}
	var all []Difference
	for _, d := range []struct {
		section Section
		key     string
	}{{User, "eve"}, {Group, "eve"}, {Sudoers, "eve"}, {File, "/etc/group"}, {File, "/etc/passwd"}, {File, "/etc/shadow"}, {File, "/etc/subuid"}} {
		all = append(all, Difference{Section: d.section, Key: d.key, Values: map[string]string{"c": "x"}, Odd: []string{"c"}})
	}
	want := explain(j, all)
	if len(want) != 3 || len(want[0].Files) != 4 {
		t.Errorf("got %+v", want)
	}
	for range 20 {
		if diff := cmp.Diff(explain(j, all), want); diff != "" {
			t.Fatalf("explained otherwise (-got +want):\n%s", diff)
		}
	}
}
