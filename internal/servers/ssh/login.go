package ssh

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// maxAsked bounds how often the user is asked during one login, because a hostile
// server could ask forever.
const maxAsked = 3

// A login is the handshake with one hop, and the details for its error.
type login struct {
	hop      inventory.Jump
	password inventory.Secret
	keys     *keyring
	ask      func(prompt string) (string, error) // nil if nobody can be asked

	verified bool     // the host key is known
	distrust error    // why the host key is not trusted
	tried    []string // keys and passwords that were offered
	skipped  []string // keys that could not be offered, and why
	methods  []string // login methods that the server accepts
	sent     bool     // the known password was sent
	asked    int      // how often the user was asked
	declined bool     // the user gave no answer
}

func (l *login) config(o Options) (*ssh.ClientConfig, error) {
	v, err := newVerifier(l.hop, o.SystemKnownHosts)
	if err != nil {
		return nil, err
	}
	config := &ssh.ClientConfig{
		User:              l.hop.User,
		HostKeyAlgorithms: v.algorithms(),
		Auth:              []ssh.AuthMethod{ssh.PublicKeysCallback(l.signers)},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			l.distrust = v.verify(key)
			l.verified = l.distrust == nil
			return l.distrust
		},
		// It chooses no method, and only keeps the server's list for the error.
		AuthCallback: func(s *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
			l.methods = s.AllowedMethods
			return nil, nil
		},
	}
	if !l.password.IsZero() || l.ask != nil {
		config.Auth = append(config.Auth,
			ssh.RetryableAuthMethod(ssh.PasswordCallback(l.answer), maxAsked),
			ssh.RetryableAuthMethod(ssh.KeyboardInteractive(l.challenge), maxAsked))
	}
	return config, nil
}

// signers returns the keys to offer.
func (l *login) signers() ([]ssh.Signer, error) {
	var all []ssh.Signer
	for _, k := range l.keys.of(l.hop, l.ask, &l.skipped) {
		l.tried = append(l.tried, k.name)
		all = append(all, k.Signer)
	}
	return all, nil
}

// errNoPassword is returned to end a login method when no password is left to try.
var errNoPassword = errors.New("no password left to try")

// answer returns a password: the known one once, then those that the user types.
func (l *login) answer() (string, error) {
	if !l.password.IsZero() && !l.sent {
		l.sent = true
		l.tried = append(l.tried, "the password")
		return l.password.Reveal(), nil
	}
	return l.askFor("password")
}

func (l *login) askFor(what string) (string, error) {
	// A refused password of the inventory must be corrected there, so the user is
	// not asked for another one.
	if l.ask == nil || !l.password.IsZero() && l.sent || l.asked == maxAsked {
		return "", errNoPassword
	}
	if l.asked++; l.asked == 1 {
		l.tried = append(l.tried, "a password that was asked for")
	}
	return l.ask(fmt.Sprintf("%s@%s: %s: ", l.hop.User, l.hop.Address, what))
}

// challenge answers the questions of keyboard-interactive. One whose answer is not
// echoed asks for the password.
func (l *login) challenge(_, _ string, questions []string, echos []bool) ([]string, error) {
	if len(questions) > maxAsked {
		return nil, fmt.Errorf("the server asks %d questions at once", len(questions))
	}
	var answers []string
	for i, question := range questions {
		answer := l.answer
		if echos[i] || l.password.IsZero() {
			answer = func() (string, error) { return l.askFor(strings.TrimSuffix(excerpt(question), ":")) }
		}
		text, err := answer()
		if err != nil {
			return nil, err
		}
		answers = append(answers, text)
	}
	return answers, nil
}

// explain turns the error of a handshake into one that names the step that failed,
// with a hint.
func (l *login) explain(err error) error {
	at := endpoint(l.hop)
	if l.distrust != nil {
		return l.distrust
	}
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) {
		return fmt.Errorf("%w: %s: refused by the jump host: %s", ErrUnreachable, at, excerpt(refused.Message))
	}
	// Before the host key is verified no login can have been refused. After that a
	// network error is a lost connection, unless the user gave no answer: then the
	// server may have closed the connection because of that.
	if !l.verified || isNetwork(err) && !l.declined {
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, at, cause(err))
	}
	text := "no key or password to try"
	if len(l.tried) > 0 {
		text = "refused: " + strings.Join(l.tried, ", ")
	}
	if len(l.skipped) > 0 {
		text += "; not tried: " + strings.Join(l.skipped, ", ")
	}
	if len(l.methods) > 0 {
		text += "; the server takes " + excerpt(strings.Join(l.methods, ", "))
	}
	return fmt.Errorf("%w: %s@%s: %s: %w", ErrAuth, l.hop.User, at, text, cause(err))
}
