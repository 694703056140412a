package capture

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

func TestSplitWords(t *testing.T) {
	for line, want := range map[string][]string{
		`/bin/a  -b	c`:              {"/bin/a", "-b", "c"},
		`a "b c" 'd "e"' f\ g ""`:   {"a", "b c", `d "e"`, "f g", ""},
		`"A=x y" B='$C' D=e\"f\tg`:  {"A=x y", "B=$C", "D=e\"f\tg"},
		``:                          nil,
		`nginx -g 'daemon on; a b'`: {"nginx", "-g", "daemon on; a b"},
	} {
		got, err := splitWords(line)
		if d := cmp.Diff(got, want); d != "" || err != nil {
			t.Errorf("%q: %v (-got +want):\n%s", line, err, d)
		}
	}
	for _, line := range []string{`a "b`, `a 'b`, `a\`} {
		if got, err := splitWords(line); err == nil {
			t.Errorf("%q: got %q, want an error", line, got)
		}
	}
}

func FuzzUnit(f *testing.F) {
	f.Add("[Service]\nExecStart=/bin/a \\\n b %i $X ${Y}\nEnvironment=\"X=1 2\" Y=%%\n\n[Install]\n")
	f.Add("ExecStart=@/bin/a b 'c'\n;x\n[Service\nType=\n")
	f.Fuzz(func(t *testing.T, text string) {
		u := unit{name: "a@b.service", settings: map[string][]string{}}
		u.parse(text)
		var env []Variable
		for _, setting := range u.all("Environment") {
			words, _ := splitWords(setting)
			for _, w := range words {
				env = append(env, Variable{Name: w, Value: w})
			}
		}
		if words, err := command(&u, env); err == nil && (len(words) == 0 || words[0] == "") {
			t.Errorf("command %q without an error", words)
		}
	})
}

func TestCommands(t *testing.T) {
	for _, c := range []struct {
		name, unit string
		want       []string
	}{
		{"simple", "ExecStart=/bin/a b", []string{"/bin/a", "b"}},
		{"prefixes", "ExecStart=-+/bin/a", []string{"/bin/a"}},
		{"another name", "ExecStart=@/bin/a name b", []string{"/bin/a", "b"}},
		{"reset", "ExecStart=/bin/a\nExecStart=\nExecStart=/bin/b", []string{"/bin/b"}},
		{"two", "ExecStart=/bin/a\nExecStart=/bin/b", nil},
		{"oneshot", "Type=oneshot\nExecStart=/bin/a", nil},
		{"bus", "BusName=org.x\nExecStart=/bin/a", nil},
		{"forks", "Type=forking\nExecStart=/bin/a", nil},
		{"nginx", "Type=forking\nExecStart=/usr/sbin/nginx", []string{"/usr/sbin/nginx", "-g", "daemon off;"}},
		{"nginx with directives", "Type=forking\nExecStart=/usr/sbin/nginx -g 'daemon on; user a;'", []string{"/usr/sbin/nginx", "-g", "daemon off; user a;"}},
		{"apache", "Type=forking\nExecStart=/usr/sbin/apachectl start", []string{"/usr/sbin/apachectl", "-D", "FOREGROUND"}},
		{"redis", "Type=forking\nExecStart=/usr/bin/redis-server /etc/r.conf --daemonize yes", []string{"/usr/bin/redis-server", "/etc/r.conf", "--daemonize", "no"}},
		{"memcached", "Type=forking\nExecStart=memcached -d -m 64", []string{"memcached", "-m", "64"}},
		{
			"postgres", "Type=forking\nExecStart=-/usr/bin/pg_ctlcluster --skip-systemctl-redirect 15-main start",
			[]string{"/usr/lib/postgresql/15/bin/postgres", "-D", "/etc/postgresql/15/main"},
		},
		{"haproxy", "Type=forking\nExecStart=haproxy -D -f x", []string{"haproxy", "-f", "x", "-W"}},
		{"cron", "Type=forking\nExecStart=/usr/sbin/cron", []string{"/usr/sbin/cron", "-f"}},
		{"unknown specifier", "ExecStart=/bin/a %H", nil},
	} {
		u := unit{name: "x.service", settings: map[string][]string{}}
		u.parse("[Service]\n" + c.unit + "\n")
		got, err := command(&u, nil)
		if d := cmp.Diff(got, c.want); d != "" || (err == nil) != (c.want != nil) {
			t.Errorf("%s: %v (-got +want):\n%s", c.name, err, d)
		}
	}
}

func TestNotCapturedSaysWhatToDo(t *testing.T) {
	u := unit{name: "x.service", settings: map[string][]string{"Service.Type": {"forking"}, "Service.ExecStart": {"/usr/sbin/vsftpd"}}}
	_, err := command(&u, nil)
	var not errNotCaptured
	if !errors.As(err, &not) || hintOf(err) == "" {
		t.Errorf("error %v has no hint", err)
	}
}

func TestSkippedUnits(t *testing.T) {
	for name, want := range map[string]string{
		"ssh.service": "login", "sshd.service": "login", "getty@tty1.service": "login", "systemd-timesyncd.service": "systemd", "dbus.service": "systemd",
		"cloud-init-local.service": "upkeep", "fstrim.timer": "timer", "remote-fs.target": "not a service", "docker.service": "containers",
		"nginx.service": "", "docker-registry.service": "", "shop@blue.service": "", "networked-app.service": "", "cronicle.service": "",
		"postgresql@15-main.service": "",
	} {
		if got := skippedClass(name); got != want {
			t.Errorf("%s: class %q, want %q", name, got, want)
		}
	}
}

func TestSecrets(t *testing.T) {
	const pem = "-----BEGIN RSA PRIVATE KEY-----\nMII\n"
	for _, c := range []struct {
		path, content string
		mode          uint32
		want          bool
	}{
		{"/etc/ssl/x.pem", "cert\n" + pem, 0o644, true},
		{"/etc/app.json", `{"private_key": "-----BEGIN PRIVATE KEY-----\nMII"}`, 0o644, true},
		{"/opt/app/tls.py", `KEY = "-----BEGIN PRIVATE KEY-----"`, 0o644, false},
		{"/opt/app/tls.pyc", "\x00\x01\n" + pem, 0o644, false},
		{"/etc/app/der.key", "0\x82\x00\x01", 0o644, true},
		{"/etc/x.crt", "-----BEGIN CERTIFICATE-----\n", 0o600, false},
		{"/etc/app.ini", "db_password = hunter2\n", 0o640, true},
		{"/etc/app.ini", "db_password = hunter2\n", 0o644, false},
		{"/etc/app.ini", "# db_password = x\npassword =\n", 0o640, false},
		{"/etc/redis/redis.conf", "requirepass hunter2\n", 0o640, true},
		{"/etc/krb5.keytab", "", 0o600, true},
		{"/srv/site/.htpasswd", "a:b", 0o644, true},
	} {
		got := secretIn(tree.Entry{Path: c.path, Kind: tree.Regular, Mode: c.mode}, []byte(c.content))
		if (got != "") != c.want {
			t.Errorf("%s %q mode %o: %q, want a secret: %v", c.path, c.content, c.mode, got, c.want)
		}
	}
}

func TestForeignMounts(t *testing.T) {
	const text = `22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
24 22 8:2 / /srv rw shared:1 - xfs /dev/sdb1 rw
25 22 0:40 / /mnt/a\040b rw - nfs4 host:/x rw
26 22 0:41 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
27 22 0:42 / /run rw - tmpfs tmpfs rw
28 22 8:3 / /run/data rw - ext4 /dev/sdc1 rw
`
	want := map[string]string{"/proc": "proc proc", "/mnt/a b": "nfs4 host:/x", "/var/lib/docker/overlay2/x/merged": "overlay overlay", "/run": "tmpfs tmpfs"}
	table, err := mounts.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(foreignIn(table), want); d != "" {
		t.Errorf("mounts (-got +want):\n%s", d)
	}
}

func TestVolumeNamesDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, dir := range []string{"/srv/a", "/srv-a", "/srv/A", "/srv/a/b", "/srv/a-b", "/srv/ä", "/srv/ö", "/-"} {
		name := VolumeName(dir)
		if seen[name] != "" || labelOf(name) == "" {
			t.Errorf("%s and %s are both %q", dir, seen[name], name)
		}
		seen[name] = dir
	}
}

func TestSecretsInCommands(t *testing.T) {
	for word, want := range map[string]bool{
		"--password=hunter2": true, "--password-file=/etc/x": false, "--token=$(TOKEN)": false, "--password": false, "--port=80": false,
	} {
		if got := isShownSecret(word); got != want {
			t.Errorf("%s: %v, want %v", word, got, want)
		}
	}
}

func TestInitScript(t *testing.T) {
	root, dir := smallRoot(t)
	shell(t, dir, `
		mkdir -p etc/init.d etc/rc2.d
		printf '#!/bin/sh\nNAME=memcached\nDAEMON=/usr/bin/memcached\n' > etc/init.d/memcached
		printf '#!/bin/sh\nDAEMON=/opt/own/daemon\n' > etc/init.d/own
		ln -s ../init.d/memcached etc/rc2.d/S01memcached
		ln -s ../init.d/own etc/rc2.d/S02own
	`)
	p := survey1(t, root, SurveyOptions{})
	if len(p.Services) != 1 || p.Services[0].Name != "memcached" || !cmp.Equal(p.Services[0].Ports, []Port{tcp(11211)}) {
		t.Errorf("services %+v, want memcached", p.Services)
	}
	if !slices.ContainsFunc(p.Losses, func(l Loss) bool { return l.What == "own.service" && l.Hint != "" }) {
		t.Errorf("own.service is not among the losses %v", p.Losses)
	}
}
