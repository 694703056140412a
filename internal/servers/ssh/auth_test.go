package ssh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
	remote "github.com/adamant-sh/adamant/internal/servers/ssh"
	"github.com/adamant-sh/adamant/test/sshd"
)

// serveAgent serves an agent that has the keys in files.
func serveAgent(t *testing.T, files ...string) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.ParseRawPrivateKey(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	accept(t, listener, func(c net.Conn) { agent.ServeAgent(ring, c) })
	return socket
}

// newKeyFile writes a private key that no server knows yet, and returns its public
// key.
func newKeyFile(t *testing.T, passphrase string) (string, string) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "id_ed25519", string(pem.EncodeToMemory(block))), string(ssh.MarshalAuthorizedKey(sshPublic))
}

// answers returns one text after another, and records the prompts.
type answers struct {
	texts   []string
	prompts []string
}

func (a *answers) ask(prompt string) (string, error) {
	a.prompts = append(a.prompts, prompt)
	if len(a.texts) == 0 {
		return "", os.ErrDeadlineExceeded
	}
	text := a.texts[0]
	a.texts = a.texts[1:]
	return text, nil
}

func try(t *testing.T, h inventory.Host, o remote.Options) error {
	t.Helper()
	c, err := remote.Dial(t.Context(), h, o)
	if err == nil {
		c.Close()
	}
	return err
}

func TestKeys(t *testing.T) {
	l := sshd.Open(t)
	locked, lockedPublic := newKeyFile(t, "open sesame")
	useless, _ := newKeyFile(t, "")
	s := l.Start("web-1", sshd.Options{Files: map[string]string{"/root/.ssh/authorized_keys": lockedPublic}, Config: []string{"StrictModes no"}})
	h := host(t, l, s, "root")
	with := func(only bool, files ...string) inventory.Host {
		h := h
		h.IdentityFiles, h.IdentitiesOnly = files, only
		return h
	}
	holding := serveAgent(t, useless, l.KeyFile)
	plain, agented := options(t), options(t)
	agented.Agent = holding

	refused(t, try(t, with(false), plain), remote.ErrAuth, "no key or password to try")
	refused(t, try(t, with(true, useless, "/none"), agented), remote.ErrAuth, "refused: "+useless, "not tried: /none: no such file", "root@"+s.Addr, "publickey")
	refused(t, try(t, with(true, locked), plain), remote.ErrAuth, "not tried: ", locked+": the key is encrypted and nobody can be asked")
	for name, err := range map[string]error{
		"the agent's":         try(t, with(false), agented),
		"the agent's, behind": try(t, with(false, useless), agented),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	t.Run("only the public half is here", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(l.Key.PublicKey()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := try(t, with(true, file), agented); err != nil {
			t.Error(err)
		}
	})
	t.Run("default keys", func(t *testing.T) {
		home := t.TempDir()
		if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(l.KeyFile, filepath.Join(home, ".ssh/id_ecdsa")); err != nil {
			t.Fatal(err)
		}
		o := plain
		o.Home = home
		if err := try(t, with(false), o); err != nil {
			t.Error(err)
		}
	})
	t.Run("encrypted", func(t *testing.T) {
		a := answers{texts: []string{"wrong", "open sesame"}}
		o := plain
		o.AskPassword = a.ask
		if err := try(t, with(true, locked), o); err != nil || len(a.prompts) != 2 || a.prompts[0] != "passphrase of "+locked+": " {
			t.Errorf("asked %q: %v", a.prompts, err)
		}
		a = answers{}
		refused(t, try(t, with(true, locked), o), remote.ErrAuth, locked)
		a = answers{}
		if err := try(t, with(true, l.KeyFile, locked), o); err != nil || len(a.prompts) != 0 {
			t.Errorf("asked %q for a key that is not needed: %v", a.prompts, err)
		}
	})
}

func TestUserCertificates(t *testing.T) {
	ca := newSigner(t)
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{
		Config: []string{"TrustedUserCAKeys /etc/ssh/ca.pub"},
		Files:  map[string]string{"/etc/ssh/ca.pub": string(ssh.MarshalAuthorizedKey(ca.PublicKey()))},
	})
	file, public := newKeyFile(t, "")
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		t.Fatal(err)
	}
	cert := &ssh.Certificate{Key: key, CertType: ssh.UserCert, ValidPrincipals: []string{"guest"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	h := host(t, l, s, "guest")
	h.IdentityFiles = []string{file}
	if err := try(t, h, options(t)); err != nil {
		t.Error(err)
	}
	h.User = "root"
	refused(t, try(t, h, options(t)), remote.ErrAuth, file+"-cert.pub, "+file)
}

func TestPasswords(t *testing.T) {
	l := sshd.Open(t)
	for method, config := range map[string][]string{
		"password":             {"PasswordAuthentication yes", "PubkeyAuthentication no"},
		"keyboard-interactive": {"KbdInteractiveAuthentication yes", "UsePAM yes", "PubkeyAuthentication no"},
		"key and password":     {"PasswordAuthentication yes", "AuthenticationMethods publickey,password"},
	} {
		s := l.Start("web-1", sshd.Options{Config: config})
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			h := host(t, l, s, "guest")
			h.Password = inventory.NewSecret(sshd.GuestPassword)
			if err := try(t, h, options(t)); err != nil {
				t.Error(err)
			}
			h.Password = inventory.NewSecret("not it")
			a := answers{texts: []string{"no"}}
			o := options(t)
			o.AskPassword = a.ask
			err := try(t, h, o)
			refused(t, err, remote.ErrAuth, "the password")
			if strings.Contains(err.Error(), "not it") || len(a.prompts) > 0 {
				t.Errorf("asked %q: %v", a.prompts, err)
			}
			h.Password = inventory.Secret{}
			a = answers{texts: []string{"no", sshd.GuestPassword}}
			if err := try(t, h, o); err != nil || len(a.prompts) != 2 || !strings.HasPrefix(a.prompts[0], "guest@"+s.Addr+": ") {
				t.Errorf("asked %q: %v", a.prompts, err)
			}
			refused(t, try(t, h, options(t)), remote.ErrAuth)
		})
	}
}
