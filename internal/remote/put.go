package remote

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed upload.sh
var uploadScript string

//go:embed install.sh
var installScript string

// cleanup is how long Put may take to remove what it leaves unfinished.
const cleanup = 3 * time.Second

// Put writes size bytes of content to a file at an absolute path, with sudo if
// it is asked for. The file is whole, on disk and has its mode before it takes
// the name; there may be another file of that name, but no directory. It belongs
// to whoever writes it; a symbolic link of the name is replaced. Its directory
// must exist. It takes a POSIX shell on the server, no program of ours.
//
// What was written in part is removed, unless the connection is lost: then the
// server removes it when it notices that, or it stays, as a hidden file beside
// the path.
func (c *Conn) Put(ctx context.Context, name string, mode fs.FileMode, size int64, content io.Reader, sudo bool) error {
	if !path.IsAbs(name) || path.Clean(name) != name || name == "/" {
		return fmt.Errorf("put %s: not an absolute and clean path of a file", name)
	}
	dir, base := path.Split(name)
	temporary := dir + "." + base[:min(len(base), 100)] + "." + rand.Text()
	in := &exact{in: content, left: size, sum: sha256.New()}
	err := c.script(ctx, sudo, in, uploadScript, name, temporary, strconv.FormatInt(size, 10))
	if err == nil {
		var sum string
		if sum, err = in.digest(); err == nil {
			err = c.script(ctx, sudo, nil, installScript, name, temporary, octal(mode), sum)
		}
	}
	if err == nil {
		return nil
	}
	var failed *ExitError
	if errors.As(err, &failed) {
		err = reason{failed}
	} else if !errors.Is(err, ErrSudo) && !errors.Is(err, ErrLost) {
		c.discard(ctx, temporary, sudo)
	}
	return fmt.Errorf("put %s on %s: %w", name, c.host.Name, err)
}

func (c *Conn) script(ctx context.Context, sudo bool, stdin io.Reader, text string, args ...string) error {
	return c.run(ctx, Command{Args: append([]string{"sh", "-c", text, "put"}, args...), Stdin: stdin, Sudo: sudo})
}

// discard removes what an upload that was interrupted may have left.
func (c *Conn) discard(ctx context.Context, file string, sudo bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	_ = c.run(ctx, Command{Args: []string{"rm", "-f", file}, Sudo: sudo}) // the interruption is told already
}

// octal is a mode as chmod(1) takes it.
func octal(mode fs.FileMode) string {
	bits := uint32(mode.Perm())
	for i, special := range []fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if mode&special != 0 {
			bits |= 0o1000 << i
		}
	}
	return fmt.Sprintf("%04o", bits)
}

// A reason is the error of a program without what it says about itself.
type reason struct{ *ExitError }

func (r reason) Error() string {
	last := lastLine(r.Stderr)
	if i := strings.LastIndex(last, ": "); i >= 0 {
		return last[i+2:]
	}
	return r.ExitError.Error()
}

func (r reason) Unwrap() error { return r.ExitError }

// exact reads as many bytes as were promised, or fails.
type exact struct {
	in   io.Reader
	left int64

	mu  sync.Mutex
	sum hash.Hash
	end bool
}

// Read implements io.Reader.
func (e *exact) Read(p []byte) (int, error) {
	n, err := e.in.Read(p)
	e.left -= int64(n)
	switch {
	case e.left < 0:
		return 0, errors.New("the content is longer than its size")
	case err == io.EOF && e.left > 0:
		return 0, fmt.Errorf("the content is %d bytes shorter than its size", e.left)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sum.Write(p[:n])
	e.end = e.end || err == io.EOF
	return n, err
}

// digest is the SHA-256 in hexadecimal of all that was read. A server that is
// content before the end is not to be believed.
func (e *exact) digest() (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.end {
		return "", errors.New("the server did not wait for all of it")
	}
	return hex.EncodeToString(e.sum.Sum(nil)), nil
}
