package agentless

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
	"github.com/adamant-sh/adamant/test/agent"
	"github.com/adamant-sh/adamant/test/sshd"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within runs commands on a server without sshd, with the programs of path.
type within struct{ pid, path string }

func on(srv *sshd.Server, path string) within {
	return within{strings.Split(srv.Root, "/")[2], path}
}

func (w within) Run(ctx context.Context, c ssh.Command) error {
	args := []string{"--target", w.pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd=/", "--", "/usr/bin/env", "-i", "PATH=" + w.path}
	cmd := exec.CommandContext(ctx, "nsenter", append(args, c.Args...)...)
	cmd.Stdin, cmd.Stdout = c.Stdin, c.Stdout
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &ssh.ExitError{Status: exit.ExitCode(), Stderr: stderr.String()}
	}
	return err
}

const (
	gnu     = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	busybox = "/opt/busybox"
)

// oddities is a script that creates files that are easily misread.
const oddities = `
mkdir -p /srv/odd /opt/busybox
/bin/busybox --install -s /opt/busybox
rm -f /opt/busybox/getfattr
cd /srv/odd
echo 1 >'with space'
echo 2 >'back\slash'
echo 3 >"quote's"
printf 4 >"$(printf 'not\377utf8')"
echo 5 >'-n'
echo 6 >'*?[a]'
: >empty
mkdir 'a -> b'
ln -s 'somewhere -> else' 'a -> b/link -> link'
ln -s "'quoted'" quoted
ln -s /nowhere "it's"
ln -s . self
chmod 4755 'with space'
chown 1234:4321 -- -n
mkfifo pipe
mknod null c 1 3
mkdir -m 1777 sticky
echo secret >/etc/only-root.conf
chmod 600 /etc/only-root.conf
printf 'no line break at the end' >/etc/unfinished.conf
printf '\n\n' >/etc/breaks.conf
mkdir -p /var/log/odd /tmp/odd
echo log >/var/log/odd/log
mkdir -p /run/systemd/system.control/web.service.d /run/sysctl.d /run/modprobe.d
echo 'options kvm nested=0' >/run/modprobe.d/kvm.conf
printf '[Service]\nLimitNOFILE=100\n' >/run/systemd/system.control/web.service.d/local.conf
echo net.ipv4.ip_forward=1 >/run/sysctl.d/router.conf
echo vm.swappiness=1 >/etc/sysctl.d/memory.conf
echo 'eve ALL=(ALL) ALL' >/etc/sudoers.d/eve
chmod 440 /etc/sudoers.d/eve
mkdir -p /var/spool/cron/crontabs
echo '* * * * * x' >/var/spool/cron/crontabs/ops
chown ops /var/spool/cron/crontabs/ops
chmod 600 /var/spool/cron/crontabs/ops
printf '#!/bin/sh\n' >/etc/cron.daily/script
chmod 755 /etc/cron.daily/script
`

// oddFacts are facts from these files.
var oddFacts = []facts.Fact{
	{Section: facts.Unit, Key: "web.service: [Service] LimitNOFILE", Value: "100"},
	{Section: facts.Runtime, Key: "/run/modprobe.d/kvm.conf", Value: "options kvm nested=0"},
	{Section: facts.SysctlFile, Key: "net.ipv4.ip_forward", Value: "1"}, {Section: facts.SysctlFile, Key: "vm.swappiness", Value: "1"},
	{Section: facts.Sudoers, Key: "/etc/sudoers.d/eve: eve ALL=(ALL) ALL", Value: "is there"},
	{Section: facts.Cron, Key: "/var/spool/cron/crontabs/ops: * * * * * x", Value: "is there"}, {Section: facts.Cron, Key: "/etc/cron.daily/script", Value: "daily"},
}

func read(t *testing.T, r Runner) (*facts.Offline, *facts.Peer) {
	t.Helper()
	s, err := Read(t.Context(), r, false)
	must(t, err)
	p, end, err := s.Peer(t.Context(), "plain")
	must(t, err)
	t.Cleanup(end)
	return s, p
}

// systemd is asked, too, and if it does not answer, that is an unknown.
func TestReadRunning(t *testing.T) {
	srv := sshd.Open(t, "systemd", "dbus").Start("web", sshd.Options{Systemd: true})
	srv.Exec("systemctl", "mask", "--runtime", "apt-daily.service")
	_, p := read(t, on(srv, gnu))
	for _, want := range []facts.Fact{
		{Section: facts.Running, Key: "ssh.service", Value: "active (running)"}, {Section: facts.Service, Key: "apt-daily.service", Value: "masked-runtime"},
	} {
		if !slices.Contains(p.Facts, want) {
			t.Errorf("%s is not %s", want.Name(), want.Value)
		}
	}
	isUnknown := func(u facts.Unknown) bool { return u.Section == facts.Running }
	if slices.ContainsFunc(p.Summary.Unknowns, isUnknown) {
		t.Errorf("it does not know %v", p.Summary.Unknowns)
	}
	srv.Exec("rm", "/usr/bin/systemctl")
	_, p = read(t, on(srv, gnu))
	if i := slices.IndexFunc(p.Summary.Unknowns, isUnknown); i < 0 || !strings.Contains(p.Summary.Unknowns[i].Reason, "systemctl") {
		t.Errorf("without systemctl it does not know %v", p.Summary.Unknowns)
	}
}

// Plain commands give the same result as an agent, byte for byte.
func TestReadAsAnAgentDoes(t *testing.T) {
	srv := sshd.Open(t, "busybox", "attr").Start("odd", sshd.Options{})
	srv.Exec("sh", "-euc", oddities)
	for file, attrs := range map[string]map[string]string{
		"/usr/bin/env":         {tree.CapabilityXattr: "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		"/srv/odd/back\\slash": {"user.note": "a\x00b"},
	} {
		for name, value := range attrs {
			must(t, unix.Setxattr(filepath.Join(srv.Root, file), name, []byte(value), 0))
		}
	}
	peer := agent.On(t, srv.Root)
	for name, path := range map[string]string{"gnu": gnu, "busybox": busybox} {
		t.Run(name, func(t *testing.T) {
			server, p := read(t, on(srv, path))
			if server.Kernel.Release == "" || len(server.Kernel.Sysctls) < 100 || server.Kernel.Mounts == "" || server.Kernel.Sockets["tcp"] == "" {
				t.Errorf("of the kernel it says %.300v", server.Kernel)
			}
			if !slices.Contains(slices.Collect(mapValues(server.Kernel.Programs)), "sshd") {
				t.Errorf("sshd is none of the programs with sockets: %v", server.Kernel.Programs)
			}
			for _, f := range oddFacts {
				if !slices.Contains(p.Facts, f) {
					t.Errorf("%s: %s is missing", f.Name(), f.Value)
				}
			}
			c, err := compare.Compare(t.Context(), []*facts.Peer{peer, p}, nil)
			must(t, err)
			if len(c.Differences) > 0 {
				t.Errorf("they differ: %+v", c.Differences)
			}
			if path == busybox {
				if len(p.Summary.Unknowns) != 1 || !strings.Contains(p.Summary.Unknowns[0].Reason, "getfattr") {
					t.Errorf("without getfattr it does not know %v", p.Summary.Unknowns)
				}
				return
			}
			if diff := cmp.Diff(peer.Summary, p.Summary); diff != "" {
				t.Errorf("summaries differ (-agent +plain):\n%s", diff)
			}
		})
	}
}

func mapValues(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// An edited file is found by its package's sum and shown. An unreadable file is
// reported.
func TestReadOnlyPlainly(t *testing.T) {
	lab := sshd.Open(t, "busybox", "attr")
	one, two := lab.Start("one", sshd.Options{}), lab.Start("two", sshd.Options{})
	two.Exec("sh", "-euc", `echo 'PermitRootLogin yes' >>/etc/ssh/sshd_config
echo '# edited' >>/etc/sudo.conf
rm /usr/bin/sudoedit
touch "$(printf '/srv/line\nbreak')"`)
	server, p := read(t, on(two, gnu))
	for file, text := range server.Texts {
		if strings.Contains(string(text), "PRIVATE KEY") {
			t.Errorf("%s was brought", file)
		}
		if strings.HasSuffix(file, "shadow") && strings.Contains(string(text), "$6$") {
			t.Errorf("the passwords of %s were brought", file)
		}
	}
	c, err := compare.Compare(t.Context(), []*facts.Peer{agent.On(t, one.Root), p}, nil)
	must(t, err)
	found := map[string]compare.Difference{}
	for _, d := range c.Differences {
		found[d.Key] = d
	}
	if d := found["/etc/ssh/sshd_config"]; !strings.Contains(d.Text, "+PermitRootLogin yes") {
		t.Errorf("of an edited file it says %+v", d)
	}
	if d := found["/etc/sudo.conf"]; !d.Edited || d.Package != "sudo" {
		t.Errorf("of an edited file of a package it says %+v", d)
	}
	if d := found["/usr/bin/sudoedit"]; d.Package != "sudo" {
		t.Errorf("of a removed file it says %+v", d)
	}
	if u := c.Unknowns["plain"]; len(u) != 1 || !strings.Contains(u[0].Reason, "1 names with a line break") {
		t.Errorf("it does not know %v", u)
	}
}

// An invalid answer is refused, and an incomplete one is not clean.
func TestHostileAnswers(t *testing.T) {
	root := "%s entries\n41ed 0 0 0 0 0 1 /\n"
	for name, tc := range map[string]struct{ says, want string }{
		"nothing":          {"", "it is truncated"},
		"no end":           {"%s system\nLinux\nx86_64\n6.1\n" + root, "it is truncated"},
		"no system":        {root + "%s end\n", "want Linux"},
		"another system":   {"%s system\nDarwin\narm64\n23\n" + root + "%s end\n", "want Linux"},
		"no root":          {"%s system\nLinux\nx86_64\n6.1\n%s end\n", "root directory is missing"},
		"a tool is gone":   {"%s system\nLinux\nx86_64\n6.1\n%s missing\nfind\nst\x1bat\n%s end\n", "has no find, st"},
		"a path leads out": {"%s system\nLinux\nx86_64\n6.1\n" + root + "81a4 0 0 1 0 0 1 /../etc/passwd\n%s end\n", "answer is invalid"},
		"a path twice":     {"%s system\nLinux\nx86_64\n6.1\n" + root + "81a4 0 0 1 0 0 1 /a\n81a4 0 0 1 0 0 1 /a\n%s end\n", "twice"},
		"a negative size":  {"%s system\nLinux\nx86_64\n6.1\n" + root + "81a4 0 0 -1 0 0 1 /a\n%s end\n", "answer is invalid"},
		"below a file":     {"%s system\nLinux\nx86_64\n6.1\n" + root + "81a4 0 0 1 0 0 1 /a\n81a4 0 0 1 0 0 1 /a/b\n%s end\n", "answer is invalid"},
		"a line too long":  {"%s entries\n" + strings.Repeat("x", maxLine+1), "answer is invalid"},
		"no such type":     {"%s system\nLinux\nx86_64\n6.1\n" + root + "1ff 0 0 0 0 0 1 /a\n%s end\n", "answer is invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(t.Context(), saying(tc.says), false)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("the error has an escape in it: %q", err)
			}
		})
	}
	s, err := Read(t.Context(), saying("%s system\nLinux\nx86_64\n6.1\n"+root+"81a4 0 0 1 0 0 1 /a\na1ff 0 0 1 0 0 1 /l\n%s errors\nsha256sum: /a: Input/output error\nexit 1\n%s errors\nexit 137\n%s end\n"), false)
	must(t, err)
	p, end, err := s.Peer(t.Context(), "plain")
	must(t, err)
	defer end()
	var reasons []string
	for _, u := range p.Summary.Unknowns {
		reasons = append(reasons, u.Path+" "+u.Reason)
	}
	for _, want := range []string{"/a Input/output error", "/ a command ended with status 137", "/l its target was not read", "/a its content was not read"} {
		if !slices.Contains(reasons, want) {
			t.Errorf("%q is not among what is unknown: %q", want, reasons)
		}
	}
}

// saying answers with a text in which %s stands for the nonce.
type saying string

func (s saying) Run(_ context.Context, c ssh.Command) error {
	_, err := io.WriteString(c.Stdout, strings.ReplaceAll(string(s), "%s", c.Args[4]))
	if errors.Is(err, io.ErrClosedPipe) || errors.Is(err, context.Canceled) {
		return nil // as if nobody read the output of the command
	}
	return err
}

// endless is a server whose output never ends.
type endless struct{}

func (endless) Run(ctx context.Context, c ssh.Command) error {
	line := []byte(c.Args[4] + " file /etc/x\n" + strings.Repeat("x", 1<<20))
	for ctx.Err() == nil {
		if _, err := c.Stdout.Write(line); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func TestEndlessAnswer(t *testing.T) {
	if _, err := Read(t.Context(), endless{}, false); !errors.Is(err, errTooLarge) {
		t.Fatalf("got %v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("N system\nLinux\nx86_64\n6.1\nN entries\n41ed 0 0 0 0 0 1 /\na1ff 0 0 1 0 0 1 /l\nN links\n'/l' -> 'b'\nN xattrs\n# file: /\nuser.a=0x00\nN file /etc/a\nx\n\nN sums\nN end\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a := newAnswer()
		if a.read(bufio.NewReader(bytes.NewReader(text)), "N") != nil {
			return
		}
		s, err := a.offline()
		if err != nil {
			return
		}
		p, end, err := s.Peer(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		for e := range s.Files.All() {
			if !strings.HasPrefix(e.Path, "/") || strings.Contains(e.Path, "/../") {
				t.Errorf("it lists %q", e.Path)
			}
		}
		if p.Summary.Entries > s.Files.Len()+1 {
			t.Errorf("%d of %d entries are compared", p.Summary.Entries, s.Files.Len())
		}
	})
}
