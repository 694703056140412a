package pod

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/terminal"
)

// logDrain is the time for the last lines of pods that have ended.
const logDrain = time.Second

// A LogFollower prints the logs of the containers of several pods, through
// restarts. Each line begins with the names of its pod and container.
type LogFollower struct {
	out    io.Writer
	failed func(container string, err error)
	ctx    context.Context // ends soon after the pods, not with the command
	stop   context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex // guards out
}

// NewLogFollower returns a follower that prints to out. It calls failed for a
// container, "pod/container", whose log cannot be followed any more. The caller
// must call End.
func NewLogFollower(out io.Writer, failed func(container string, err error)) *LogFollower {
	f := &LogFollower{out: out, failed: failed}
	f.ctx, f.stop = context.WithCancel(context.Background())
	return f
}

// Follow prints the logs of a pod. The caller must not change p at the same time.
func (f *LogFollower) Follow(p *Pod) {
	for _, c := range p.Containers {
		f.wg.Go(func() {
			name := p.Name + "/" + c.Name
			out := terminal.NewPrefixWriter(f.out, &f.mu, name+" | ")
			defer out.Flush()
			err := p.Logs(f.ctx, c.Name, LogOptions{Follow: true, Restarts: true}, out, out)
			if err != nil && f.ctx.Err() == nil {
				f.failed(name, err)
			}
		})
	}
}

// Drain waits for the last lines of pods that have ended and were not removed yet, a
// second at most: the log goes with its pod.
func (f *LogFollower) Drain() {
	done := make(chan struct{})
	go func() {
		f.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(logDrain):
	}
}

// End waits for the last lines. Follow must not be called afterwards.
func (f *LogFollower) End() {
	time.AfterFunc(logDrain, f.stop)
	f.wg.Wait()
}
