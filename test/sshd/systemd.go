package sshd

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// makeCgroup creates a directory for systemd alone. Its name contains that of
// the lab's link, which is unique among labs, so an existing one is what a killed
// lab left.
func (s *Server) makeCgroup() error {
	top, err := cgroups()
	if err != nil {
		return err
	}
	s.cgroup = filepath.Join(top, fmt.Sprintf("%s-%d", s.lab.link, s.number))
	s.emptyCgroup()
	if err := os.Remove(s.cgroup); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Mkdir(s.cgroup, 0o755)
}

// cgroups returns the mount point of the machine's cgroups of version 2, which
// may be mounted beside version 1.
func cgroups() (string, error) {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1], nil
		}
	}
	return "", errors.New("no cgroups of version 2 are mounted")
}

// enterCgroup makes a command start in the server's cgroup.
func (s *Server) enterCgroup(cmd *exec.Cmd) error {
	fd, err := syscall.Open(s.cgroup, syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	return err
}

// awaitSystemd waits until sshd listens and the boot has finished.
func (s *Server) awaitSystemd() error {
	deadline := time.Now().Add(60 * time.Second)
	for !s.listens() {
		if time.Now().After(deadline) {
			return errors.New("sshd does not listen after 60s")
		}
		time.Sleep(20 * time.Millisecond)
	}
	// "degraded" is no failure of ours.
	_, err := execIn(s.pid, []string{"sh", "-c", "timeout 60 systemctl is-system-running --wait || true"})
	return err
}

// listens reports whether the server has a listening socket at its port.
func (s *Server) listens() bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/tcp", s.pid))
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		field := strings.Fields(lines.Text())
		if len(field) > 3 && strings.HasSuffix(field[1], fmt.Sprintf(":%04X", s.Port)) && field[3] == "0A" {
			return true
		}
	}
	return false
}

// emptyCgroup removes the cgroups that systemd created in the directory, so
// that systemd can be started again.
func (s *Server) emptyCgroup() {
	if s.cgroup == "" {
		return
	}
	var dirs []string
	_ = filepath.WalkDir(s.cgroup, func(dir string, d fs.DirEntry, err error) error { // leftovers reports directories that remain
		if err == nil && d.IsDir() && dir != s.cgroup {
			dirs = append(dirs, dir)
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		os.Remove(dir)
	}
}

// removeCgroups removes the cgroups of all servers, and lists those that are
// still in use.
func (l *Lab) removeCgroups() (left []string) {
	for _, s := range l.servers {
		if s.cgroup == "" {
			continue
		}
		s.emptyCgroup()
		if err := os.Remove(s.cgroup); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = append(left, "cgroup "+s.cgroup)
		}
	}
	return left
}
