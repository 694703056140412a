package ssh

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// maxKnownHosts bounds the size of a known_hosts file, in bytes.
const maxKnownHosts = 64 << 20

// A knownKey is a line of a known_hosts file.
type knownKey struct {
	key  ssh.PublicKey
	at   string // file:line
	isCA bool
}

// knownHosts holds the lines of known_hosts files about one host. The reader of
// x/crypto is not used, because it refuses a whole file for one line that it cannot
// parse, and does not return which keys are authorities. That decides about the
// algorithms to negotiate.
type knownHosts struct {
	keys    []knownKey
	revoked []knownKey // for any host: a key that is revoked for one host is not trusted for another
}

// readKnownHosts reads the lines of files about a host that is called name in them.
// A file that does not exist is empty. As in ssh(1) an invalid line is ignored, but
// an invalid revocation is an error: ignoring it would trust the key.
func readKnownHosts(files []string, name string) (knownHosts, error) {
	var all knownHosts
	name = strings.ToLower(name)
	for _, file := range files {
		if err := all.read(file, name); err != nil {
			return knownHosts{}, err
		}
	}
	return all, nil
}

func (k *knownHosts) read(file, name string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read known hosts: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKnownHosts+1))
	if err != nil {
		return fmt.Errorf("read known hosts: %w", err)
	}
	if len(text) > maxKnownHosts {
		return fmt.Errorf("read known hosts: %s is larger than %d MiB", file, maxKnownHosts>>20)
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if err := k.line(line, name, fmt.Sprintf("%s:%d", file, number)); err != nil {
			return err
		}
	}
	return nil
}

// line parses "[marker] hosts type key [comment]", the format of sshd(8).
func (k *knownHosts) line(line, name, at string) error {
	words := strings.Fields(line)
	if len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return nil
	}
	marker := ""
	if strings.HasPrefix(words[0], "@") {
		marker, words = words[0], words[1:]
	}
	if marker == "@revoked" {
		key, err := publicKey(words)
		if err != nil {
			return fmt.Errorf("%s: a revoked key that cannot be read: %w", at, err)
		}
		k.revoked = append(k.revoked, knownKey{key: key, at: at})
		return nil
	}
	if marker != "" && marker != "@cert-authority" || len(words) == 0 || !matches(words[0], name) {
		return nil
	}
	if key, err := publicKey(words); err == nil {
		k.keys = append(k.keys, knownKey{key: key, at: at, isCA: marker != ""})
	}
	return nil
}

func publicKey(words []string) (ssh.PublicKey, error) {
	if len(words) < 3 {
		return nil, errors.New("the line is too short")
	}
	blob, err := base64.StdEncoding.DecodeString(words[2])
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePublicKey(blob)
	if err == nil && key.Type() != words[1] {
		err = fmt.Errorf("the line has type %.40q, but its key has type %q", words[1], key.Type())
	}
	return key, err
}

// matches reports whether hosts, a hash or a list of patterns, match a name. If a
// pattern that begins with "!" matches, the line does not.
func matches(hosts, name string) bool {
	if strings.HasPrefix(hosts, "|") {
		return matchesHash(hosts, name)
	}
	return inventory.MatchPatterns(strings.Split(strings.ToLower(hosts), ","), name)
}

// matchesHash reports whether "|1|salt|hash" is the HMAC-SHA1 of a name.
func matchesHash(hash, name string) bool {
	parts := strings.Split(hash, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	want, err := base64.StdEncoding.DecodeString(parts[3])
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	io.WriteString(mac, name)
	return hmac.Equal(mac.Sum(nil), want)
}

// find returns the line that holds a key.
func find(in []knownKey, key ssh.PublicKey, isCA bool) (knownKey, bool) {
	for _, k := range in {
		if k.isCA == isCA && bytes.Equal(k.key.Marshal(), key.Marshal()) {
			return k, true
		}
	}
	return knownKey{}, false
}
