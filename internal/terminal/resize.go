package terminal

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// Resizes sends the size of a terminal in characters, now and whenever it changes,
// until ctx ends. It then closes the channel.
func Resizes[S any](ctx context.Context, f *os.File, size func(width, height int) S) <-chan S {
	out := make(chan S, 1)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		defer close(out)
		defer signal.Stop(changed)
		for {
			if w, h, err := term.GetSize(int(f.Fd())); err == nil {
				select {
				case out <- size(w, h):
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
