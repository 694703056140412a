package ssh

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// A verifier verifies the host key of one hop.
type verifier struct {
	hop   inventory.Jump
	name  string // as known_hosts calls it
	known knownHosts
	files []string
}

func newVerifier(j inventory.Jump, system []string) (verifier, error) {
	v := verifier{hop: j, name: cmp.Or(j.HostKeyAlias, knownhosts.Normalize(endpoint(j))), files: j.UserKnownHosts}
	var err error
	v.known, err = readKnownHosts(append(slices.Clone(v.files), system...), v.name)
	return v, err
}

// algorithms are what the server is asked for: kinds of key that are known come
// first, so that a server with several keys presents one that can be verified.
// The rest follows, so that another key is seen and named rather than missed.
func (v verifier) algorithms() []string {
	var certs, known, rest []string
	supported := append([]string{ssh.KeyAlgoRSA}, ssh.SupportedAlgorithms().HostKeys...)
	slices.Reverse(supported) // Ed25519 before ECDSA before RSA
	for _, algorithm := range supported {
		switch {
		case strings.Contains(algorithm, "-cert-"):
			certs = append(certs, algorithm)
		case v.knows(algorithm):
			known = append(known, algorithm)
		case algorithm != ssh.KeyAlgoRSA: // with SHA-1, for old servers that are known
			rest = append(rest, algorithm)
		}
	}
	if !slices.ContainsFunc(v.known.keys, func(k knownKey) bool { return k.isCA }) {
		certs = nil
	}
	return slices.Concat(certs, known, rest)
}

func (v verifier) knows(algorithm string) bool {
	kind := algorithm
	if algorithm == ssh.KeyAlgoRSASHA256 || algorithm == ssh.KeyAlgoRSASHA512 {
		kind = ssh.KeyAlgoRSA
	}
	return slices.ContainsFunc(v.known.keys, func(k knownKey) bool { return !k.isCA && k.key.Type() == kind })
}

// verify returns why a key is not the host's. The handshake checks that the
// server holds it.
func (v verifier) verify(key ssh.PublicKey) error {
	cert, isCert := key.(*ssh.Certificate)
	if isCert {
		key = cert.Key
	}
	if line, ok := find(v.known.revoked, key, false); ok {
		return fmt.Errorf("%w: %s: %s: %s is revoked", ErrHostKeyChanged, line.at, v.name, describe(key))
	}
	if isCert {
		if _, ok := find(v.known.keys, cert.SignatureKey, true); ok {
			return v.certificate(cert)
		}
	}
	if _, ok := find(v.known.keys, key, false); ok {
		return nil
	}
	return v.mismatch(key)
}

// certificate verifies one that an authority of this host has signed.
func (v verifier) certificate(cert *ssh.Certificate) error {
	if line, ok := find(v.known.revoked, cert.SignatureKey, false); ok {
		return fmt.Errorf("%w: %s: the authority of %s is revoked", ErrHostKeyChanged, line.at, v.name)
	}
	if cert.CertType != ssh.HostCert {
		return fmt.Errorf("%w: %s presents a certificate that is no host's", ErrUnknownHost, v.name)
	}
	principal := cmp.Or(v.hop.HostKeyAlias, v.hop.Address)
	if err := new(ssh.CertChecker).CheckCert(principal, cert); err != nil {
		return fmt.Errorf("%w: certificate of %s: %w", ErrUnknownHost, v.name, excerptError{err})
	}
	return nil
}

// mismatch returns an error with the keys that are known instead, and a hint.
func (v verifier) mismatch(key ssh.PublicKey) error {
	var lines []string
	for _, k := range v.known.keys {
		if !k.isCA {
			lines = append(lines, k.at)
		}
	}
	if len(lines) > 0 {
		return fmt.Errorf("%w: %s presents %s, but %s says another; if the server was reinstalled, compare the fingerprint on its console and replace the line",
			ErrHostKeyChanged, v.name, describe(key), strings.Join(lines[:min(len(lines), 3)], ", "))
	}
	file := "~/.ssh/known_hosts"
	if len(v.files) > 0 {
		file = v.files[0]
	}
	mend := fmt.Sprintf("ssh-keyscan -p %d %s >> %s", v.hop.Port, v.hop.Address, file)
	if v.hop.HostKeyAlias != "" {
		mend = fmt.Sprintf("add to %s: %s", file, knownhosts.Line([]string{v.name}, key))
	}
	return fmt.Errorf("%w: %s presents %s; compare it with what `ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub` shows on the server's console, then: %s",
		ErrUnknownHost, v.name, describe(key), kindOf(key), mend)
}

// kindOf is what sshd's files call a kind of key.
func kindOf(key ssh.PublicKey) string {
	kind := strings.TrimPrefix(key.Type(), "ssh-")
	if strings.HasPrefix(kind, "ecdsa-") {
		return "ecdsa"
	}
	return kind
}

// describe is a key as ssh-keygen(1) shows it.
func describe(key ssh.PublicKey) string {
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}
