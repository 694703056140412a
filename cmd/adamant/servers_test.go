package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/adamant-sh/adamant/test/sshd"
)

// TestServers runs the scripts of testdata/servers, each with three real servers
// of its own, web-1 to web-3, and an inventory of them in hosts.ini.
func TestServers(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/servers/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			l := openLab(t)
			if filepath.Base(file) == "capture.txtar" { // it runs pods, and lists all pods
				l = ownLab(t, "")
				t.Cleanup(func() { check(t, l.close()) })
			}
			s := startServers(t, scriptPackages[filepath.Base(file)]...)
			testscript.Run(t, testscript.Params{
				Files:               []string{file},
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
				Setup: func(env *testscript.Env) error {
					if err := l.setup(env); err != nil {
						return err
					}
					return s.setup(env)
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"code":   runWithCode,
					"until":  runUntil,
					"json":   checkJSON,
					"save":   saveJSON,
					"on":     s.on,
					"link":   s.link,
					"wire":   s.wire,
					"reboot": s.reboot,
				},
			})
		})
	}
}

// scriptPackages are the additional packages of the servers of a script. If systemd
// is one of them, it is the first process.
var scriptPackages = map[string][]string{"capture.txtar": {"systemd", "dbus", "nginx-light"}, "plain.txtar": {"attr"}, "rpm.txtar": {"rpm"}, "shells.txtar": {"attr", "csh", "fish", "tcsh", "zsh"}, "units.txtar": {"systemd", "dbus"}}

// makeShells gives the users odd login shells and startup files.
const makeShells = `usermod -s /bin/tcsh root
usermod -s /usr/bin/fish ops
echo 'echo HELLO; echo HELLO >/dev/stderr' >/root/.tcshrc
su ops -c 'fish -c true' # creates its directories
echo 'echo HELLO; function bye --on-event fish_exit; echo BYE; end' >~ops/.config/fish/config.fish
{ echo 'read -p "which project? " project; echo HELLO; head -c 100000 /dev/zero; trap "echo BYE" EXIT'; cat ~admin/.bashrc; } >~admin/.new
mv ~admin/.new ~admin/.bashrc
`

// makeRPM builds and installs a version of an RPM package.
const makeRPM = `cd /tmp && cat >tiny.spec <<END
Name: tiny
Version: $1
Release: 3
Epoch: 1
Summary: tiny
License: MIT
BuildArch: noarch
%description
tiny
%install
mkdir -p %{buildroot}/opt/tiny %{buildroot}/etc
echo $1 >%{buildroot}/opt/tiny/version
echo a=b >%{buildroot}/etc/tiny.conf
%files
/opt/tiny
%config /etc/tiny.conf
END
rpmbuild -bb --quiet --define "_topdir /tmp/build" --define "_dbpath /var/lib/rpm" tiny.spec
rpm --dbpath /var/lib/rpm -U build/RPMS/noarch/tiny-$1-3.noarch.rpm
`

// makeApp sets up an application with a password on a loopback address, and nginx as its
// proxy.
const makeApp = `set -e; useradd -r shop; mkdir -p /opt/shop /etc/shop
cat >/opt/shop/app.pl <<'END'
use IO::Socket::INET;
open(my $c, '<', '/etc/shop/shop.conf') or die "$!";
my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 8000, Listen => 20, ReuseAddr => 1) or die "$!";
$SIG{TERM} = sub { exit 0 };
while (my $k = $s->accept) {
	while (my $h = <$k>) { last if $h =~ /^\r?\n/ }
	print $k "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nshop\n";
	close $k;
}
END
echo db_password=hunter2222 >/etc/shop/shop.conf; chown root:shop /etc/shop/shop.conf; chmod 640 /etc/shop/shop.conf
printf '[Service]\nUser=shop\nExecStart=/usr/bin/perl /opt/shop/app.pl\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/shop.service
sed -i 's|^\tlocation / {|\tlocation /api/ { proxy_pass http://127.0.0.1:8000/; }\n&|' /etc/nginx/sites-available/default
systemctl daemon-reload; systemctl enable -q --now shop; systemctl enable -q nginx; systemctl restart nginx
`

// A site is servers that should be the same.
type site struct {
	lab     *sshd.Lab
	servers []*sshd.Server
}

// startServers starts three servers that have web 1.0 from a repository that also
// offers 1.1, and broken, which fails when it is half installed.
func startServers(t *testing.T, packages ...string) *site {
	s := &site{lab: sshd.Open(t, packages...)}
	repo := s.lab.Repository()
	repo.AddWeb()
	for i := range 3 {
		srv := s.lab.Start(fmt.Sprintf("web-%d", i+1), sshd.Options{Systemd: slices.Contains(packages, "systemd"), Reboots: true})
		srv.Use(repo)
		srv.Exec("apt-get", "-y", "-q", "install", "web=1.0", "libweb=1.0")
		if slices.Contains(packages, "tcsh") {
			srv.Exec("bash", "-euc", makeShells)
		}
		s.servers = append(s.servers, srv)
	}
	return s
}

// setup gives a script a home directory with the configuration of ssh.
func (s *site) setup(env *testscript.Env) error {
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("SSH_AUTH_SOCK", "")
	env.Setenv("RPM", makeRPM)
	env.Setenv("APP", makeApp)
	for i, srv := range s.servers {
		env.Setenv(fmt.Sprintf("WEB%d", i+1), srv.Addr)
	}
	return s.lab.WriteHome(env.WorkDir, s.servers)
}

// on is "on SERVER COMMAND ARG...": the command runs there as root and must succeed,
// or with "! on" fail.
func (s *site) on(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: on SERVER COMMAND ARG...")
	}
	command := args[1:]
	if neg {
		command = []string{"sh", "-c", `! "$@"`, "sh"}
		command = append(command, args[1:]...)
	}
	// The output of printf is what the command stdout of the script matches.
	ts.Check(ts.Exec("printf", "%s", s.server(ts, args[0]).Exec(command...)))
}

// link is "link SERVER up|down".
func (s *site) link(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || args[1] != "up" && args[1] != "down" {
		ts.Fatalf("usage: link SERVER up|down")
	}
	if srv := s.server(ts, args[0]); args[1] == "up" {
		srv.LinkUp()
	} else {
		srv.LinkDown()
	}
}

// wire is "wire SERVER [KEY=VALUE...]", which gives the link to the server that quality
// from now on, or "wire SERVER cut", which resets its connections.
func (s *site) wire(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: wire SERVER cut|[KEY=VALUE...]")
	}
	srv := s.server(ts, args[0])
	if len(args) == 2 && args[1] == "cut" {
		if srv.Link().Cut() == 0 {
			ts.Fatalf("%s has no connection to be cut", srv.Name)
		}
		return
	}
	q, err := sshd.ParseQuality(args[1:])
	ts.Check(err)
	srv.Through(q)
	ts.Check(s.lab.WriteHome(ts.Getenv("WORK"), s.servers))
}

// reboot is "reboot SERVER".
func (s *site) reboot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: reboot SERVER")
	}
	s.server(ts, args[0]).Reboot()
}

func (s *site) server(ts *testscript.TestScript, name string) *sshd.Server {
	for _, srv := range s.servers {
		if srv.Name == name {
			return srv
		}
	}
	ts.Fatalf("no server %s", name)
	return nil
}
