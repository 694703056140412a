package compare

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/test/disk"
)

// A setting and the file that it is read from are one cause. So are the facts of a
// unit.
func TestSettingIsOneCause(t *testing.T) {
	with := func(id, root string) disk.Files {
		return disk.Debian(id).With(disk.Files{
			"/etc/ssh/sshd_config":                 "PermitRootLogin " + root + "\n",
			"/usr/lib/systemd/system/backup.timer": "[Timer]\nOnCalendar=daily\n",
		})
	}
	odd := with("c", "yes\nX11Forwarding yes").With(disk.Files{
		"/etc/systemd/system/timers.target.wants/": "", "/etc/systemd/system/backup.timer.d/now.conf": "[Timer]\nOnCalendar=hourly\n",
		"/etc/cron.d/miner": "* * * * * root /tmp/miner\n", "/etc/ssl/openssl.cnf": openssl("TLSv1"),
	})
	usual := disk.Files{"/etc/ssl/openssl.cnf": openssl("TLSv1.2"), "/etc/systemd/system/timers.target.wants/": ""}
	c := compare(t, with("a", "no").With(usual), with("b", "no").With(usual), odd)
	var got []string
	for _, cause := range c.Causes {
		got = append(got, fmt.Sprintf("%s: %s: %v", cause.Kind, cause.Title, cause.Files))
	}
	want := []string{
		"setting: cron /etc/cron.d/miner: * * * * * root /tmp/miner: none on most; is there on web-3: [/etc/cron.d /etc/cron.d/miner]",
		"setting: ssh PermitRootLogin: no on most; yes on web-3 / X11Forwarding: none on most; yes on web-3: [/etc/ssh/sshd_config]",
		"setting: tls /etc/ssl/openssl.cnf: MinProtocol: TLSv1.2 on most; TLSv1 on web-3: [/etc/ssl/openssl.cnf]",
		"drop-in: of backup.timer: 2 files, on web-3: [/etc/systemd/system/backup.timer.d /etc/systemd/system/backup.timer.d/now.conf]",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	if d := find(c, File, "/etc/ssh/sshd_config"); d == nil || !strings.Contains(d.Text, "+PermitRootLogin yes") {
		t.Errorf("the text of the file is not shown: %+v", d)
	}
}

// A diversion is one cause with both files, and with the record of dpkg. If a package
// diverts, its cause is the package.
func TestDiversionIsOneCause(t *testing.T) {
	status := disk.Debian("c")["/var/lib/dpkg/status"]
	for name, tc := range map[string]struct {
		change disk.Files
		want   []string
	}{
		"local": {
			disk.Files{"/var/lib/dpkg/diversions": "/usr/bin/web\n/usr/bin/web.distrib\n:\n", "/usr/bin/web": "#!/bin/sh\n", "/usr/bin/web.distrib": "program 1"},
			[]string{"setting: diversion /usr/bin/web to /usr/bin/web.distrib: none on most; local on web-3: [/usr/bin/web /usr/bin/web.distrib /var/lib/dpkg/diversions]"},
		},
		"by a package": {
			disk.Files{
				"/var/lib/dpkg/diversions": "/usr/bin/web\n/usr/bin/web.real\nwrap\n", "/usr/bin/web": "#!/bin/sh\n", "/usr/bin/web.real": "program 1",
				"/var/lib/dpkg/status":         status + "\nPackage: wrap\nStatus: install ok installed\nVersion: 3\n",
				"/var/lib/dpkg/info/wrap.list": "/usr/bin/web\n",
			},
			[]string{
				"package: package wrap: none on most; 3 on web-3 / diversion: none on most; by wrap on web-3: [/usr/bin/web /usr/bin/web.real /var/lib/dpkg/diversions]",
				"derived: 2 files made from others, on web-3: [/var/lib/dpkg/info/wrap.list /var/lib/dpkg/status]",
			},
		},
	} {
		c := compare(t, disk.Debian("a"), disk.Debian("b"), disk.Debian("c").With(tc.change))
		var got []string
		for _, cause := range c.Causes {
			got = append(got, fmt.Sprintf("%s: %s: %v", cause.Kind, cause.Title, cause.Files))
		}
		if diff := cmp.Diff(got, tc.want); diff != "" {
			t.Errorf("%s: got, want:\n%s", name, diff)
		}
	}
}

func openssl(least string) string {
	return "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = " + least + "\n"
}

func TestUnitIsOneCause(t *testing.T) {
	peers, _ := connect(t, disk.Debian("a"), disk.Debian("b"), disk.Debian("c"))
	for _, p := range peers {
		p.Live = true
	}
	peers[2].Facts = append(peers[2].Facts, fact(facts.Service, "miner.timer", "enabled"), fact(facts.Running, "miner.timer", "active"),
		fact(facts.Timer, "miner.timer", "OnCalendar=hourly"))
	for _, p := range peers[:2] {
		p.Facts = append(p.Facts, fact(facts.Running, "web.service", "active (running)"))
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
}

// Files that several causes could explain have the same one each time.
func TestExplainIsStable(t *testing.T) {
	m := majority{servers: []string{"a", "b", "c"}}
	var all []Difference
	for _, d := range []struct {
		section facts.Section
		key     string
	}{{facts.User, "eve"}, {facts.Group, "eve"}, {facts.Sudoers, "eve"}, {File, "/etc/group"}, {File, "/etc/passwd"}, {File, "/etc/shadow"}, {File, "/etc/subuid"}} {
		all = append(all, Difference{Section: d.section, Key: d.key, Values: map[string]string{"c": "x"}, Odd: []string{"c"}})
	}
	want := explain(m, all, nil)
	if len(want) != 2 || len(want[0].Files) != 4 {
		t.Errorf("got %+v", want)
	}
	for range 20 {
		if diff := cmp.Diff(explain(m, all, nil), want); diff != "" {
			t.Fatalf("explained otherwise (-got +want):\n%s", diff)
		}
	}
}
