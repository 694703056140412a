package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// maxKeyFile bounds the size of a key file, in bytes.
const maxKeyFile = 1 << 20

// defaultKeys are the files in .ssh that are tried for a host that names none.
var defaultKeys = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

// A key is a private key that can be offered to a server.
type key struct {
	ssh.Signer
	name string // for errors
}

// A keyring holds the keys of one Dial, which may need them for several hops. It
// asks for each passphrase once.
type keyring struct {
	home  string
	conn  net.Conn // to the agent, nil without one
	agent []key

	loaded bool
	why    string // why the agent has no keys
	opened map[string]ssh.Signer
	once   sync.Once
}

// newKeyring connects to the agent, if there is one.
func newKeyring(o Options) *keyring {
	r := &keyring{home: o.Home, opened: map[string]ssh.Signer{}}
	if o.Agent == "" {
		return r
	}
	conn, err := net.DialTimeout("unix", o.Agent, 2*time.Second)
	if err != nil {
		r.why = "the agent: " + cause(err).Error()
		return r
	}
	r.conn = conn
	return r
}

// close closes the connection to the agent. It may be called while the agent is
// asked for a signature, which then fails.
func (r *keyring) close() {
	r.once.Do(func() {
		if r.conn != nil {
			r.conn.Close()
		}
	})
}

// fromAgent returns the keys of the agent, which it asks once.
func (r *keyring) fromAgent() []key {
	if r.conn == nil || r.loaded {
		return r.agent
	}
	r.loaded = true
	client := agent.NewClient(r.conn)
	signers, err := client.Signers()
	if err != nil {
		r.why = "the agent: " + cause(err).Error()
		return nil
	}
	for _, s := range signers {
		r.agent = append(r.agent, key{s, "the agent's " + ssh.FingerprintSHA256(s.PublicKey())})
	}
	return r.agent
}

// of returns the keys for a hop in the order of ssh(1): the files that it names, for
// which the agent signs if it holds them, then the other keys of the agent. If it
// names none, the agent's keys come before the default files. It adds the reasons
// why keys cannot be used to skipped.
func (r *keyring) of(j inventory.Jump, ask func(string) (string, error), skipped *[]string) []key {
	held := r.fromAgent()
	if r.why != "" {
		*skipped = append(*skipped, r.why)
	}
	files, named := j.IdentityFiles, true
	if len(files) == 0 {
		named = false
		for _, name := range defaultKeys {
			files = append(files, filepath.Join(r.home, ".ssh", name))
		}
	}
	var own []key
	for _, file := range files {
		keys, err := r.load(file, held, ask)
		if err != nil && (named || !errors.Is(err, fs.ErrNotExist)) {
			*skipped = append(*skipped, fmt.Sprintf("%s: %v", file, cause(err)))
		}
		own = append(own, keys...)
	}
	if j.IdentitiesOnly {
		return own
	}
	if named {
		return distinct(append(own, held...))
	}
	return distinct(append(held[:len(held):len(held)], own...)) // a full slice, so that the agent's keys are not overwritten
}

// load reads a private key and the certificate beside it. If the agent holds the
// key, the agent signs, and the file may be encrypted or missing.
func (r *keyring) load(file string, held []key, ask func(string) (string, error)) ([]key, error) {
	public := readPublic(file + ".pub")
	text, err := readKeyFile(file)
	if err != nil && public == nil {
		return nil, err
	}
	var signer ssh.Signer
	var locked *ssh.PassphraseMissingError
	if err == nil {
		if signer, err = ssh.ParsePrivateKey(text); errors.As(err, &locked) && locked.PublicKey != nil {
			public = locked.PublicKey
		}
	}
	if signer == nil && public != nil {
		for _, k := range held {
			if bytes.Equal(k.PublicKey().Marshal(), public.Marshal()) {
				signer, err = k.Signer, nil
			}
		}
	}
	if signer == nil && locked != nil {
		signer, err = r.unlock(file, text, public, ask)
	}
	if err != nil {
		return nil, err
	}
	// A server that trusts the authority may not know the plain key, so the
	// certificate is offered first.
	keys := []key{{signer, file}}
	if cert, ok := readPublic(file + "-cert.pub").(*ssh.Certificate); ok {
		if certified, err := ssh.NewCertSigner(cert, signer); err == nil {
			keys = append([]key{{certified, file + "-cert.pub"}}, keys...)
		}
	}
	return keys, nil
}

func readKeyFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(text) > maxKeyFile {
		err = errors.New("too large for a key")
	}
	return text, err
}

// readPublic reads a file with one public key, and returns nil if there is none.
func readPublic(file string) ssh.PublicKey {
	text, err := readKeyFile(file)
	if err != nil {
		return nil
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil
	}
	return public
}

// distinct drops repeated keys, because each offered key counts toward the server's
// MaxAuthTries.
func distinct(keys []key) []key {
	seen := map[string]bool{}
	var all []key
	for _, k := range keys {
		id := string(k.PublicKey().Marshal())
		if !seen[id] {
			all = append(all, k)
		}
		seen[id] = true
	}
	return all
}
