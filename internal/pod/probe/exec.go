package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Runner runs a command in a container for at most timeout, and returns what
// it printed and its exit code.
type Runner func(ctx context.Context, command []string, timeout time.Duration) (output []byte, code int, err error)

// ErrCannotAsk is the error of a Runner that could not even try: it means nothing
// of the program.
var ErrCannotAsk = errors.New("cannot run a command in the container")

// Exec runs a command; exit code 0 is a success.
type Exec struct {
	Command []string
	Run     Runner
}

// Probe asks once.
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
