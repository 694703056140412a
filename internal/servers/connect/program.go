package connect

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/elf"
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
	"github.com/adamant-sh/adamant/internal/text"
)

// A Program is sent to servers of one architecture: an agent, or this program.
type Program struct {
	machine string // as uname -m prints it
	digest  string // SHA-256, hexadecimal
	size    int64  // in bytes
	self    bool   // it is this program, and not an agent
	read    func() ([]byte, error)

	once       sync.Once
	compressed []byte // with gzip
	err        error
}

// Programs holds at most one program for each machine.
type Programs []*Program

//go:embed agents
var embedded embed.FS

// LoadPrograms returns the agents that scripts/build has put into this program.
// Where there is none for machines such as this, it adds this program itself,
// whose executable is at self, provided that it is static.
func LoadPrograms(self string) (Programs, error) { return loadPrograms(embedded, self) }

func loadPrograms(agents fs.FS, self string) (Programs, error) {
	ps, err := readAgents(agents)
	if err != nil || ps.find("Linux "+machineOf[runtime.GOARCH]) != nil {
		return ps, err
	}
	// A dynamic program needs the C library that it was linked with, which other
	// servers may not have. They are better read without an agent.
	static, err := isStatic(self)
	if err == nil && static {
		var p *Program
		if p, err = ownProgram(self); err == nil {
			ps = append(ps, p)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read this program: %w", err)
	}
	return ps, nil
}

// readAgents returns the agents of a file system, whose names are
// agents/MACHINE-SHA256-BYTES.gz.
func readAgents(agents fs.FS) (Programs, error) {
	list, err := fs.Glob(agents, "agents/*.gz")
	if err != nil {
		return nil, err
	}
	var ps Programs
	for _, name := range list {
		p := &Program{read: func() ([]byte, error) { return fs.ReadFile(agents, name) }}
		text := strings.NewReplacer("-", " ", ".gz", "").Replace(path.Base(name))
		if n, err := fmt.Sscanf(text, "%s %s %d", &p.machine, &p.digest, &p.size); n != 3 || err != nil {
			return nil, fmt.Errorf("invalid name of an agent, %s: build adamant with make", name)
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// howToGetAgents is the hint for a program without agents.
const howToGetAgents = "a release of adamant has agents, and so has one that is built with make"

// Missing explains what the lack of agents means, in a sentence for the user. It
// is empty if this program was built with agents.
func (ps Programs) Missing() string {
	switch {
	case len(ps) == 0:
		return "this adamant was built without agents: servers are read with plain commands, which is slower, and cannot be updated or captured; " + howToGetAgents
	case ps[0].self: // an agent would come before it
		return fmt.Sprintf("this adamant was built without agents: %s servers get this program itself (%d MB), others are read with plain commands; %s",
			ps[0].machine, ps[0].size/1e6, howToGetAgents)
	}
	return ""
}

// isStatic reports whether the program at a path needs no dynamic linker.
func isStatic(path string) (bool, error) {
	f, err := elf.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false, nil
		}
	}
	return true, nil
}

// machineOf maps Go's names of architectures to those of uname -m.
var machineOf = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64", "s390x": "s390x", "ppc64le": "ppc64le", "loong64": "loongarch64",
}

// ownProgram returns the executable at a path as a program for machines such as
// this.
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
	return &Program{
		machine: machineOf[runtime.GOARCH], digest: hex.EncodeToString(h.Sum(nil)), size: size, self: true,
		read: func() ([]byte, error) { return compress(path) },
	}, nil
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

// find returns the program for a system, as uname -sm prints it; nil if there is
// none.
func (ps Programs) find(system string) *Program {
	for _, p := range ps {
		if system == "Linux "+p.machine {
			return p
		}
	}
	return nil
}

// notFor returns the error for a system without a program.
func (ps Programs) notFor(system string) error {
	if len(ps) == 0 {
		return fmt.Errorf("%w: this adamant was built without agents", ErrNoProgram)
	}
	var machines []string
	for _, p := range ps {
		machines = append(machines, p.machine)
	}
	return fmt.Errorf("%w: the server is %.80s, and there are agents for Linux %s", ErrNoProgram, text.Escape(system), strings.Join(machines, ", "))
}

// digests returns "machine=digest" for each program, as start reads them.
func (ps Programs) digests() string {
	var list []string
	for _, p := range ps {
		list = append(list, p.machine+"="+p.digest)
	}
	return strings.Join(list, " ")
}

// installScript puts a program in its place, whole or not at all. $1 is its digest, $2
// its size in bytes; the program comes on standard input, compressed with gzip.
const installScript = `set -eu
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

// send copies the program to a server.
func (p *Program) send(ctx context.Context, c *ssh.Conn, sudo bool) error {
	// Many servers are sent the same program at the same time.
	p.once.Do(func() { p.compressed, p.err = p.read() })
	err := p.err
	if err == nil {
		err = c.Run(ctx, ssh.Command{
			Args:  []string{"sh", "-c", installScript, "sh", p.digest, fmt.Sprint(p.size)},
			Stdin: bytes.NewReader(p.compressed), Sudo: sudo,
		})
	}
	if err != nil {
		return fmt.Errorf("send the agent: %w", err)
	}
	return nil
}
