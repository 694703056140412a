package sshd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// logins are the ways to log in to the servers, used in turn.
var logins = []string{
	"ansible_user=root",
	"ansible_user=ops ansible_become=yes",
	"ansible_user=admin ansible_become=yes ansible_become_password='" + AdminPassword + "'",
}

// WriteHome writes the files that a client needs to reach servers: an inventory
// hosts.ini with all of them in the group web, and in home/.ssh their host keys
// and the lab's key. The first server is reached as root, the second through
// sudo without a password, the third through sudo with one, and so on. Servers
// with a Link are reached through it.
func (l *Lab) WriteHome(dir string, servers []*Server) error {
	var hosts, known strings.Builder
	hosts.WriteString("[web]\n")
	for i, s := range servers {
		known.WriteString(s.KnownHostsLine)
		addr, port := s.Addr, s.Port
		if s.link != nil {
			addr, port = s.link.Addr, s.link.Port
			known.WriteString(s.knownHosts(addr, port))
		}
		fmt.Fprintf(&hosts, "%s ansible_host=%s ansible_port=%d %s\n", s.Name, addr, port, logins[i%len(logins)])
	}
	key, err := os.ReadFile(l.KeyFile)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"hosts.ini": hosts.String(), "home/.ssh/known_hosts": known.String(), "home/.ssh/id_ed25519": string(key),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
