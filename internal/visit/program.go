package visit

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/adamant-sh/adamant/internal/remote"
)

// A Program is this one, as servers get it.
type Program struct {
	path    string
	digest  string // SHA-256, hexadecimal
	machine string // as uname -m says it

	once       sync.Once
	compressed []byte
	size       int64 // in bytes, before that
	err        error
}

// LoadProgram reads the executable at a path. It must be static: servers have
// other libraries, or none.
func LoadProgram(path string) (*Program, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read this program: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("read this program: %w", err)
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return nil, fmt.Errorf("read this program: %w", err)
	}
	return &Program{path: path, digest: hex.EncodeToString(h.Sum(nil)), machine: machineOf(e.Machine)}, nil
}

// system is what uname -sm says where the program runs.
func (p *Program) system() string { return "Linux " + p.machine }

// machineOf is what uname(1) calls a machine.
func machineOf(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "x86_64"
	case elf.EM_AARCH64:
		return "aarch64"
	case elf.EM_RISCV:
		return "riscv64"
	case elf.EM_S390:
		return "s390x"
	case elf.EM_PPC64:
		return "ppc64le"
	}
	return m.String()
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
[ "$(wc -c <"$new")" -eq "$2" ] || { echo "only $(wc -c <"$new") of $2 bytes of the program arrived" >&2; exit 1; }
if command -v sha256sum >/dev/null; then
	echo "$1  $new" | sha256sum -c >/dev/null 2>&1 || { echo "the program that arrived is not the one that was sent" >&2; exit 1; }
fi
chmod 700 "$new"
for other in "$dir"/????????????????????????????????????????????????????????????????; do
	[ ! -e "$other" ] || [ -z "$(find "$other" -mtime +30)" ] || rm -f "$other"
done
mv -f "$new" "$dir/$1"
`

// compress reads the program once for all servers that lack it.
func (p *Program) compress() ([]byte, int64, error) {
	p.once.Do(func() {
		f, err := os.Open(p.path)
		if err != nil {
			p.err = err
			return
		}
		defer f.Close()
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is good
		if p.size, p.err = io.Copy(z, f); p.err == nil {
			p.err = z.Close()
		}
		p.compressed = b.Bytes()
	})
	return p.compressed, p.size, p.err
}

// send brings the program to a server.
func (p *Program) send(ctx context.Context, c *remote.Conn, sudo bool) error {
	compressed, size, err := p.compress()
	if err == nil {
		err = c.Run(ctx, remote.Command{
			Args:  []string{"sh", "-c", install, "sh", p.digest, fmt.Sprint(size)},
			Stdin: bytes.NewReader(compressed), Sudo: sudo,
		})
	}
	if err != nil {
		return fmt.Errorf("send this program: %w", err)
	}
	return nil
}
