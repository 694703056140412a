package sshd

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

//go:embed boot.sh
var bootScript string

// Options configures a server. The zero value is an ordinary server.
type Options struct {
	Port   int               // 22 if it is 0
	Config []string          // lines of sshd_config(5), before the system's own
	Files  map[string]string // content by absolute path, for its disk
	// Systemd makes systemd the first process in place of sshd. It must be one
	// of the lab's packages.
	Systemd bool
	// DiskSize is the size of the server's disk, such as "300m". Without one, the disk is
	// a directory of the machine.
	DiskSize string
	// Reboots starts the server again after a reboot that it requested itself. Until
	// then its methods wait, and its Root is the old one.
	Reboots bool
}

// A Server is one machine of the lab, with the users root, admin (sudo with
// AdminPassword), ops (sudo without a password) and guest (no sudo).
type Server struct {
	Name     string
	Addr     string // IP address
	Port     int
	HostKeys []ssh.PublicKey // Ed25519, ECDSA
	Root     string          // its files, as it sees them itself; another path after Reboot

	// KnownHostsLine is the output of ssh-keyscan(1) for the server: one line
	// for each host key.
	KnownHostsLine string

	lab     *Lab
	number  int
	disk    string
	link    *Link  // by which it is reached, nil for none
	cgroup  string // its directory, if systemd is its first process
	reboots bool

	mu         sync.Mutex    // for the fields below and Root, held while it boots
	pid        int           // of its first process, 0 when it is off
	namespaces []string      // of its first process
	first      *os.Process   // has that pid
	ended      chan struct{} // closed when that process has ended
}

// Start creates a server and returns when it accepts logins.
func (l *Lab) Start(name string, opts Options) *Server {
	l.t.Helper()
	number := len(l.servers) + 1
	s := &Server{Name: name, Port: opts.Port, lab: l, number: number, disk: filepath.Join(l.dir, strconv.Itoa(number)),
		Addr: l.address(byte(number)).String(), reboots: opts.Reboots}
	if s.Port == 0 {
		s.Port = 22
	}
	if err := s.makeDisk(opts); err != nil {
		l.t.Fatalf("sshd: disk of %s: %v", name, err)
	}
	if opts.Systemd {
		if err := s.makeCgroup(); err != nil {
			l.t.Fatalf("sshd: cgroup of %s: %v", name, err)
		}
	}
	s.KnownHostsLine = s.knownHosts(s.Addr, s.Port)
	l.servers = append(l.servers, s)
	if err := s.start(); err != nil {
		l.t.Fatalf("sshd: start %s: %v\n%s", name, err, s.Log())
	}
	return s
}

func (s *Server) knownHosts(addr string, port int) string {
	host := addr
	if port != 22 {
		host = fmt.Sprintf("[%s]:%d", addr, port)
	}
	var lines strings.Builder
	for _, key := range s.HostKeys {
		fmt.Fprintf(&lines, "%s %s", host, ssh.MarshalAuthorizedKey(key))
	}
	return lines.String()
}

// await waits until sshd listens. It does not use the network for that, because
// after a packet that is sent before the link is up the kernel waits a second
// until it tries again.
func (s *Server) await(from int) error {
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(s.Log()[from:], "Server listening on 0.0.0.0") {
		if time.Now().After(deadline) {
			return errors.New("sshd does not listen after 20s")
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// Exec runs a command on the server as root, without sshd, and returns its
// output. The test fails if the command fails.
func (s *Server) Exec(command ...string) string {
	s.lab.t.Helper()
	s.mu.Lock()
	pid := s.pid
	s.mu.Unlock()
	out, err := execIn(pid, command)
	if err != nil {
		s.lab.t.Fatalf("sshd: %s on %s: %v", strings.Join(command, " "), s.Name, err)
	}
	return out
}

// execIn runs a command on the server whose first process has a pid.
func execIn(pid int, command []string) (string, error) {
	if pid == 0 {
		return "", errors.New("the server is off")
	}
	args := []string{"--target", strconv.Itoa(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd=/", "--"}
	cmd := exec.Command("nsenter", append(args, command...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return string(out), err
}

// Log returns the output of the server's sshd.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *Server) log() string { return filepath.Join(s.disk, "log") }
