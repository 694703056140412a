package pod

import (
	"context"
	"fmt"
	"time"

	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// Streams are connected to a command in a container.
type Streams = cri.Streams

// A TerminalSize is the size of a terminal, in characters.
type TerminalSize = cri.Size

// An ExecResult is the outcome of ExecSync.
type ExecResult = cri.Result

// Exec runs a command in a container of the pod, connected to streams, and
// returns its exit code. An empty name means the pod's default container.
func (p *Pod) Exec(ctx context.Context, container string, command []string, streams Streams) (int, error) {
	c, err := p.running(ctx, container)
	if err != nil {
		return 0, err
	}
	return p.e.cri.Stream(ctx, c.ID, command, streams)
}

// ExecSync runs a command in a container and returns its output. The command is
// killed after timeout, unless that is 0.
func (p *Pod) ExecSync(ctx context.Context, container string, command []string, timeout time.Duration) (ExecResult, error) {
	c, err := p.running(ctx, container)
	if err != nil {
		return ExecResult{}, err
	}
	return p.e.cri.Run(ctx, c.ID, command, timeout)
}

// running reads the state of the pod again and finds a container. It returns an
// error if the container does not run.
func (p *Pod) running(ctx context.Context, container string) (*Container, error) {
	if err := p.Refresh(ctx); err != nil {
		return nil, err
	}
	c, err := p.Container(container)
	if err != nil {
		return nil, err
	}
	if c.State != Started {
		return nil, fmt.Errorf("container %s of pod %s does not run: %s", c.Name, p.Name, c.describe())
	}
	return c, nil
}

// describe returns the state of a container in a few words.
func (c *Container) describe() string {
	if c.State != Exited {
		return string(c.State)
	}
	return fmt.Sprintf("it ended with exit code %d at %s", c.ExitCode, c.Finished.Local().Format(time.TimeOnly))
}
