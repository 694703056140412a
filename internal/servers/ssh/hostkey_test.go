package ssh_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
	remote "github.com/adamant-sh/adamant/internal/servers/ssh"
	"github.com/adamant-sh/adamant/test/sshd"
)

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newECDSA(t *testing.T) ssh.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestHostKeys(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{Port: 2222})
	ed, ec := s.HostKeys[0], s.HostKeys[1]
	name := fmt.Sprintf("[%s]:2222", s.Addr)
	line := func(name string, key ssh.PublicKey) string { return name + " " + string(ssh.MarshalAuthorizedKey(key)) }
	other, otherEC := newSigner(t).PublicKey(), newECDSA(t)
	fingerprint := ssh.FingerprintSHA256(ed)
	for _, test := range []struct {
		name, known, alias string
		kind               error
		says               []string
	}{
		{"Ed25519 known", line(name, ed), "", nil, nil},
		{"ECDSA known", line(name, ec), "", nil, nil},
		{"both known", s.KnownHostsLine, "", nil, nil},
		{"hashed", line(knownhosts.HashHostname(name), ec), "", nil, nil},
		{"alias", line("Web", ed), "web", nil, nil},
		{"pattern", line("[198.18.*]:222?", ed), "", nil, nil},
		{"after lines that cannot be read", "nonsense\n" + name + " ssh-ed25519 AAAA\n" + name + " ssh-new AAAA=\n# no\n" + line(name, ed), "", nil, nil},
		{"one of several keys", line(name, other) + line(name, ed), "", nil, nil},
		{"unknown", line("elsewhere", ed), "", remote.ErrUnknownHost, []string{name, "ssh-ed25519 " + fingerprint, "ssh-keyscan -p 2222 " + s.Addr + " >> "}},
		{"unknown alias", s.KnownHostsLine, "web", remote.ErrUnknownHost, []string{fingerprint, "then: add to /nonexistent: web ssh-ed25519 AAAA"}},
		{"known by another port", line(s.Addr, ed), "", remote.ErrUnknownHost, nil},
		{"excluded", line("[198.18.*]:2222,!"+name, ed), "", remote.ErrUnknownHost, nil},
		{"changed", "\n" + line(name, other), "", remote.ErrHostKeyChanged, []string{name, fingerprint, "known_hosts:2 has another"}},
		{"changed, of a kind that only the other key has", line(name, otherEC), "", remote.ErrHostKeyChanged, []string{ssh.FingerprintSHA256(ec), "known_hosts:1"}},
		{"revoked", line(name, ed) + "@revoked * " + string(ssh.MarshalAuthorizedKey(ed)), "", remote.ErrHostKeyChanged, []string{"known_hosts:2", "is revoked"}},
		{"an authority's key is no host's", "@cert-authority " + line(name, ed), "", remote.ErrUnknownHost, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := host(t, l, s, "root")
			h.UserKnownHosts = []string{"/nonexistent", write(t, "known_hosts", test.known)}
			h.HostKeyAlias = test.alias
			c, err := remote.Dial(t.Context(), h, options(t))
			if err == nil {
				c.Close()
			}
			if test.kind != nil {
				refused(t, err, test.kind, test.says...)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUnreadableRevocation(t *testing.T) {
	h := inventory.Host{Name: "web-1", Address: "192.0.2.1", Port: 22, User: "root"}
	h.UserKnownHosts = []string{write(t, "known_hosts", "\n@revoked * ssh-ed25519 AAAA\n")}
	if err := try(t, h, options(t)); err == nil || !strings.Contains(err.Error(), "known_hosts:2: a revoked key that cannot be read") {
		t.Errorf("got %v", err)
	}
}

func TestHostCertificates(t *testing.T) {
	ca := newSigner(t)
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{Config: []string{"HostCertificate /etc/ssh/host-cert.pub"}})
	certify := func(change func(*ssh.Certificate)) {
		c := &ssh.Certificate{Key: s.HostKeys[0], CertType: ssh.HostCert, ValidPrincipals: []string{s.Addr}, ValidBefore: ssh.CertTimeInfinity}
		change(c)
		if err := c.SignCert(rand.Reader, ca); err != nil {
			t.Fatal(err)
		}
		s.Exec("sh", "-c", `printf %s "$1" >/etc/ssh/host-cert.pub`, "sh", string(ssh.MarshalAuthorizedKey(c)))
		s.Reboot()
	}
	h := host(t, l, s, "root")
	authority := "@cert-authority 198.18.* " + string(ssh.MarshalAuthorizedKey(ca.PublicKey()))
	connect := func(known string) error {
		h := h
		h.UserKnownHosts = []string{write(t, "known_hosts", known)}
		c, err := remote.Dial(t.Context(), h, options(t))
		if err == nil {
			c.Close()
		}
		return err
	}
	certify(func(*ssh.Certificate) {})
	for _, known := range []string{authority, s.KnownHostsLine, authority + s.KnownHostsLine, s.KnownHostsLine + strings.Replace(authority, "198.18", "10.1", 1)} {
		if err := connect(known); err != nil {
			t.Errorf("%s: %v", known, err)
		}
	}
	refused(t, connect("@cert-authority * "+string(ssh.MarshalAuthorizedKey(newSigner(t).PublicKey()))), remote.ErrUnknownHost)
	refused(t, connect(authority+"@revoked * "+string(ssh.MarshalAuthorizedKey(ca.PublicKey()))), remote.ErrHostKeyChanged, "revoked")
	refused(t, connect(authority+"@revoked * "+string(ssh.MarshalAuthorizedKey(s.HostKeys[0]))), remote.ErrHostKeyChanged, "revoked")
	certify(func(c *ssh.Certificate) { c.ValidPrincipals = []string{"another\x1b[31m"} })
	refused(t, connect(authority), remote.ErrUnknownHost, "principal")
	certify(func(c *ssh.Certificate) { c.ValidBefore = 1 })
	refused(t, connect(authority), remote.ErrUnknownHost, "expired")
}

func TestJump(t *testing.T) {
	l := sshd.Open(t)
	first, second := l.Start("first", sshd.Options{}), l.Start("second", sshd.Options{Port: 2222})
	web := l.Start("web-1", sshd.Options{Config: []string{"ListenAddress 0.0.0.0", "AllowUsers root@" + second.Addr}})
	jump := func(s *sshd.Server, user string) inventory.Jump {
		h := host(t, l, s, user)
		return inventory.Jump{
			Name: s.Name, Address: s.Addr, Port: s.Port, User: user, IdentityFiles: h.IdentityFiles, UserKnownHosts: h.UserKnownHosts,
		}
	}
	h := host(t, l, web, "root")
	way := []inventory.Jump{jump(first, "guest"), jump(second, "ops")}
	h.ProxyJump = way
	c := dial(t, h, options(t))
	if got := output(t, c, remote.Command{Line: "hostname; set -- $SSH_CONNECTION; echo $1"}); got != "web-1\n"+second.Addr+"\n" {
		t.Errorf("got %q", got)
	}
	if err := c.Run(t.Context(), remote.Command{Line: "exit 3"}); err == nil {
		t.Error("no status through the jumps")
	}

	for name, test := range map[string]struct {
		change func(*inventory.Host)
		kind   error
		says   string
	}{
		"key of a jump unknown":  {func(h *inventory.Host) { h.ProxyJump[1].UserKnownHosts = nil }, remote.ErrUnknownHost, second.Addr},
		"key of the end unknown": {func(h *inventory.Host) { h.UserKnownHosts = nil }, remote.ErrUnknownHost, web.Addr},
		"login at a jump":        {func(h *inventory.Host) { h.ProxyJump[0].IdentityFiles = []string{"/none"} }, remote.ErrAuth, first.Addr},
		"port closed":            {func(h *inventory.Host) { h.Port = 9 }, remote.ErrUnreachable, "refused by the jump host"},
		"not allowed that way":   {func(h *inventory.Host) { h.ProxyJump = way[:1] }, remote.ErrAuth, "root@" + web.Addr},
	} {
		h := h
		h.ProxyJump = append([]inventory.Jump(nil), way...)
		test.change(&h)
		c, err := remote.Dial(t.Context(), h, options(t))
		if err == nil {
			c.Close()
		}
		if err == nil {
			t.Error(name)
		}
		refused(t, err, test.kind, test.says)
	}
}
