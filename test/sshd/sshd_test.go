package sshd_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/test/sshd"
)

// login runs a command as a user with the lab's key.
func login(t *testing.T, l *sshd.Lab, s *sshd.Server, user, command string) string {
	t.Helper()
	client, err := ssh.Dial("tcp", net.JoinHostPort(s.Addr, strconv.Itoa(s.Port)), &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(l.Key)},
		HostKeyCallback: ssh.FixedHostKey(s.HostKeys[0]), HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
		Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.Output(command)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestServersAreMachinesOfTheirOwn(t *testing.T) {
	l := sshd.Open(t)
	start := time.Now()
	a, b, c := l.Start("web-1", sshd.Options{}), l.Start("web-2", sshd.Options{}), l.Start("web-3", sshd.Options{Port: 2222})
	t.Logf("three servers in %v", time.Since(start))
	seen := map[string]bool{}
	for _, s := range []*sshd.Server{a, b, c} {
		for _, user := range []string{"root", "admin", "ops", "guest"} {
			if got := login(t, l, s, user, "id -un; cat /proc/sys/kernel/hostname"); got != user+"\n"+s.Name {
				t.Errorf("%s on %s is %q", user, s.Name, got)
			}
		}
		seen[login(t, l, s, "root", "cat /etc/machine-id")] = true
		if got := login(t, l, s, "root", "cat /proc/1/comm"); got != "sshd" {
			t.Errorf("the first process of %s is %s", s.Name, got)
		}
	}
	if len(seen) != 3 {
		t.Errorf("there are %d machine ids", len(seen))
	}
	b.Exec("sh", "-c", "echo changed >/etc/motd")
	if got := login(t, l, a, "root", "cat /etc/motd"); strings.Contains(got, "changed") {
		t.Error("servers share a disk")
	}
	if got := login(t, l, b, "root", "exec 3<>/dev/tcp/"+a.Addr+"/22; head -c 4 <&3"); got != "SSH-" {
		t.Errorf("%s says %q to %s", a.Name, got, b.Name)
	}
}

func TestRebootKeepsTheDisk(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("db", sshd.Options{Files: map[string]string{"/srv/data": "kept"}})
	if err := os.WriteFile(filepath.Join(s.Root, "srv/more"), []byte("too"), 0o644); err != nil {
		t.Fatal(err)
	}
	login(t, l, s, "root", "touch /run/gone; sleep 1000 >/dev/null 2>&1 &")
	s.Reboot()
	if got := login(t, l, s, "root", "cat /srv/*; ls /run/gone 2>/dev/null; pgrep sleep; true"); got != "kepttoo" {
		t.Errorf("after the reboot: %q", got)
	}
	s.Kill()
	s.Kill()
}

func TestLinkDown(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("far", sshd.Options{})
	s.LinkDown()
	_, err := ssh.Dial("tcp", s.Addr+":22", &ssh.ClientConfig{HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 300 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("the server is reached with its link down: %v", err)
	}
	s.LinkUp()
	if got := login(t, l, s, "ops", "sudo -n id -un"); got != "root" {
		t.Errorf("ops is %q", got)
	}
}

// bootID returns the id of the current boot.
func bootID(t *testing.T, s *sshd.Server) string {
	t.Helper()
	id, err := s.BootID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestSystemd checks a server that systemd boots, as on most machines, and that the
// server can reboot itself.
func TestSystemd(t *testing.T) {
	l := sshd.Open(t, "systemd", "dbus")
	s := l.Start("web-1", sshd.Options{Systemd: true, Reboots: true})
	seen := map[string]bool{}
	for _, reboot := range []func(){s.Reboot, func() { rebootItself(t, l, s, "systemctl reboot") }, func() { rebootItself(t, l, s, "systemctl reboot -ff") }} {
		if got := login(t, l, s, "root", "cat /proc/1/comm; systemctl is-active ssh"); got != "systemd\nactive" {
			t.Errorf("got %q", got)
		}
		seen[bootID(t, s)] = true
		login(t, l, s, "root", "touch /run/gone")
		reboot()
		if got := login(t, l, s, "root", "ls /run/gone 2>/dev/null; true"); got != "" {
			t.Error("the server was not rebooted")
		}
	}
	seen[bootID(t, s)] = true
	if len(seen) != 4 {
		t.Errorf("4 boots have %d ids", len(seen))
	}
}

// rebootItself runs a command that reboots the server, and waits for the next boot.
func rebootItself(t *testing.T, l *sshd.Lab, s *sshd.Server, command string) {
	t.Helper()
	before := bootID(t, s)
	login(t, l, s, "root", "(sleep .2; "+command+") >/dev/null 2>&1 &")
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(50 * time.Millisecond) {
		if id, err := s.BootID(); err == nil && id != before {
			return
		}
	}
	t.Fatalf("%s: the server did not reboot", command)
}
