package main

import (
	"context"
	"fmt"
	"io"

	"github.com/adamant-sh/adamant/internal/terminal"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// A watcher shows rollouts while they happen: on a terminal a picture that is
// redrawn, elsewhere a line whenever something changed.
type watcher struct {
	client  *api.Client
	out     io.Writer
	live    bool // redraws a picture
	color   bool
	picture terminal.Picture
	last    string    // line
	shown   local.Key // workload
}

func (a *app) newWatcher(c *api.Client) *watcher {
	if a.document() {
		return &watcher{client: c, out: a.err}
	}
	return &watcher{client: c, out: a.out, live: terminal.IsTerminal(a.out), color: a.colored(a.out)}
}

// watch shows a workload until its rollout has ended.
func (w *watcher) watch(ctx context.Context, k local.Key) (local.Status, error) {
	return w.client.WaitRollout(ctx, k, 0, w.show)
}

// show shows a status. That of another workload begins a new picture.
func (w *watcher) show(s local.Status) {
	if s.Key != w.shown {
		w.picture, w.last, w.shown = terminal.Picture{}, "", s.Key
	}
	if w.live {
		w.picture.Draw(w.out, s.Picture(w.color))
	} else if line := s.Line(); line != w.last {
		w.last = line
		fmt.Fprintln(w.out, line)
	}
}
