package ssh_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
	"github.com/adamant-sh/adamant/test/sshd"
)

// noise returns random bytes that are equal for equal seeds.
func noise(seed byte, size int) []byte {
	text := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(text)
	return text
}

func TestRun(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{})
	c := dial(t, host(t, l, s, "guest"), options(t))

	t.Run("a line and arguments", func(t *testing.T) {
		if got := output(t, c, ssh.Command{Line: "echo $((1 + 1)); id -un"}); got != "2\nguest\n" {
			t.Errorf("the line prints %q", got)
		}
		args := []string{"printf", "%s|", "", " a  b ", "it's", `\'"$HOME`, "*", "line\nbreak", "-n"}
		if got := output(t, c, ssh.Command{Args: args}); got != "| a  b |it's|\\'\"$HOME|*|line\nbreak|-n|" {
			t.Errorf("the arguments arrive as %q", got)
		}
		for _, cmd := range []ssh.Command{{}, {Line: "x", Args: []string{"x"}}, {Line: "a\x00b"}} {
			if err := c.Run(t.Context(), cmd); err == nil {
				t.Errorf("%+v runs", cmd)
			}
		}
	})
	t.Run("status", func(t *testing.T) {
		var said bytes.Buffer
		err := c.Run(t.Context(), ssh.Command{Line: "echo first >&2; printf 'bad \\033[31m' >&2; exit 7", Stderr: &said})
		var exit *ssh.ExitError
		if !errors.As(err, &exit) || exit.Status != 7 || exit.Stderr != "first\nbad \x1b[31m" || said.String() != exit.Stderr {
			t.Errorf("got %v %q", err, said.String())
		}
		if want := `run command on web-1: exit status 7: bad \x1b[31m`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		err = c.Run(t.Context(), ssh.Command{Line: "kill -TERM $$"})
		if !errors.As(err, &exit) || exit.Signal != "TERM" || exit.Status != 143 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("stdout and stderr are apart", func(t *testing.T) {
		var out, said bytes.Buffer
		err := c.Run(t.Context(), ssh.Command{
			Line:   "(yes out | head -c 3000000) & (yes err | head -c 5000000 >&2) & wait",
			Stdout: &out, Stderr: &said,
		})
		if err != nil || out.Len() != 3000000 || said.Len() != 5000000 || bytes.Contains(out.Bytes(), []byte("err")) || bytes.Contains(said.Bytes(), []byte("out")) {
			t.Errorf("%d and %d bytes: %v", out.Len(), said.Len(), err)
		}
	})
	t.Run("binary input", func(t *testing.T) {
		text := noise(1, 3<<20)
		var out bytes.Buffer
		if err := c.Run(t.Context(), ssh.Command{Line: "cat", Stdin: bytes.NewReader(text), Stdout: &out}); err != nil {
			t.Fatal(err)
		}
		if sha256.Sum256(out.Bytes()) != sha256.Sum256(text) {
			t.Errorf("%d bytes come back as %d others", len(text), out.Len())
		}
		if err := c.Run(t.Context(), ssh.Command{Line: "head -c 1", Stdin: bytes.NewReader(noise(1, 16<<20))}); err != nil {
			t.Errorf("a command that reads one byte: %v", err)
		}
	})
}

func TestSudo(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{})
	right, wrong := inventory.NewSecret(sshd.AdminPassword), inventory.NewSecret("wrong")
	for _, test := range []struct {
		name, user, become string
		password           inventory.Secret
		says               string // in the error; empty if there is none
	}{
		{"password", "admin", "root", right, ""},
		{"password, another user", "admin", "guest", right, ""},
		{"none needed", "ops", "root", inventory.Secret{}, ""},
		{"none needed but given", "ops", "", wrong, ""},
		{"root already", "root", "root", wrong, ""},
		{"root becomes another", "root", "guest", inventory.Secret{}, ""},
		{"none given", "admin", "root", inventory.Secret{}, "a password is required"},
		{"wrong", "admin", "root", wrong, "does not accept the password"},
		{"no rights", "guest", "root", inventory.NewSecret(sshd.GuestPassword), "guest is not in the sudoers file"},
		{"no such user", "ops", "nobody-here", inventory.Secret{}, "unknown user"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := host(t, l, s, test.user)
			h.Become = inventory.Become{On: true, User: test.become, Password: test.password}
			c := dial(t, h, options(t))
			text := noise(2, 1<<20)
			var out, said bytes.Buffer
			err := c.Run(t.Context(), ssh.Command{
				Line: "id -un; echo it\\'s >&2; cat", Sudo: true, Stdin: bytes.NewReader(text), Stdout: &out, Stderr: &said,
			})
			if test.says != "" {
				refused(t, err, ssh.ErrSudo, test.says)
				return
			}
			become := test.become
			if become == "" {
				become = "root"
			}
			if err != nil || !bytes.Equal(out.Bytes(), append([]byte(become+"\n"), text...)) || said.String() != "it's\n" {
				t.Errorf("got %.20q, %d bytes, and %q: %v", out.String(), out.Len(), said.String(), err)
			}
		})
	}
}
