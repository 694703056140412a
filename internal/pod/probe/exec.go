package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Runner runs a command in a container for at most timeout, and returns its
// output and exit code.
type Runner func(ctx context.Context, command []string, timeout time.Duration) (output []byte, code int, err error)

// ErrCannotAsk is returned by a Runner that could not run the command. The result
// of the probe is then unknown.
var ErrCannotAsk = errors.New("cannot run a command in the container")

// Exec runs a command. It succeeds if the exit code is 0.
type Exec struct {
	Command []string
	Run     Runner
}

// Probe implements Handler.
func (e Exec) Probe(ctx context.Context) Result {
	var timeout time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline).Round(time.Second)
	}
	out, code, err := e.Run(ctx, e.Command, timeout)
	text := strings.ToValidUTF8(string(out[:min(len(out), maxOutput)]), "\uFFFD")
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Result{Output: fmt.Sprintf("command timed out: %q timed out after %s", strings.Join(e.Command, " "), timeout)}
	case errors.Is(err, ErrCannotAsk):
		return Result{Unknown: true, Output: err.Error()}
	case err != nil:
		return Result{Output: err.Error()}
	case code != 0:
		return Result{Output: strings.TrimSpace(fmt.Sprintf("exit code %d: %s", code, text))}
	}
	return Result{OK: true, Output: text}
}
