package main

import (
	"context"
	"os"
	"time"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// foreground runs a manifest until ctx ends, with its logs on stdout.
func (a *app) foreground(ctx context.Context, e *pod.Engine, d division, ready time.Duration) error {
	logs := a.newFollowers()
	defer logs.end()
	return local.RunForeground(ctx, local.ForegroundOptions{
		Engine: e, Kept: d.kept, Once: d.once, Ready: ready,
		Author: local.Author{UID: os.Geteuid(), PID: os.Getpid()},
		Events: a.event, Created: logs.follow, Say: a.progress,
		Running: func(pods int) { a.progress("supervising %s; Ctrl-C removes them", text.Count(pods, "pod")) },
	})
}
