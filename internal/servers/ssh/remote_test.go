package ssh_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
	"github.com/adamant-sh/adamant/test/sshd"
)

// write creates a file in a new directory.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// host returns a server of the lab whose host key is known.
func host(t *testing.T, l *sshd.Lab, s *sshd.Server, user string) inventory.Host {
	t.Helper()
	return inventory.Host{
		Name: s.Name, Address: s.Addr, Port: s.Port, User: user, IdentityFiles: []string{l.KeyFile}, IdentitiesOnly: true,
		UserKnownHosts: []string{write(t, "known_hosts", s.KnownHostsLine)}, ConnectTimeout: 20 * time.Second,
	}
}

// options returns options that ignore the files of this machine's user.
func options(t *testing.T) ssh.Options {
	return ssh.Options{Home: t.TempDir(), Agent: "/nonexistent", SystemKnownHosts: []string{}}
}

func dial(t *testing.T, h inventory.Host, o ssh.Options) *ssh.Conn {
	t.Helper()
	c, err := ssh.Dial(t.Context(), h, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// output runs a command that must succeed, and returns stdout.
func output(t *testing.T, c *ssh.Conn, cmd ssh.Command) string {
	t.Helper()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := c.Run(t.Context(), cmd); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	return out.String()
}

// refused checks that an error wraps kind and contains all texts.
func refused(t *testing.T, err, kind error, says ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want it to be %v", err, kind)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
	if strings.ContainsAny(err.Error(), "\x1b\n\r") {
		t.Errorf("the error is not fit to be printed: %q", err)
	}
}
