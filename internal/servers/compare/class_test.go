package compare

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/test/disk"
)

// titles returns the kinds and titles of causes.
func titles(causes []Cause) []string {
	var list []string
	for _, c := range causes {
		list = append(list, string(c.Kind)+": "+c.Title)
	}
	return list
}

// Each fault is one cause, and those that decide who may do what come first.
func TestEachFaultIsOneCause(t *testing.T) {
	base := func(id string) disk.Files {
		return disk.Debian(id).With(disk.Files{
			"/etc/pam.d/sshd": "auth required pam_unix.so\n", "/root/.bashrc": "", "/home/ops/x": "", "/usr/local/lib/x": "", "/etc/apt/sources.list": "deb x\n",
			"/usr/local/lib/node_modules/left-pad/package.json": `{"name":"left-pad","version":"1.3.0"}`, "/usr/local/lib/node_modules/left-pad/a.js": "a",
			"/var/lib/gems/3.1.0/gems/rake-13.0.6/rake.rb": "", "/var/lib/gems/3.1.0/specifications/rake-13.0.6.gemspec": "",
		})
	}
	peers, _ := connect(t, base("a"), base("b"), base("c").With(disk.Files{
		"/root/.ssh/authorized_keys": "ssh-ed25519 AAAA eve@laptop\n", "/home/ops/.ssh/authorized_keys": "ssh-ed25519 AAAA eve@laptop\n",
		"/etc/ld.so.preload": "/usr/local/lib/evil.so\n", "/etc/pam.d/sshd": "auth sufficient pam_permit.so\n",
		"/etc/apt/sources.list.d/x.list": "deb [trusted=yes] x\n", "/etc/apt/trusted.gpg.d/x.asc": "k", "/etc/apt/preferences.d/nginx": "Package: nginx*\n",
		"/etc/systemd/system/web.service.d/local.conf":                               "[Service]\nLimitNOFILE=100\n",
		"/usr/local/lib/python3.11/dist-packages/requests-2.31.0.dist-info/METADATA": "Name: requests\n",
		"/usr/local/lib/python3.11/dist-packages/requests/m1.py":                     "x=1", "/usr/local/lib/python3.11/dist-packages/requests/deep/m2.py": "x=2",
		"/usr/local/lib/node_modules/left-pad/package.json": `{"name":"left-pad","version":"1.4.0"}`, "/usr/local/lib/node_modules/left-pad/a.js": "b",
		"/usr/local/lib/node_modules/@acme/ui/package.json": `{"version":"0.1.0"}`, "/usr/local/lib/node_modules/@acme/ui/node_modules/x/y.js": "",
		"/var/lib/gems/3.1.0/gems/rake-13.0.6/rake.rb": "-", "/var/lib/gems/3.1.0/specifications/rake-13.0.6.gemspec": "-",
		"/var/lib/gems/3.1.0/gems/rake-13.1.0/rake.rb": "", "/var/lib/gems/3.1.0/specifications/rake-13.1.0.gemspec": "",
		"/var/lib/docker/overlay2/abc/diff/a": "x", "/var/lib/docker/overlay2/abc/link": "y",
		"/etc/passwd": "root:x:0:0:root:/root:/bin/bash\neve:x:1003:1003::/home/eve:/bin/sh\n", "/etc/group": "root:x:0:\neve:x:1003:\ndocker:x:999:eve\nsudo:x:27:eve\n",
		"/home/eve/.profile": "", "/home/eve/.config/a": "",
		"/srv/app/app.js": "v2",
	}))
	for _, p := range peers {
		p.Live = true
	}
	for i, p := range peers {
		on, unit, socket := "1", []facts.Fact{fact(facts.Running, "nginx.service", "active (running)")}, []facts.Fact{fact(facts.Listener, "tcp *:80", "nginx"), fact(facts.Listener, "tcp6 *:80", "nginx")}
		if i == 2 {
			on, unit, socket = "0", nil, nil
		}
		p.Facts = append(append(append(p.Facts, unit...), socket...), fact(facts.Sysctl, "net.ipv4.conf.all.accept_redirects", on), fact(facts.Sysctl, "net.ipv4.conf.all.forwarding", on),
			fact(facts.Sysctl, "net.ipv4.conf.eth0.100.forwarding", on), fact(facts.Sysctl, "net.ipv4.ip_forward", on))
	}
	c, err := Compare(t.Context(), peers, nil)
	must(t, err)
	want := []string{
		"authorized-keys: /home/ops/.ssh/authorized_keys, on web-3",
		"authorized-keys: /root/.ssh/authorized_keys, on web-3",
		"ld.so.preload: /etc/ld.so.preload, on web-3",
		"pam: /etc/pam.d/sshd, on web-3",
		"package-source: 6 files of package sources, on web-3",
		"account: user eve: none on most; uid 1003, gid 1003, home /home/eve, shell /bin/sh on web-3 / group eve: none on most; gid 1003 on web-3",
		"account: group docker: none on most; gid 999 eve on web-3 / group sudo: none on most; gid 27 eve on web-3",
		"setting: running nginx.service: active (running) on most; inactive on web-3 / listening tcp *:80: nginx on most; none on web-3 / listening tcp6 *:80: nginx on most; none on web-3",
		"setting: net.ipv4.ip_forward: 1 on most; 0 on web-3 / sysctl net.ipv4.conf.all.accept_redirects: 1 on most; 0 on web-3 / net.ipv4.conf.all.forwarding: 1 on most; 0 on web-3 / net.ipv4.conf.eth0.100.forwarding: 1 on most; 0 on web-3",
		"drop-in: unit web.service: [Service] LimitNOFILE: none on most; 100 on web-3",
		"library: npm @acme/ui: none on most; 0.1.0 on web-3",
		"library: npm left-pad: 1.3.0 on most; 1.4.0 on web-3",
		"library: pip requests: none on most; 2.31.0 on web-3",
		"library: gem rake: 13.0.6 on most; 13.1.0 on web-3",
		"unowned: 3 files that no package owns, on web-3",
		"container: 6 files in /var/lib/docker, on web-3",
	}
	if diff := cmp.Diff(titles(c.Causes), want); diff != "" {
		t.Error(diff)
	}
}

// A privilege that a file gains is a cause of its own, even if its package differs.
func TestSetuid(t *testing.T) {
	m := majority{servers: []string{"a", "b", "c"}}
	node := func(mode uint32, xattrs map[string]string) string {
		return facts.Node{Kind: "regular file", Mode: mode, Owner: "root", Group: "root", Xattrs: xattrs}.Identity()
	}
	capable := map[string]string{"security.capability": "\x01\x00\x00\x02"}
	differing := func(key, usual, odd, pkg string) Difference {
		d := Difference{Section: File, Key: key, Values: map[string]string{"c": odd}, Odd: []string{"c"}, Package: pkg}
		if usual != "" {
			d.Values["a"], d.Values["b"], d.Fields = usual, usual, []string{"mode"}
		}
		return d
	}
	got := titles(explain(m, []Difference{
		{Section: facts.Package, Key: "find", Values: map[string]string{"a": "1", "b": "1", "c": "2"}, Odd: []string{"c"}},
		differing("/usr/bin/find", node(0o755, nil), node(0o4755, nil), "find"),
		differing("/usr/bin/gpgv", node(0o755, nil), node(0o755, capable), "gpgv"),
		differing("/usr/bin/locate", "", node(0o2755, nil), "find"),
		differing("/usr/local/bin/helper", "", node(0o6755, nil), ""),
		differing("/usr/local/share/group", "", facts.Node{Kind: "directory", Mode: 0o2755}.Identity(), ""),
	}, nil))
	want := []string{
		"setuid: /usr/bin/find: setuid, on c", "setuid: /usr/bin/gpgv: file capabilities, on c", "setuid: /usr/local/bin/helper: setuid, setgid, on c",
		"package: package find: 1 on most; 2 on c", "unowned: 1 file that no package owns, on c",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
}

// Each side of a split is named with its servers, in titles, files and diffs.
func TestSidesOfASplit(t *testing.T) {
	c := compare(t, disk.Debian("a").With(disk.Files{"/etc/web.conf": "listen 81\n", "/srv/new": "x"}), disk.Debian("b"))
	got := titles(c.Causes)
	want := []string{
		"edit: 1 file of package web edited or removed, split: on web-1 against web-2",
		"unowned: 2 files that no package owns, split: only on web-1, not on web-2",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	if d := find(c, File, "/srv/new"); d == nil || fmt.Sprint(d.Sides) != "[{[web-1] false} {[web-2] true}]" {
		t.Errorf("got %+v", d)
	}
	d := find(c, File, "/etc/web.conf")
	if d == nil || !strings.HasPrefix(d.Text, "--- web-1:/etc/web.conf\n+++ web-2:/etc/web.conf\n") || !strings.Contains(d.Text, "-listen 81\n+listen 80") {
		t.Errorf("got %+v", d)
	}
}
