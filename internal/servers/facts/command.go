package facts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/text"
)

// commandTimeout bounds the run time of a program of the machine, and maxOutput its
// output, in bytes.
const (
	commandTimeout = 2 * time.Minute
	maxOutput      = 256 << 20
)

// A runFunc runs a program and calls read with its output.
type runFunc func(ctx context.Context, argv []string, read func(io.Reader) error) error

var errOutput = errors.New("the output is too large")

// textOf reads all of a text.
func textOf(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if len(text) > maxText {
		err = errOutput
	}
	return string(text), err
}

// runLocal runs a program on this machine.
func runLocal(ctx context.Context, argv []string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0")
	cmd.WaitDelay = time.Second // a child that outlives the program may keep its output open
	var stderr head
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return startError(argv[0], err)
	}
	bounded := &io.LimitedReader{R: out, N: maxOutput}
	if err = read(bounded); err == nil && bounded.N == 0 {
		err = errOutput
	}
	if err != nil {
		cancel() // the program may block on writing more, because nobody reads it
	}
	waited := cmd.Wait()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", argv[0], err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s did not end within %v", argv[0], commandTimeout)
	case waited != nil && stderr.String() != "":
		return fmt.Errorf("%s: %w: %s", argv[0], waited, stderr.String())
	case waited != nil:
		return fmt.Errorf("%s: %w", argv[0], waited)
	}
	return nil
}

// startError returns why a program was not started. exec's own text would have the
// path twice.
func startError(program string, err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s is not installed", program)
	}
	return fmt.Errorf("%s: %w", program, err)
}

// A head keeps the beginning of its input.
type head struct{ text []byte }

func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), 1024-len(h.text))]...)
	return len(p), nil
}

// String returns the first line.
func (h *head) String() string { return text.FirstLine(strings.TrimSpace(string(h.text))) }
