package learn

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/pod"
)

const (
	commandTime = 2 * time.Minute // for one exercise command
	maxOutput   = 2 << 10         // bytes kept of a command's output
)

// command runs one exercise in the pod's first container.
func command(ctx context.Context, p *pod.Pod, line string) Outcome {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	var output lastBytes
	code, err := p.Exec(ctx, "", argv(line), pod.Streams{Stdout: &output, Stderr: &output})
	if err != nil {
		return Outcome{Load: line, Result: err.Error()}
	}
	return Outcome{Load: line, Result: fmt.Sprintf("exit %d", code), OK: code == 0, Output: string(output.bytes)}
}

// argv returns a command for exec: split at spaces if it has no other shell
// syntax, else run by the container's shell.
func argv(command string) []string {
	if strings.ContainsAny(command, "'\"\\$`|&;<>()*?[]#~=%{}!\n") {
		return []string{"/bin/sh", "-c", command}
	}
	return strings.Fields(command)
}

// lastBytes keeps the last bytes that several streams write to it.
type lastBytes struct {
	mu    sync.Mutex
	bytes []byte
}

// Write never fails.
func (b *lastBytes) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := append(b.bytes, p[max(0, len(p)-maxOutput):]...)
	b.bytes = append(all[:0], all[max(0, len(all)-maxOutput):]...)
	return len(p), nil
}
