package agentless

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
	"github.com/adamant-sh/adamant/internal/text"
)

// A Runner runs commands on a server, as an *ssh.Conn does.
type Runner interface {
	Run(context.Context, ssh.Command) error
}

// maxAnswer bounds the output of a server, in bytes.
const maxAnswer = 4 << 30

var errTooLarge = errors.New("the server sends too much")

// Read reads a server. The result is as untrusted as that of an agent.
func Read(ctx context.Context, r Runner, sudo bool) (*facts.Offline, error) {
	nonce, err := newNonce()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		args := append([]string{"sh", "-c", strings.ReplaceAll(surveyScript, "@runtime@", strings.Join(facts.RuntimeDirs(), " ")), "sh", nonce}, facts.UnreadDirs()...)
		err := r.Run(ctx, ssh.Command{Args: args, Stdout: in, Sudo: sudo})
		in.CloseWithError(err)
		ended <- err
	}()
	a := newAnswer()
	err = a.read(bufio.NewReaderSize(&bounded{out, maxAnswer}, 256<<10), nonce)
	if err != nil {
		cancel()
	}
	out.CloseWithError(context.Canceled)
	// If the command failed, its error explains why the answer is truncated. If
	// reading failed, the command only failed because it was canceled.
	if runErr := <-ended; runErr != nil && ctx.Err() == nil {
		err = runErr
	}
	if err != nil {
		return nil, fmt.Errorf("read by plain commands: %w", err)
	}
	server, err := a.offline()
	if err != nil {
		return nil, fmt.Errorf("read by plain commands: %w", err)
	}
	c := &contents{r, sudo}
	server.Contents, server.Run = c, c.run
	return server, nil
}

// newNonce returns a random text that marks the beginnings of sections. No file can
// hold it to fake a section, because nobody knows it before.
func newNonce() (string, error) {
	var b [16]byte
	_, err := rand.Read(b[:])
	return hex.EncodeToString(b[:]), err
}

// A bounded reader fails after left bytes.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// contents reads files on demand.
type contents struct {
	runner Runner
	sudo   bool
}

func (c *contents) Text(ctx context.Context, file string, limit int64) ([]byte, error) {
	var out bytes.Buffer
	err := c.runner.Run(ctx, ssh.Command{
		Args:   []string{"sh", "-c", textScript, "sh", file, fmt.Sprint(limit)},
		Stdout: &capped{&out, limit}, Sudo: c.sudo,
	})
	var exit *ssh.ExitError
	if errors.As(err, &exit) && exit.Status == exitNoText {
		return nil, fmt.Errorf("read %s: %w", text.Escape(file), fs.ErrNotExist)
	}
	return out.Bytes(), err
}

func (c *contents) Sums(ctx context.Context, files []string) (map[string]string, error) {
	var out bytes.Buffer
	err := c.runner.Run(ctx, ssh.Command{
		Args:   []string{"sh", "-c", sumsScript, "sh"},
		Stdin:  strings.NewReader(strings.Join(files, "\x00") + "\x00"),
		Stdout: &capped{&out, maxSums}, Sudo: c.sudo,
	})
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for line := range strings.Lines(out.String()) {
		if sum, file, ok := sumLine(strings.TrimSuffix(line, "\n"), 32); ok {
			sums[file] = sum
		}
	}
	return sums, nil
}

// maxPrinted bounds the output of a program, in bytes, and patience its run time.
const (
	maxPrinted = 256 << 20
	patience   = 2 * time.Minute
)

// run runs a program that reports facts about the server.
func (c *contents) run(ctx context.Context, argv []string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := c.runner.Run(ctx, ssh.Command{
			Args: append([]string{"sh", "-c", runScript, "sh"}, argv...), Stdout: &capped{in, maxPrinted}, Sudo: c.sudo,
		})
		in.CloseWithError(err)
		ended <- err
	}()
	err := read(out)
	if err != nil {
		cancel()
	}
	out.CloseWithError(context.Canceled)
	if runErr := <-ended; runErr != nil && !(err != nil && ctx.Err() != nil) {
		err = runErr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}

// maxSums bounds the sums of one request, in bytes.
const maxSums = 64 << 20

// A capped writer fails after left bytes.
type capped struct {
	w    io.Writer
	left int64
}

func (c *capped) Write(p []byte) (int, error) {
	if c.left -= int64(len(p)); c.left < 0 {
		return 0, errTooLarge
	}
	return c.w.Write(p)
}
