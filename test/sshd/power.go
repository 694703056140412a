package sshd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// boot starts the server from its disk. The caller holds s.mu.
func (s *Server) boot() error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	logged := len(s.Log())
	parent, err := s.bootCommand()
	if err != nil {
		return err
	}
	parent.Stdout, parent.Stderr = log, log
	parent.Env = []string{
		"PATH=" + os.Getenv("PATH"), "DISK=" + s.disk, "LOWER=" + s.lab.lower, "NAME=" + s.Name,
		"ADDRESS=" + s.Addr + "/24", "GATEWAY=" + s.lab.address(254).String(), "CGROUP=" + s.cgroup,
	}
	power, err := parent.StdinPipe()
	if err != nil {
		return err
	}
	defer power.Close()
	if s.first, err = s.lab.spawn(parent); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.ended = ended
	s.lab.watchers.Go(func() { s.watch(parent, ended) })
	s.pid = s.first.Pid
	s.Root = fmt.Sprintf("/proc/%d/root", s.pid)
	if s.namespaces, err = s.lab.remember(s.pid, "net", "pid", "mnt"); err != nil {
		return err
	}
	if err := s.plug(); err != nil {
		return err
	}
	// The boot script waits for this line, so that sshd starts with its
	// network.
	if _, err := io.WriteString(power, "go\n"); err != nil {
		return err
	}
	if s.cgroup != "" {
		return s.awaitSystemd()
	}
	return s.await(logged)
}

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.boot()
}

// watch waits until the server has ended. It starts the server again if that requested a
// reboot.
func (s *Server) watch(parent *exec.Cmd, ended chan struct{}) {
	err := parent.Wait()
	close(ended)
	if !s.reboots || !isReboot(err) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != ended {
		return // it was killed meanwhile
	}
	if err := s.bootAgain(); err != nil {
		s.lab.t.Errorf("sshd: reboot %s: %v\n%s", s.Name, err, s.Log())
	}
}

// isReboot reports whether the first process of a process namespace ended because one of
// its processes requested a reboot (pid_namespaces(7)). Its parents end by the same
// signal.
func isReboot(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signal() == syscall.SIGHUP
}

// Kill kills all processes of the server at once. Its disk keeps the state of
// that moment.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

func (s *Server) kill() {
	if s.pid == 0 {
		return
	}
	// The time is recorded before the kill, because the numbers of the
	// namespaces may be reused right after it.
	s.lab.forget(s.namespaces)
	s.first.Kill()
	<-s.ended
	s.pid, s.Root, s.ended = 0, "", nil
	s.emptyCgroup()
}

// Reboot kills the server and starts it from the same disk, at the same
// address.
func (s *Server) Reboot() {
	s.lab.t.Helper()
	s.mu.Lock()
	err := s.bootAgain()
	s.mu.Unlock() // Fatalf may end the lab, which takes the lock
	if err != nil {
		s.lab.t.Fatalf("sshd: reboot %s: %v\n%s", s.Name, err, s.Log())
	}
}

func (s *Server) bootAgain() error {
	s.kill()
	s.unplug()
	return s.boot()
}

// BootID returns the id of the server's boot. It returns an error while the server is off.
func (s *Server) BootID() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := execIn(s.pid, []string{"cat", "/proc/sys/kernel/random/boot_id"})
	return strings.TrimSpace(id), err
}
