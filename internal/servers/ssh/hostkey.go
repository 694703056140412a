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
	name  string // in known_hosts: "[host]:port" unless the port is 22
	known knownHosts
	files []string
}

func newVerifier(j inventory.Jump, system []string) (verifier, error) {
	v := verifier{hop: j, name: cmp.Or(j.HostKeyAlias, knownhosts.Normalize(endpoint(j))), files: j.UserKnownHosts}
	var err error
	v.known, err = readKnownHosts(append(slices.Clone(v.files), system...), v.name)
	return v, err
}

// algorithms returns the host key algorithms to negotiate, in order of preference.
// Types of known keys come first, so that a server with several keys presents one
// that can be verified. The others follow, so that the error for a server with
// another key can show that key.
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
	// Without a known authority a certificate proves nothing, but a server that
	// could present one would not present its plain key, which may be known.
	if !slices.ContainsFunc(v.known.keys, func(k knownKey) bool { return k.isCA }) {
		certs = nil
	}
	return slices.Concat(certs, known, rest)
}

func (v verifier) knows(algorithm string) bool {
	// One RSA key has three algorithms, which differ in the hash of signatures.
	kind := algorithm
	if algorithm == ssh.KeyAlgoRSASHA256 || algorithm == ssh.KeyAlgoRSASHA512 {
		kind = ssh.KeyAlgoRSA
	}
	return slices.ContainsFunc(v.known.keys, func(k knownKey) bool { return !k.isCA && k.key.Type() == kind })
}

// verify returns an error unless a key is the host's. The handshake itself proves
// that the server holds the private key.
func (v verifier) verify(key ssh.PublicKey) error {
	cert, isCert := key.(*ssh.Certificate)
	if isCert {
		key = cert.Key
	}
	// A revocation wins over any line that trusts the key, also if the key is
	// inside a certificate.
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

// certificate verifies a certificate that an authority of this host has signed.
func (v verifier) certificate(cert *ssh.Certificate) error {
	if line, ok := find(v.known.revoked, cert.SignatureKey, false); ok {
		return fmt.Errorf("%w: %s: the authority of %s is revoked", ErrHostKeyChanged, line.at, v.name)
	}
	if cert.CertType != ssh.HostCert {
		return fmt.Errorf("%w: %s presents a certificate that is no host's", ErrUnknownHost, v.name)
	}
	// Principals are host names without a port, unlike the names in known_hosts.
	principal := cmp.Or(v.hop.HostKeyAlias, v.hop.Address)
	if err := new(ssh.CertChecker).CheckCert(principal, cert); err != nil {
		return fmt.Errorf("%w: certificate of %s: %w", ErrUnknownHost, v.name, excerptError{err})
	}
	return nil
}

// mismatch returns the error for a key that is not known, with the lines of the
// known keys and a hint. A changed key is another error than an unknown host,
// because it can be an attack.
func (v verifier) mismatch(key ssh.PublicKey) error {
	var lines []string
	for _, k := range v.known.keys {
		if !k.isCA {
			lines = append(lines, k.at)
		}
	}
	if len(lines) > 0 {
		return fmt.Errorf("%w: %s presents %s, but %s has another; if the server was reinstalled, compare the fingerprint on its console and replace the line",
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

// kindOf returns the name of a type of key in the names of sshd's key files.
func kindOf(key ssh.PublicKey) string {
	kind := strings.TrimPrefix(key.Type(), "ssh-")
	if strings.HasPrefix(kind, "ecdsa-") {
		return "ecdsa"
	}
	return kind
}

// describe returns the type and fingerprint of a key, as ssh-keygen(1) shows them.
func describe(key ssh.PublicKey) string {
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}
