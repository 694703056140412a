package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// A watcher shows rollouts while they happen: on a terminal a picture that is
// redrawn, elsewhere a line whenever something changed.
type watcher struct {
	*app
	client *api.Client
	out    io.Writer
	live   bool // redraws a picture
	lines  int  // of the picture that is shown
	last   string
}

func (a *app) newWatcher(c *api.Client) *watcher {
	w := &watcher{app: a, client: c, out: a.out, live: isTerminal(a.out)}
	if a.json() {
		w.out, w.live = a.err, false
	}
	return w
}

// watch shows a workload until its rollout has ended.
func (w *watcher) watch(ctx context.Context, k local.Key) (local.Status, error) {
	w.lines, w.last = 0, ""
	s, err := w.client.WaitRollout(ctx, k, w.show)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%s: its rollout has not ended in time: adamant rollout status %s", k, k.Name)
	}
	return s, err
}

func (w *watcher) show(s local.Status) {
	if !w.live {
		if line := progressOf(s); line != w.last {
			w.last = line
			fmt.Fprintln(w.out, line)
		}
		return
	}
	var b strings.Builder
	draw(&b, s, w.colored(w.out))
	if w.lines > 0 {
		fmt.Fprintf(w.out, "\x1b[%dA\x1b[J", w.lines)
	}
	w.last = w.fit(b.String())
	w.lines = strings.Count(w.last, "\n")
	io.WriteString(w.out, w.last)
}

// fit cuts each line to the width of the terminal: lines that wrap could not be
// drawn over.
func (w *watcher) fit(picture string) string {
	f, ok := w.out.(*os.File)
	if !ok {
		return picture
	}
	width := columns(f)
	var b strings.Builder
	for line := range strings.Lines(picture) {
		b.WriteString(fit(strings.TrimSuffix(line, "\n"), width) + "\n")
	}
	return b.String()
}

// progressOf formats a rollout as one line.
func progressOf(s local.Status) string {
	line := fmt.Sprintf("%s/%s generation %d: %s, %d of %d updated, %d ready", s.Kind, s.Name, s.Generation, phaseOf(s), s.Updated, s.Replicas, s.Ready)
	for _, extra := range []string{sharesOf(s), s.Waiting, s.Reason} {
		if extra != "" {
			line += "; " + text.EscapeLines(extra)
		}
	}
	return line
}

// draw writes a rollout as a picture with a row of instances for each
// generation.
func draw(b *strings.Builder, s local.Status, colored bool) {
	fmt.Fprintf(b, "%s %s/%s  %s\n", s.Kind, s.Namespace, s.Name, phaseOf(s))
	byGeneration := map[int][]local.InstanceStatus{}
	last := s.Generation
	for _, i := range s.Instances {
		byGeneration[i.Generation] = append(byGeneration[i.Generation], i)
		last = max(last, i.Generation)
	}
	for g := 1; g <= last; g++ {
		if len(byGeneration[g]) == 0 && g != s.Generation {
			continue
		}
		fmt.Fprintf(b, "  generation %-3d ", g)
		for _, i := range byGeneration[g] {
			b.WriteString(mark(i, colored))
		}
		if share, ok := s.Shares[g]; ok {
			fmt.Fprintf(b, "  %d%% of the traffic", share)
		}
		b.WriteByte('\n')
	}
	for _, i := range s.Instances {
		fmt.Fprintf(b, "    %s %-24s %-9s %s\n", mark(i, colored), i.Name, i.Phase, cut(text.EscapeLines(firstLineOf(i.Message)), 60))
	}
	for _, why := range []string{s.Waiting, s.Reason} {
		if why != "" {
			fmt.Fprintf(b, "  %s\n", text.EscapeLines(why))
		}
	}
}

// mark returns the symbol of an instance.
func mark(i local.InstanceStatus, colored bool) string {
	symbol, color := "○", "33"
	switch {
	case i.Phase == "Ending":
		symbol, color = "·", "2"
	case i.Drift == "Drifted":
		symbol, color = "◆", "35"
	case i.Phase == "Ready":
		symbol, color = "●", "32"
	case i.Phase == "Crashed":
		symbol, color = "✗", "31"
	}
	if !colored {
		return symbol
	}
	return "\x1b[" + color + "m" + symbol + "\x1b[0m"
}
