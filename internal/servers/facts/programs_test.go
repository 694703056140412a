package facts

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/test/disk"
	"github.com/adamant-sh/adamant/test/sshd"
)

// A made file is one that a test creates on a server.
type made struct {
	path  string
	mode  string // 0644 if it is empty
	owner string // root:root if it is empty
	link  string // target of a symbolic link; empty for a file
}

// script returns the commands that create the file with a text.
func (m made) script(text string) string {
	if m.link != "" {
		return fmt.Sprintf("ln -sf '%s' '%s'; chown -h %s '%s'\n", m.link, m.path, orElse(m.owner, "root:root"), m.path)
	}
	return fmt.Sprintf("mkdir -p '%s'; cat >'%s' <<'END'\n%sEND\nchmod %s '%s'; chown %s '%s'\n",
		path.Dir(m.path), m.path, text, orElse(m.mode, "0644"), m.path, orElse(m.owner, "root:root"), m.path)
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// Each program itself decides which files of its directories count. The facts must be
// those of the same files.
func TestProgramsReadTheSameFiles(t *testing.T) {
	srv := sshd.Open(t, "systemd", "dbus", "cron", "logrotate").Start("rules", sshd.Options{Systemd: true})
	for name, test := range map[string]func(*testing.T, *sshd.Server, files){
		"sudo": testSudo, "cron": testCron, "run-parts": testRunParts, "units": testUnits, "sysctl": testSysctl, "dpkg": testDpkg, "sshd": testSSHD,
	} {
		t.Run(name, func(t *testing.T) { test(t, srv, rootFiles{disk.Open(t, srv.Root)}) })
	}
}

// requireSame compares what a program reads with what the facts are read from.
func requireSame(t *testing.T, program, facts []string) {
	t.Helper()
	slices.Sort(program)
	slices.Sort(facts)
	if diff := cmp.Diff(facts, program); diff != "" {
		t.Error("facts, program:\n", diff)
	}
}

var sudoersMade = []made{
	{path: "/etc/sudoers.d/plain", mode: "0440"}, {path: "/etc/sudoers.d/with.dot", mode: "0440"}, {path: "/etc/sudoers.d/tilde~"},
	{path: "/etc/sudoers.d/.hidden"}, {path: "/etc/sudoers.d/README"}, {path: "/etc/sudoers.d/two words"}, {path: "/etc/sudoers.d/world", mode: "0446"},
	{path: "/etc/sudoers.d/group", mode: "0460"}, {path: "/etc/sudoers.d/other-group", mode: "0460", owner: "root:daemon"},
	{path: "/etc/sudoers.d/read-by-group", owner: "root:daemon"}, {path: "/etc/sudoers.d/owner", owner: "daemon:root"}, {path: "/etc/sudoers.d/run", mode: "0755"},
	{path: "/etc/elsewhere"}, {path: "/etc/sudoers.d/sub/inner"}, {path: "/etc/inc/hash"}, {path: "/etc/inc/no.t"}, {path: "/etc/one"}, {path: "/etc/two words"},
	{path: "/etc/sudoers.d/x.relative"}, {path: "/etc/inc-rules-1"}, {path: "/etc/writable"}, {path: "/etc/world", mode: "0666"}, {path: "/etc/never"},
}

// sudoersText has rules for users r1 and so on, besides directives.
const sudoersText = `#includedir /etc/inc
@include /etc/one # comment
@include "/etc/two words"
 #include /etc/never
	@include x.relative
@include /etc/inc-%h-1
@include /etc/world
@include /etc/missing
@includedir ../writable.d
r1 ALL=(ALL) NOPASSWD: ALL # r2 ALL=(ALL) NOPASSWD: ALL
r3 ALL=(ALL) \
	NOPASSWD: ALL
# continues not \
r4 ALL=(ALL) NOPASSWD: ALL
#r5 ALL=(ALL) NOPASSWD: ALL
User_Alias SOME = r6, \
	r7
SOME ALL=(ALL) NOPASSWD: ALL
#4242 ALL=(ALL) NOPASSWD: ALL
# @include /etc/never
@include zz-directives
`

// testSudo asks sudo for the rules of users, of which each is in one file.
func testSudo(t *testing.T, srv *sshd.Server, from files) {
	made := append(slices.Clone(sudoersMade), made{path: "/etc/writable.d/x"})
	script, users := "", []string{"r1", "r2", "r3", "r4", "r5", "r8"}
	for i, m := range made {
		user := fmt.Sprintf("f%d", i)
		users = append(users, user)
		script += m.script(user + " ALL=(ALL) NOPASSWD: ALL\n")
	}
	for i, user := range append(users, "r6", "r7") {
		uid := 3000 + i
		if user == "r8" {
			uid = 4242
		}
		script += fmt.Sprintf("echo %s:x:%d:1::/:/bin/sh >>/etc/passwd\n", user, uid)
	}
	script += "chmod 0777 /etc/writable.d\nln -s /etc/elsewhere /etc/sudoers.d/link\nln -s /etc/nowhere /etc/sudoers.d/dangling\n"
	srv.Exec("sh", "-euc", script+madeSudoers("/etc/sudoers.d/zz-directives", sudoersText))
	ask := `for user; do ! sudo -l -U $user 2>/dev/null | grep -q NOPASSWD || echo $user; done`
	program := strings.Fields(srv.Exec(append([]string{"sh", "-c", ask, "sh"}, users...)...))
	facts, unknowns := sudoFacts(from)
	var own []string
	for _, f := range facts {
		_, rule, _ := strings.Cut(f.Key, ": ")
		switch user, _, _ := strings.Cut(rule, " "); {
		case user == "#4242":
			own = append(own, "r8")
		case slices.Contains(users, user):
			own = append(own, user)
		}
	}
	requireSame(t, program, own)
	if len(unknowns) > 0 {
		t.Errorf("unknown: %v", unknowns)
	}
	if !slices.Contains(facts, Fact{Sudoers, "/etc/sudoers.d/zz-directives: User_Alias SOME = r6, r7", inForce}) {
		t.Errorf("the alias is not among %q", facts)
	}
	for _, change := range []string{"chmod 0646 /etc/sudoers", "chmod 0440 /etc/sudoers; chown daemon /etc/sudoers"} {
		srv.Exec("sh", "-euc", change)
		refused := strings.TrimSpace(srv.Exec("sh", "-c", "sudo -l -U ops >/dev/null 2>&1 || echo refused"))
		if facts, _ := sudoFacts(from); refused != "refused" || len(facts) > 0 {
			t.Errorf("after %q sudo: %q, facts %q", change, refused, facts)
		}
	}
	srv.Exec("chown", "root", "/etc/sudoers")
}

func madeSudoers(file, text string) string { return made{path: file, mode: "0440"}.script(text) }

// testCron starts cron, which runs the jobs of a boot in each crontab that it reads.
func testCron(t *testing.T, srv *sshd.Server, from files) {
	tabs := []made{
		{path: "/etc/cron.d/plain"}, {path: "/etc/cron.d/x.disabled"}, {path: "/etc/cron.d/tilde~"}, {path: "/etc/cron.d/.hidden"}, {path: "/etc/cron.d/README"},
		{path: "/etc/cron.d/A_b-9"}, {path: "/etc/cron.d/two words"}, {path: "/etc/cron.d/group", mode: "0664"}, {path: "/etc/cron.d/world", mode: "0646"},
		{path: "/etc/cron.d/only-root", mode: "0600"}, {path: "/etc/cron.d/run", mode: "0755"}, {path: "/etc/cron.d/owner", owner: "daemon:root"},
		{path: "/etc/cron.d/of-group", owner: "root:daemon"}, {path: "/etc/cron.d/a.dpkg-old"}, {path: "/etc/cron.d/sub/inner"}, {path: "/etc/tab"},
		{path: "/etc/tab-world", mode: "0666"}, {path: "/etc/crontab"},
		{path: "/etc/cron.d/link-to-world", link: "/etc/tab-world"}, {path: "/etc/cron.d/dangling", link: "/etc/nowhere"},
		{path: "/etc/cron.d/link", link: "/etc/tab"}, {path: "/etc/cron.d/owners-link", link: "/etc/cron.d/plain", owner: "daemon:root"},
	}
	const spool = "/var/spool/cron/crontabs/"
	ofUsers := []made{
		{path: spool + "ops", mode: "0600", owner: "ops:crontab"}, {path: spool + "guest", mode: "0644", owner: "guest:crontab"},
		{path: spool + "admin", mode: "0600"}, {path: spool + "bin", mode: "0600", owner: "ops:crontab"}, {path: spool + "stranger", mode: "0600"},
		{path: spool + "games", mode: "0400", owner: "games:crontab"},
	}
	script := "systemctl stop cron\nmkdir -m 1777 /tmp/ran\n"
	for i, m := range append(slices.Clone(tabs), ofUsers...) {
		user := "root "
		if i >= len(tabs) {
			user = ""
		}
		script += m.script(fmt.Sprintf("@reboot %stouch '/tmp/ran/%d'\n", user, i))
	}
	script += `rm -f /run/crond.reboot
cron -f & p=$!
for i in $(seq 100); do [ ! -e /tmp/ran/0 ] || break; sleep 0.05; done
sleep 1
kill $p
ls /tmp/ran`
	program := strings.Fields(srv.Exec("sh", "-euc", script))
	var own []string
	for _, f := range cronFacts(from) {
		if _, number, ok := strings.Cut(f.Key, "touch '/tmp/ran/"); ok {
			own = append(own, strings.TrimSuffix(number, "'"))
		}
	}
	slices.Sort(own)
	requireSame(t, program, slices.Compact(own)) // a link's job is that of its target
}

func testRunParts(t *testing.T, srv *sshd.Server, from files) {
	const dir = "/etc/cron.daily/"
	script := ""
	for name, mode := range map[string]string{
		"ok": "0755", "not-run": "0644", "with.dot": "0755", "tilde~": "0755", "README": "0755", "A_b-9": "0755", "two words": "0755", "a.dpkg-new": "0755",
		".hidden": "0755", "1st": "0755", "by-group": "0610", "by-others": "0645", "world": "0777", "sub/inner": "0755",
	} {
		script += made{path: dir + name, mode: mode}.script("#!/bin/sh\n")
	}
	script += "cd " + dir + "; ln -s /bin/true link; ln -s /nowhere dangling; ln -s /etc to-dir; ln -s /etc/passwd to-text\nrun-parts --test " + dir
	program := strings.Fields(strings.ReplaceAll(srv.Exec("sh", "-euc", script+" 2>/dev/null || true"), "//", "/"))
	var own []string
	for key, value := range values(cronFacts(from), Cron) {
		if value == "daily" {
			own = append(own, key)
		}
	}
	requireSame(t, program, own)
}

// There is no cronie in Debian, so its rules are those of its source code.
func TestCronie(t *testing.T) {
	root := disk.Files{
		"/etc/pam.d/crond": "", "/etc/passwd": "eve:x:0:0::/:/bin/sh\n", "/etc/crontab": "a\n", "/etc/cron.d/0hourly": "a\n", "/etc/cron.d/with.dot": "a\n",
		"/etc/cron.d/a.rpmsave": "a\n", "/etc/cron.d/b~": "a\n", "/etc/cron.d/#c": "a\n", "/etc/cron.d/.d": "a\n", "/var/spool/cron/eve": "a\n",
		"/var/spool/cron/stranger": "a\n",
	}.Root(t)
	want := []string{"/etc/cron.d/0hourly: a", "/etc/cron.d/with.dot: a", "/etc/crontab: a", "/var/spool/cron/eve: a"}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(values(cronFacts(rootFiles{root}), Cron))), want); diff != "" {
		t.Error("got, want:\n", diff)
	}
}

// testUnits asks systemd for the drop-ins of a service. Their settings are a number
// each, so that the facts show which drop-ins count.
func testUnits(t *testing.T, srv *sshd.Server, from files) {
	dirs := []string{
		"/etc/systemd/system/", "/run/systemd/system/", "/usr/local/lib/systemd/system/", "/run/systemd/system.control/", "/etc/systemd/system.control/",
	}
	script := made{path: "/usr/lib/systemd/system/web-app.service"}.script("[Service]\nExecStart=/bin/true\n")
	for i, dir := range dirs {
		for k, unit := range []string{"web-app.service", "web-.service", "service"} {
			n := 100 + 10*i + k
			for _, name := range []string{"same-" + unit, fmt.Sprintf("own-%d", n)} {
				script += made{path: dir + unit + ".d/" + name + ".conf"}.script(fmt.Sprintf("[Unit]\nDocumentation=man:%s-%d\n", strings.TrimSuffix(name, fmt.Sprintf("-%d", n)), n))
			}
		}
		script += made{path: dir + "web-app.service.d/ignored"}.script("[Unit]\nDocumentation=man:ignored\n")
		script += made{path: dir + "web-app.service.d/.hidden.conf"}.script("[Unit]\nDocumentation=man:hidden\n")
	}
	script += "mkdir -p /usr/lib/systemd/system/web-app.service.d\necho '[Unit]' >/usr/lib/systemd/system/web-app.service.d/off.conf\n" +
		"ln -s /dev/null /etc/systemd/system/web-app.service.d/off.conf\nsystemctl daemon-reload\nsystemctl show -P Documentation web-app.service"
	program := strings.Fields(srv.Exec("sh", "-euc", script))
	var own []string
	facts := values(unitFacts(from), Unit)
	for _, unit := range []string{"*.service", "web-.service", "web-app.service"} {
		own = append(own, strings.Split(facts[unit+": [Unit] Documentation"], " | ")...)
	}
	requireSame(t, program, own)
	if got := facts["web-app.service: off.conf"]; got != "masked or empty" {
		t.Errorf("a masked drop-in is %q", got)
	}
	srv.Exec("sh", "-euc", made{path: "/usr/lib/systemd/system/tick.service"}.script("[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"))
	for _, command := range []string{"mask", "unmask", "mask --runtime", "unmask --runtime", "enable --runtime", "disable --runtime", "enable"} {
		got := strings.TrimSpace(srv.Exec("sh", "-c", "systemctl -q "+command+" tick --no-reload; systemctl is-enabled tick || true"))
		if own := values(serviceFacts(from), Service)["tick.service"]; own != strings.TrimSuffix(got, "disabled") {
			t.Errorf("after %s systemd: %q, fact: %q", command, got, own)
		}
	}
	srv.Exec("sh", "-euc", "rm -r /etc/systemd/system/*service.d /etc/systemd/system.control /run/systemd/system/*service.d; : >/etc/systemd/system/web-app.service; systemctl daemon-reload")
	if got, own := strings.TrimSpace(srv.Exec("systemctl", "show", "-P", "LoadState", "web-app")), values(serviceFacts(from), Service)["web-app.service"]; got != own {
		t.Errorf("an empty unit is %s, fact: %q", got, own)
	}
}

// testSysctl asks both programs that set sysctls at a boot. Neither sets any: of one
// only the log is read, because /proc/sys is read-only there.
func testSysctl(t *testing.T, srv *sshd.Server, from files) {
	script := ""
	for file, text := range map[string]string{
		"/usr/lib/sysctl.d/50-a.conf":        "net.ipv4.ip_forward=1\nnet.ipv4.tcp_ecn = 0\n",
		"/usr/lib/sysctl.d/60-shadowed.conf": "net.ipv4.tcp_sack=0\n",
		"/etc/sysctl.d/60-shadowed.conf":     "net/ipv4/tcp_syncookies = 2\n; no\n# no\n-net.ipv4.no_such=1\n",
		"/run/sysctl.d/70-run.conf":          "net.ipv4.tcp_ecn=1\n",
		"/usr/local/lib/sysctl.d/80.conf":    "net.ipv4.tcp_wmem = 1  2\t3 \nnet.ipv4.conf.eth0/1.forwarding=1\nnet/ipv4/conf/eth0.2/forwarding=1\n",
		"/etc/sysctl.d/90-off.disabled":      "net.ipv4.tcp_wmem=9 9 9\n",
		"/etc/sysctl.d/.hidden.conf":         "net.ipv4.tcp_fin_timeout=9\n",
		"/usr/lib/sysctl.d/85-masked.conf":   "net.ipv4.tcp_fin_timeout=8\n",
		"/etc/sysctl.conf":                   "net.ipv4.tcp_rmem=4 5 6\nnot a setting\nnet.ipv4.tcp_late=1\n",
		"/etc/sysctl.d/99-z.conf":            "net.ipv4.tcp_late=2\n",
	} {
		script += made{path: file}.script(text)
	}
	srv.Exec("sh", "-euc", script+"ln -s /dev/null /etc/sysctl.d/85-masked.conf")
	log := srv.Exec("sh", "-c", "SYSTEMD_LOG_LEVEL=debug "+systemdSysctl+" 2>&1 || true")
	program := map[string]string{}
	for line := range strings.Lines(log) {
		if f := strings.Split(line, "'"); len(f) == 5 && strings.HasPrefix(line, "Setting '/proc/sys/") {
			program[strings.ReplaceAll(strings.TrimPrefix(f[1], "/proc/sys/"), "/", ".")] = strings.Join(strings.Fields(f[3]), " ")
		}
	}
	if diff := cmp.Diff(values(sysctlFileFacts(from), SysctlFile), program); diff != "" {
		t.Errorf("facts, systemd-sysctl:\n%s\nlog: %s", diff, log)
	}
	srv.Exec("mv", systemdSysctl, systemdSysctl+".off")
	clear(program)
	for line := range strings.Lines(srv.Exec("sh", "-c", "sysctl --dry-run --system 2>/dev/null || true")) {
		if name, value, ok := strings.Cut(line, " = "); ok {
			program[strings.ReplaceAll(name, "/", ".")] = strings.Join(strings.Fields(value), " ")
		}
	}
	own := values(sysctlFileFacts(from), SysctlFile)
	// sysctl prints only the names that the kernel has.
	for _, name := range []string{"net.ipv4.no_such", "net.ipv4.conf.eth0.1.forwarding", "net.ipv4.conf.eth0.2.forwarding", "net.ipv4.tcp_late"} {
		if own[name] == "" {
			t.Errorf("%s is missing", name)
		}
		delete(own, name)
	}
	maps.DeleteFunc(own, func(name, _ string) bool { return program[name] == "" && !strings.HasPrefix(name, "net.ipv4.tcp") })
	maps.DeleteFunc(program, func(name, _ string) bool { return own[name] == "" && !strings.HasPrefix(name, "net.ipv4.tcp") })
	if diff := cmp.Diff(own, program); diff != "" {
		t.Errorf("facts, sysctl --system:\n%s", diff)
	}
}

// testDpkg has dpkg and update-alternatives treat files of packages differently.
func testDpkg(t *testing.T, srv *sshd.Server, from files) {
	srv.Exec("sh", "-euc", `dpkg-divert --local --rename --add /usr/bin/tac
echo other >/usr/bin/tac
dpkg-divert --package dash --rename --add /usr/bin/comm
dpkg-statoverride --update --add root daemon 4750 /usr/bin/wc
update-alternatives --quiet --set pager /bin/more`)
	facts := adminFacts(from)
	for _, want := range []Fact{
		{Diversion, "/usr/bin/tac to /usr/bin/tac.distrib", "local"}, {Diversion, "/usr/bin/comm to /usr/bin/comm.distrib", "by dash"},
		{StatOverride, "/usr/bin/wc", "root daemon 4750"}, {Alternative, "pager", "/bin/more"},
	} {
		if !slices.Contains(facts, want) {
			t.Errorf("%s is not %s: %q", want.Name(), want.Value, facts)
		}
	}
	o, err := readOwners(t.Context(), from, nil)
	must(t, err)
	for file, want := range map[string]string{
		"/usr/bin/tac": "", "/usr/bin/tac.distrib": "coreutils", "/usr/bin/comm": "", "/usr/bin/comm.distrib": "coreutils", "/usr/bin/sh": "dash",
		"/usr/bin/pager": "util-linux", "/etc/alternatives/pager": "util-linux", "/etc/alternatives/pager.1.gz": "util-linux", "/usr/bin/wc": "coreutils",
	} {
		pkg, sum := o.Of(file)
		if pkg != want {
			t.Errorf("%s is of package %q, want %q", file, pkg, want)
		}
		if want == "coreutils" && sum != strings.Fields(srv.Exec("md5sum", file))[0] {
			t.Errorf("%s has another digest than its package: %s", file, sum)
		}
	}
}

// testSSHD sets each keyword twice, once more below a Match, and asks sshd.
func testSSHD(t *testing.T, srv *sshd.Server, from files) {
	twice := map[string][2]string{
		"AcceptEnv": {"A", "B"}, "AddressFamily": {"inet", "any"}, "AllowUsers": {"ops", "root"}, "AllowGroups": {"g", "h"}, "DenyUsers": {"a", "b"}, "DenyGroups": {"a", "b"},
		"AuthenticationMethods": {"publickey", "password"}, "AuthorizedKeysFile": {"a", "b"}, "Banner": {"/a", "/b"}, "Ciphers": {"aes128-ctr", "aes256-ctr"},
		"ClientAliveInterval": {"1", "2"}, "FingerprintHash": {"md5", "sha256"}, "ForceCommand": {"a", "b"}, "GatewayPorts": {"yes", "no"}, "IPQoS": {"af21 cs1", "cs2 cs3"},
		"LogLevel": {"INFO", "DEBUG"}, "LogVerbose": {"a.c:*:*", "b.c:*:*"}, "LoginGraceTime": {"1", "2"}, "MaxAuthTries": {"1", "2"}, "MaxStartups": {"1:2:3", "4:5:6"},
		"PerSourceMaxStartups": {"1", "2"}, "PerSourceNetBlockSize": {"1:2", "3:4"}, "PermitListen": {"*:1", "*:2"}, "PermitOpen": {"a:1", "b:2"}, "PermitTTY": {"no", "yes"},
		"PermitRootLogin": {"no", "yes"}, "PermitUserEnvironment": {"A", "B"}, "Port": {"22", "2222"}, "SetEnv": {"A=1", "B=2"}, "StreamLocalBindMask": {"0177", "0277"},
		"SyslogFacility": {"AUTH", "USER"}, "VersionAddendum": {"a", "b"}, "X11DisplayOffset": {"1", "2"}, "X11Forwarding": {"no", "yes"},
	}
	text := ""
	for i := range 2 {
		for _, keyword := range slices.Sorted(maps.Keys(twice)) {
			text += keyword + " " + twice[keyword][i] + "\n"
		}
	}
	const match = "Match User ops"
	text += match + "\nPermitTTY yes\nPermitTTY no\nStreamLocalBindMask 0077\nStreamLocalBindMask 0377\nIPQoS cs4 cs4\nIPQoS cs5 cs5\nAllowUsers c\n"
	srv.Exec("sh", "-euc", "rm /etc/ssh/sshd_config.d/*\n"+made{path: sshConfig}.script("Include /etc/ssh/sshd_config.d/*.conf\nInclude none.conf\n")+
		made{path: "/etc/ssh/sshd_config.d/a.conf"}.script(text)+made{path: "/etc/ssh/sshd_config.d/b.conf.off"}.script("UseDNS yes\n"))
	facts, unknowns := sshFacts(from)
	own := values(facts, SSH)
	if len(unknowns) > 0 || own["UseDNS"] != "" {
		t.Errorf("unknown: %v, UseDNS %q", unknowns, own["UseDNS"])
	}
	for _, user := range []string{"admin", "ops"} {
		program := map[string]string{}
		for line := range strings.Lines(srv.Exec("sshd", "-T", "-C", "user="+user+",host=h,addr=192.0.2.1")) {
			keyword, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			program[keyword] = strings.TrimSpace(program[keyword] + " " + value)
		}
		for keyword := range twice {
			value, isSet := own[match+": "+keyword]
			if user != "ops" || !isSet {
				value = own[keyword]
			}
			if got := program[strings.ToLower(keyword)]; !strings.EqualFold(got, value) {
				t.Errorf("for %s sshd has %s %s, the fact is %q", user, keyword, got, value)
			}
		}
	}
}
