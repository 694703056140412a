package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// A hint is an error with the way to fix it.
type hint struct {
	error
	mend string
}

func (h hint) Unwrap() error { return h.error }

// mend returns how an error can be fixed, or "" if that is unknown or in its text.
func mend(err error) string {
	var own hint
	var typed interface{ Mend() string }
	var path *fs.PathError
	switch {
	case errors.As(err, &own):
		return own.mend
	case errors.As(err, &typed):
		return typed.Mend()
	case errors.Is(err, api.ErrNoMatch):
		return "adamant get lists them"
	case errors.Is(err, pod.ErrNotFound):
		return "adamant ps lists the pods"
	case errors.Is(err, pod.ErrExists):
		return "adamant run -d --replace removes a pod of run -d and starts the new one"
	case errors.Is(err, pod.ErrNoImage):
		return "adamant images lists the images, adamant load adds some"
	case errors.Is(err, api.ErrNotServing):
		return "start the daemon with adamant serve, or as a service: adamant serve --help"
	case errors.Is(err, api.ErrDenied):
		return "run it with sudo, or join the group that may read: adamant serve --read-group GROUP"
	case errors.Is(err, local.ErrServing):
		return "one daemon serves a data directory; adamant get asks it"
	case errors.Is(err, local.ErrForeground):
		return "end it with Ctrl-C first"
	case errors.Is(err, syscall.EADDRINUSE):
		return "adamant get shows the addresses of declared Services, ss -ltnp all others"
	case errors.Is(err, pod.ErrBusy):
		return "try again once it is done; adamant ps shows what is being made or removed"
	case errors.Is(err, pod.ErrSupervised):
		return "a pod has one supervisor: end the other one, or use adamant logs -f"
	case pod.IsUnavailable(err):
		return "the runtime ended meanwhile: try again, which starts it and removes what was half made"
	case errors.Is(err, learn.ErrUnfit):
		return "make it run first (adamant run -f FILE); what breaks it has nothing to do with sealing"
	case errors.Is(err, learn.ErrLoad):
		return "try the load on the running pod (adamant run -d -f FILE, adamant exec POD -- COMMAND); --ready-timeout gives a slow one more time"
	case errors.As(err, &path) && errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		return "run it with sudo"
	}
	return ""
}

// interrupted reports whether err is the consequence of a signal.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// cleanupErrors returns the errors in err other than the interrupt: those of cleaning up
// after it.
func cleanupErrors(err error) error {
	if !errors.Is(err, context.Canceled) {
		return err
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if inner := errors.Unwrap(err); errors.Is(inner, context.Canceled) {
			return cleanupErrors(inner)
		}
		return nil
	}
	all := joined.Unwrap()
	if err.Error() != errors.Join(all...).Error() {
		return nil // one sentence, made of several errors
	}
	var others []error
	for _, e := range all {
		others = append(others, cleanupErrors(e))
	}
	return errors.Join(others...)
}
