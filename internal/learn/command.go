package learn

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/learn/observe"
	"github.com/adamant-sh/adamant/internal/pod"
)

const (
	commandTime = 2 * time.Minute // for one exercise command
	maxOutput   = 64 << 10        // bytes of a command's output that are compared
	shownOutput = 2 << 10         // and that are shown
)

// Exit codes of a shell, and of exec, for a program that cannot be run.
const (
	notExecutable = 126
	notFound      = 127
)

// command runs one exercise in the container that it is meant for.
func command(ctx context.Context, p *pod.Pod, l piece) Outcome {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	began := time.Now()
	words := argv(l.command)
	if p.Handler == handler {
		words = observe.ExerciseCommand(p.Spec().TraceDir, words)
	}
	var output lastBytes
	code, err := p.Exec(ctx, l.container, words, pod.Streams{Stdout: &output, Stderr: &output})
	if err != nil {
		return Outcome{Load: l.label, Result: err.Error(), final: true}
	}
	all := string(output.bytes)
	return Outcome{
		Load: l.label, Result: fmt.Sprintf("exit %d", code), OK: code == 0,
		Output: all[max(0, len(all)-shownOutput):], prints: []printed{printOf(all, output.cut, p.Name, p.UID)},
		took: time.Since(began), final: code == notExecutable || code == notFound,
	}
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
	cut   bool // there were more
}

// Write never fails.
func (b *lastBytes) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := append(b.bytes, p[max(0, len(p)-maxOutput):]...)
	b.cut = b.cut || len(b.bytes)+len(p) > maxOutput
	b.bytes = append(all[:0], all[max(0, len(all)-maxOutput):]...)
	return len(p), nil
}
