package connect

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"

	"github.com/adamant-sh/adamant/internal/servers/ssh"
)

// A Program is what servers of one sort get: an agent, or this program itself.
type Program struct {
	machine string // as uname -m says it
	digest  string // SHA-256, hexadecimal
	size    int64  // in bytes
	read    func() ([]byte, error)

	once       sync.Once
	compressed []byte // with gzip
	err        error
}

// Programs are those for all machines that there is one for.
type Programs []*Program

//go:embed agents
var agents embed.FS

// LoadPrograms returns the agents that are part of this program and, if none is
// for this machine, this program itself, whose executable is at self. That must
// be static: servers have other libraries, or none.
func LoadPrograms(self string) (Programs, error) {
	list, err := fs.Glob(agents, "agents/*.gz")
	if err != nil {
		return nil, err
	}
	var ps Programs
	for _, name := range list {
		p := &Program{read: func() ([]byte, error) { return agents.ReadFile(name) }}
		text := strings.NewReplacer("-", " ", ".gz", "").Replace(path.Base(name))
		if n, err := fmt.Sscanf(text, "%s %s %d", &p.machine, &p.digest, &p.size); n != 3 || err != nil {
			return nil, fmt.Errorf("the agent %s has a name that says nothing: build adamant with make", name)
		}
		ps = append(ps, p)
	}
	if ps.find("Linux "+machineOf[runtime.GOARCH]) != nil {
		return ps, nil
	}
	p, err := ownProgram(self)
	if err != nil {
		return nil, fmt.Errorf("read this program: %w", err)
	}
	return append(ps, p), nil
}

// machineOf is what uname -m says of a machine, by Go's name of it.
var machineOf = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64", "s390x": "s390x", "ppc64le": "ppc64le", "loong64": "loongarch64",
}

// ownProgram is the executable at a path, for machines such as this.
func ownProgram(path string) (*Program, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return nil, err
	}
	return &Program{machine: machineOf[runtime.GOARCH], digest: hex.EncodeToString(h.Sum(nil)), size: size, read: func() ([]byte, error) { return compress(path) }}, nil
}

func compress(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is good
	_, err = io.Copy(z, f)
	err = errors.Join(err, z.Close()) // it writes the end
	return b.Bytes(), err
}

// find returns the program for a system, as uname -sm says it; nil if there is
// none.
func (ps Programs) find(system string) *Program {
	for _, p := range ps {
		if system == "Linux "+p.machine {
			return p
		}
	}
	return nil
}

// machines are those that there is a program for.
func (ps Programs) machines() string {
	var list []string
	for _, p := range ps {
		list = append(list, p.machine)
	}
	return strings.Join(list, ", ")
}

// digests are "machine=digest" of each, as start reads them.
func (ps Programs) digests() string {
	var list []string
	for _, p := range ps {
		list = append(list, p.machine+"="+p.digest)
	}
	return strings.Join(list, " ")
}

// install is how a program gets to its place: whole, or not at all. $1 is its
// digest, $2 its size in bytes; it comes compressed on standard input.
const install = `set -eu
umask 077
dir=$(eval echo "~$(id -un)")/.cache/adamant
mkdir -p "$dir"
for old in "$dir"/.new.*; do
	[ ! -e "$old" ] || [ -z "$(find "$old" -mmin +60)" ] || rm -f "$old"
done
new=$(mktemp "$dir/.new.XXXXXX")
trap 'rm -f "$new"' EXIT
gzip -dc >"$new"
[ "$(wc -c <"$new")" -eq "$2" ] || { echo "only $(wc -c <"$new") of $2 bytes of the agent arrived" >&2; exit 1; }
if command -v sha256sum >/dev/null; then
	echo "$1  $new" | sha256sum -c >/dev/null 2>&1 || { echo "the agent that arrived is not the one that was sent" >&2; exit 1; }
fi
chmod 700 "$new"
for other in "$dir"/????????????????????????????????????????????????????????????????; do
	[ ! -e "$other" ] || [ -z "$(find "$other" -mtime +30)" ] || rm -f "$other"
done
mv -f "$new" "$dir/$1"
`

// send brings the program to a server.
func (p *Program) send(ctx context.Context, c *ssh.Conn, sudo bool) error {
	p.once.Do(func() { p.compressed, p.err = p.read() })
	err := p.err
	if err == nil {
		err = c.Run(ctx, ssh.Command{
			Args:  []string{"sh", "-c", install, "sh", p.digest, fmt.Sprint(p.size)},
			Stdin: bytes.NewReader(p.compressed), Sudo: sudo,
		})
	}
	if err != nil {
		return fmt.Errorf("send the agent: %w", err)
	}
	return nil
}
