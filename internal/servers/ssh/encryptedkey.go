package ssh

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

var errEncrypted = errors.New("the key is encrypted and nobody can be asked; ssh-add it to an agent")

// An encryptedKey can be offered before it is decrypted, so that the user is asked
// for a passphrase only when a server accepts the key.
type encryptedKey struct {
	public ssh.PublicKey
	open   func() (ssh.Signer, error)
}

// unlock returns the signer of an encrypted key. It asks for the passphrase when it
// has to sign for the first time. Old formats do not hold the public key: for those
// the user is asked at once, unless there is a .pub file beside it.
func (r *keyring) unlock(file string, text []byte, public ssh.PublicKey, ask func(string) (string, error)) (ssh.Signer, error) {
	if s, ok := r.opened[file]; ok {
		return s, nil
	}
	if ask == nil {
		return nil, errEncrypted
	}
	open := func() (ssh.Signer, error) {
		if s, ok := r.opened[file]; ok {
			return s, nil
		}
		s, err := openKey(file, text, ask)
		if err == nil {
			r.opened[file] = s
		}
		return s, err
	}
	if public == nil {
		return open()
	}
	return &encryptedKey{public: public, open: open}, nil
}

func openKey(file string, text []byte, ask func(string) (string, error)) (ssh.Signer, error) {
	for range maxAsked {
		passphrase, err := ask(fmt.Sprintf("passphrase of %s: ", file))
		if err != nil {
			return nil, err
		}
		s, err := ssh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase))
		if !errors.Is(err, x509.IncorrectPasswordError) {
			return s, err
		}
	}
	return nil, fmt.Errorf("%s: wrong passphrase", file)
}

// PublicKey implements ssh.Signer.
func (k *encryptedKey) PublicKey() ssh.PublicKey { return k.public }

// Sign implements ssh.Signer.
func (k *encryptedKey) Sign(random io.Reader, data []byte) (*ssh.Signature, error) {
	s, err := k.open()
	if err != nil {
		return nil, err
	}
	return s.Sign(random, data)
}

// SignWithAlgorithm implements ssh.AlgorithmSigner.
func (k *encryptedKey) SignWithAlgorithm(random io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s, err := k.open()
	if err != nil {
		return nil, err
	}
	with, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("the key does not sign with %s", algorithm)
	}
	return with.SignWithAlgorithm(random, data, algorithm)
}
