package terminal

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// MakeRaw puts a terminal into raw mode. It sends the terminal's size in characters,
// now and whenever it changes, until ctx ends or the caller calls restore, which it
// must. Then the channel is closed.
func MakeRaw[S any](ctx context.Context, f *os.File, size func(width, height int) S) (sizes <-chan S, restore func(), err error) {
	fd := int(f.Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	restore = func() {
		cancel()
		term.Restore(fd, old)
	}
	return resizes(ctx, f, size), restore, nil
}

// resizes sends the size of a terminal in characters, now and whenever it changes,
// until ctx ends. It then closes the channel.
func resizes[S any](ctx context.Context, f *os.File, size func(width, height int) S) <-chan S {
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
