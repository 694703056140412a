package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// A callError is like an error of the CRI client: it is context.Canceled, but the
// error that it wraps is not.
type callError struct{ error }

func (e *callError) Unwrap() error        { return e.error }
func (e *callError) Is(target error) bool { return target == context.Canceled }

func TestWhatAnInterruptDoesNotHide(t *testing.T) {
	remote := errors.New("rpc error: context canceled")
	left := errors.New("remove pod web: busy")
	for _, c := range []struct {
		name string
		err  error
		want string // empty if it only says that it was interrupted
	}{
		{"only the interrupt", context.Canceled, ""},
		{"wrapped", fmt.Errorf("create pod web: %w", context.Canceled), ""},
		{"in one sentence with its cause", fmt.Errorf("%w: %w", errors.New("read image"), context.Canceled), ""},
		{"of the runtime", fmt.Errorf("create pod web: %w", &callError{remote}), ""},
		{"a pod that is left", errors.Join(context.Canceled, left), left.Error()},
		{"a pod that is left, wrapped", fmt.Errorf("learn: %w", errors.Join(fmt.Errorf("wait: %w", context.Canceled), left)), left.Error()},
		{"what is left, of several errors", errors.Join(fmt.Errorf("create: %w", context.Canceled), fmt.Errorf("%w: %w", errors.New("left"), left)), "left: " + left.Error()},
		{"all of it the interrupt", errors.Join(context.Canceled, fmt.Errorf("stop: %w", context.Canceled)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := cleanupErrors(c.err); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
