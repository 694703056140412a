package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A Result is the result of a command that has ended.
type Result struct {
	Stdout, Stderr []byte
	ExitCode       int
}

// A Size is the size of a terminal, in characters.
type Size struct{ Width, Height uint16 }

// Streams are connected to a process in a container, except those that are nil.
// With TTY the process has a terminal, which has no separate stderr. The terminal
// is resized to each size from Resize until the channel is closed.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	TTY            bool
	Resize         <-chan Size
}

// Run runs a command in a container and returns its output, at most 16 MiB of each
// stream (containerd's limit). The runtime kills a command that exceeds the
// timeout, and the error is then context.DeadlineExceeded; a timeout of zero means
// no limit. An exit code other than 0 is not an error.
func (c *Client) Run(ctx context.Context, container string, cmd []string, timeout time.Duration) (Result, error) {
	resp, err := c.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: container, Cmd: cmd, Timeout: seconds(timeout)})
	if err != nil {
		return Result{}, err
	}
	return Result{Stdout: resp.Stdout, Stderr: resp.Stderr, ExitCode: int(resp.ExitCode)}, nil
}

// Stream runs a command in a container, connected to s, waits for its end and
// returns the exit code. It may return before s.Stdin is at its end; if a read of
// s.Stdin blocks, a goroutine stays until the read returns.
func (c *Client) Stream(ctx context.Context, container string, cmd []string, s Streams) (int, error) {
	resp, err := c.Exec(ctx, &runtimeapi.ExecRequest{
		ContainerId: container, Cmd: cmd, Tty: s.TTY,
		Stdin: s.Stdin != nil, Stdout: s.Stdout != nil, Stderr: s.Stderr != nil && !s.TTY,
	})
	if err != nil {
		return 0, err
	}
	code, err := stream(ctx, resp.Url, s)
	if err != nil {
		return 0, fmt.Errorf("exec in %s: %w", short(container), err)
	}
	return code, nil
}

// stream connects s to the runtime's streaming server. It uses SPDY, because all
// CRI runtimes support it, including CRI-O and containerd 1.6.
func stream(ctx context.Context, address string, s Streams) (int, error) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, fmt.Errorf("streaming address: %w", err)
	}
	executor, err := remotecommand.NewSPDYExecutor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: u.Scheme == "https"}}, "POST", u)
	if err != nil {
		return 0, err
	}
	opts := remotecommand.StreamOptions{Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr, Tty: s.TTY}
	if s.TTY {
		opts.Stderr = nil
	}
	if s.TTY && s.Resize != nil {
		opts.TerminalSizeQueue = sizes{ctx, s.Resize}
	}
	err = executor.StreamWithContext(ctx, opts)
	var exit utilexec.CodeExitError
	if errors.As(err, &exit) {
		return exit.Code, nil
	}
	return 0, err
}

// sizes is a remotecommand.TerminalSizeQueue that ends with its context.
type sizes struct {
	ctx context.Context
	c   <-chan Size
}

func (q sizes) Next() *remotecommand.TerminalSize {
	select {
	case s, ok := <-q.c:
		if ok {
			return &remotecommand.TerminalSize{Width: s.Width, Height: s.Height}
		}
	case <-q.ctx.Done():
	}
	return nil
}
