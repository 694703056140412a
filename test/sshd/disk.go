package sshd

import (
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// makeDisk writes the files that belong to this server alone, as an installer
// does.
func (s *Server) makeDisk(opts Options) error {
	if opts.DiskSize != "" {
		if err := os.MkdirAll(s.disk, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("tmpfs", s.disk, "tmpfs", 0, "mode=755,size="+opts.DiskSize); err != nil {
			return fmt.Errorf("mount %s: %w", s.disk, err)
		}
		s.lab.t.Cleanup(func() { _ = syscall.Unmount(s.disk, syscall.MNT_DETACH) }) // the lab has ended, or fails the test
	}
	for _, d := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(s.disk, d), 0o755); err != nil {
			return err
		}
	}
	id := make([]byte, 16)
	rand.Read(id)
	files := map[string]string{
		"/etc/hostname":                  s.Name + "\n",
		"/etc/hosts":                     fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", s.Addr, s.Name),
		"/etc/machine-id":                fmt.Sprintf("%x\n", id),
		"/etc/ssh/sshd_config.d/00.conf": fmt.Sprintf("Port %d\n%s\n", s.Port, strings.Join(opts.Config, "\n")),
		"/etc/ssh/authorized_keys":       string(ssh.MarshalAuthorizedKey(s.lab.Key.PublicKey())),
		"/etc/ssh/sshd_config.d/01.conf": "AuthorizedKeysFile /etc/ssh/authorized_keys .ssh/authorized_keys\n",
	}
	if opts.Systemd {
		files["/var/lib/dbus/machine-id"] = files["/etc/machine-id"] // that of the lab's layer would be everybody's
	}
	maps.Copy(files, opts.Files)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(s.disk, "upper", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil {
			return err
		}
	}
	return s.makeHostKeys()
}

// makeHostKeys creates host keys of two types, because a client may know only
// one of them.
func (s *Server) makeHostKeys() error {
	dir := filepath.Join(s.disk, "upper/etc/ssh")
	ed, _, err := newKey(filepath.Join(dir, "ssh_host_ed25519_key"))
	if err != nil {
		return fmt.Errorf("host key: %w", err)
	}
	ec, err := newECDSAKey(filepath.Join(dir, "ssh_host_ecdsa_key"))
	if err != nil {
		return fmt.Errorf("host key: %w", err)
	}
	s.HostKeys = []ssh.PublicKey{ed.PublicKey(), ec.PublicKey()}
	return nil
}
