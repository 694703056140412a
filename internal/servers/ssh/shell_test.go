package ssh_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
	"github.com/adamant-sh/adamant/test/sshd"
)

// shellPackages are the shells that are no POSIX shells, and zsh.
var shellPackages = []string{"csh", "fish", "tcsh", "zsh"}

// Startup files that print, read, fail or redirect change no byte of a command's input
// and output, and not its status.
func TestLoginShells(t *testing.T) {
	l := sshd.Open(t, shellPackages...)
	s := l.Start("web-1", sshd.Options{Files: map[string]string{"/etc/ssh/banner": "BANNER\n"}, Config: []string{"Banner /etc/ssh/banner"}})
	s.Exec("sh", "-euc", "ln -s bash /bin/rbash 2>/dev/null || true; chown ops: /home/ops")
	for name, test := range map[string]struct{ shell, file, startup string }{
		"sh":                   {"/bin/sh", ".profile", "echo HELLO"},
		"tcsh":                 {"/bin/tcsh", ".tcshrc", "echo HELLO\nalias sh 'echo no'\nset history=100\n"},
		"csh":                  {"/bin/bsd-csh", ".cshrc", "echo HELLO\nset noclobber\n"},
		"fish":                 {"/usr/bin/fish", ".config/fish/config.fish", "echo HELLO; echo HELLO >&2\nfunction bye --on-event fish_exit; echo BYE; end\n"},
		"zsh":                  {"/bin/zsh", ".zshenv", "echo HELLO\nsetopt noclobber\nTRAPEXIT() { echo BYE }\n"},
		"restricted":           {"/bin/rbash", ".bashrc", "echo HELLO"},
		"prints megabytes":     {"/bin/bash", ".bashrc", "head -c 3000000 /dev/urandom; head -c 3000000 /dev/urandom >&2"},
		"reads a line":         {"/bin/bash", ".bashrc", "read -p 'which project? ' project; read again; echo $project $again"},
		"fails":                {"/bin/bash", ".bashrc", "trap 'echo BYE' EXIT; echo HELLO; no-such-command; if"},
		"prints its commands":  {"/bin/bash", ".bashrc", "set -xv; echo $BASH_EXECUTION_STRING"},
		"joins its outputs":    {"/bin/bash", ".bashrc", "echo HELLO; exec 2>&1"},
		"drops its errors":     {"/bin/bash", ".bashrc", "echo HELLO; exec 2>/dev/null"},
		"no line break at end": {"/bin/bash", ".bashrc", "printf HELLO; printf HELLO >&2; cd /; PATH=/nowhere; unset HOME; alias exec=echo"},
	} {
		t.Run(name, func(t *testing.T) {
			s.Exec("sh", "-euc", `usermod -s "$1" ops; cd /home/ops; rm -rf .[a-z]*; mkdir -p .config/fish; printf '%s\n' "$3" >"$2"; chown -R ops: .`, "sh", test.shell, test.file, test.startup)
			h := host(t, l, s, "ops")
			h.Become = inventory.Become{On: true}
			c := dial(t, h, options(t))
			for _, sudo := range []bool{false, true} {
				if sudo && name == "no line break at end" {
					continue // there is no sudo on its PATH
				}
				text := append(noise(3, 1<<20), "it's a\\n !\n"...)
				var out bytes.Buffer
				err := c.Run(t.Context(), ssh.Command{
					Args:  []string{"/bin/sh", "-c", "PATH=/usr/bin:/bin\nprintf '%s|' \"$@\"; echo $((1+1)); cat; exit 7", "sh", "it's", "a b\n!\\0101", "\xff"},
					Stdin: bytes.NewReader(text), Stdout: &out, Sudo: sudo,
				})
				var exit *ssh.ExitError
				if !errors.As(err, &exit) || exit.Status != 7 {
					t.Errorf("sudo %v: got %v, want status 7", sudo, err)
				}
				want := append([]byte("it's|a b\n!\\0101|\xff|2\n"), text...)
				if sha256.Sum256(out.Bytes()) != sha256.Sum256(want) {
					t.Errorf("sudo %v: got %d bytes, want %d: %.100q", sudo, out.Len(), len(want), out.Bytes())
				}
			}
		})
	}
}

// A login shell that runs no command is an error that shows its own message.
func TestLoginShellsThatRunNothing(t *testing.T) {
	l := sshd.Open(t, shellPackages...)
	s := l.Start("web-1", sshd.Options{})
	for name, test := range map[string]struct{ shell, startup, want string }{
		"nologin":        {"/usr/sbin/nologin", "", "exited with status 1: This account is currently not available."},
		"true":           {"/bin/true", "", "exited with status 0: no message"},
		"exits":          {"/bin/bash", "echo closed for maintenance; exit 0", "exited with status 0: closed for maintenance"},
		"fails":          {"/bin/bash", "set -e; echo HELLO; false", "exited with status 1: HELLO"},
		"waits for ever": {"/bin/bash", "cat >/dev/null", "after 3s it has not; a startup file may wait for input"},
		"prints forever": {"/bin/bash", "yes", "prints more than 16 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user := fmt.Sprintf("u%x", name)
			s.Exec("sh", "-euc", `useradd -m -s "$2" "$1"; printf '%s\n' "$3" >/home/$1/.bashrc`, "sh", user, test.shell, test.startup)
			o := options(t)
			o.StartTimeout = 20 * time.Second
			if name == "waits for ever" {
				o.StartTimeout = 3 * time.Second
			}
			err := dial(t, host(t, l, s, user), o).Run(t.Context(), ssh.Command{Args: []string{"echo", "hello"}})
			refused(t, err, ssh.ErrShell, test.want)
		})
	}
}

// sudo that wants a terminal gets one, and changes no byte of input and output.
func TestSudoWithATerminal(t *testing.T) {
	l := sshd.Open(t, shellPackages...)
	s := l.Start("web-1", sshd.Options{Files: map[string]string{
		"/etc/sudoers.d/tty": "Defaults requiretty\nDefaults lecture=always\nDefaults use_pty\n", "/etc/motd-sudo": "PAM\n",
	}})
	s.Exec("sh", "-euc", "usermod -s /bin/tcsh admin; sed -i '1i session optional pam_echo.so file=/etc/motd-sudo' /etc/pam.d/sudo")
	h := host(t, l, s, "admin")
	h.Become = inventory.Become{On: true, Password: inventory.NewSecret(sshd.AdminPassword)}
	c := dial(t, h, options(t))
	text := noise(4, 1<<20)
	for range 2 {
		var out bytes.Buffer
		err := c.Run(t.Context(), ssh.Command{Line: "id -un; cat; exit 7", Stdin: bytes.NewReader(text), Stdout: &out, Sudo: true})
		var exit *ssh.ExitError
		if !errors.As(err, &exit) || exit.Status != 7 || !bytes.Equal(out.Bytes(), append([]byte("root\n"), text...)) {
			t.Errorf("got %d bytes, %.80q: %v", out.Len(), out.Bytes(), err)
		}
	}
	s.Exec("mv", "/usr/bin/script", "/usr/bin/no-script")
	err := dial(t, h, options(t)).Run(t.Context(), ssh.Command{Line: "true", Sudo: true})
	refused(t, err, ssh.ErrSudo, "requiretty", "no script(1)")
}
