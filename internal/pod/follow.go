package main

import (
	"context"
	"sync"
	"time"

	engine "github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/terminal"
)

// logDrain is the time for the last lines of pods that have ended.
const logDrain = time.Second

// followers print the logs of the containers of pods, through restarts. Each line
// begins with the names of its pod and container.
type followers struct {
	*app
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
	mu   sync.Mutex // of the output
}

func (a *app) newFollowers() *followers {
	f := &followers{app: a}
	f.ctx, f.stop = context.WithCancel(context.Background())
	return f
}

// follow prints the logs of a pod, which nobody else may change meanwhile.
func (f *followers) follow(pod *engine.Pod) {
	for _, c := range pod.Containers {
		f.wg.Go(func() {
			out := terminal.NewPrefixWriter(f.out, &f.mu, pod.Name+"/"+c.Name+" | ")
			defer out.Flush()
			err := pod.Logs(f.ctx, c.Name, engine.LogOptions{Follow: true, Restarts: true}, out, out)
			if err != nil && f.ctx.Err() == nil {
				f.progress("the log of %s/%s cannot be followed any more: %v", pod.Name, c.Name, err)
			}
		})
	}
}

// end waits for the last lines. follow must not be called afterwards.
func (f *followers) end() {
	time.AfterFunc(logDrain, f.stop)
	f.wg.Wait()
}
