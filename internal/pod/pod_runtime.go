package pod

import (
	"context"
	"errors"
	"io/fs"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// A podRuntime reads the state of one pod's containers from the runtime.
type podRuntime struct {
	e       *Engine
	rec     *record
	l       layout
	retries bool // wait for a runtime that does not answer
}

// An attempt is one start of a container that is being watched.
type attempt struct {
	id      string
	number  uint32
	began   time.Time
	created bool // created but not started
}

// exists reports whether the container was created.
func (a attempt) exists() bool { return a.id != "" }

// status reads the status of a container from the runtime.
func (r *podRuntime) status(ctx context.Context, id string) (*runtimeapi.ContainerStatus, error) {
	resp, err := r.verboseStatus(ctx, id)
	return resp.GetStatus(), err
}

func (r *podRuntime) verboseStatus(ctx context.Context, id string) (resp *runtimeapi.ContainerStatusResponse, err error) {
	err = r.retryUnavailable(ctx, func() error {
		resp, err = r.e.cri.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: id, Verbose: true})
		return err
	})
	return resp, err
}

// waitExit waits until a container has ended. It waits for the process through a
// pidfd, because polling the runtime alone would be slow or expensive, and then
// polls the runtime, which reports the end a moment later.
func (r *podRuntime) waitExit(ctx context.Context, id string) (*runtimeapi.ContainerStatus, error) {
	ended := false
	for wait := pollMin; ; wait = min(wait*2, pollMax) {
		resp, err := r.verboseStatus(ctx, id)
		if err != nil {
			return nil, err
		}
		if hasEnded(resp.Status) {
			return resp.Status, nil
		}
		if err := waitProcess(ctx, statusPID(resp.Info), processTimeout); err == nil && !ended {
			wait, ended = pollMin, true
		}
		if err := clock.Sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// latestAttempt returns the latest attempt at a container, or errNotStarted.
func (r *podRuntime) latestAttempt(ctx context.Context, name string) (attempt, error) {
	var latest map[string]*runtimeapi.Container
	err := r.retryUnavailable(ctx, func() (err error) {
		latest, err = r.e.latest(ctx, r.l.UID)
		return err
	})
	if err != nil {
		return attempt{}, err
	}
	found, ok := latest[name]
	if !ok {
		return attempt{}, errNotStarted
	}
	st, err := r.status(ctx, found.Id)
	if err != nil {
		return attempt{}, err
	}
	return attempt{id: found.Id, number: found.Metadata.Attempt, began: unixTime(st.StartedAt), created: st.State == runtimeapi.ContainerState_CONTAINER_CREATED}, nil
}

// lastAttempt returns the latest attempt at a container. Before the first one it
// returns an attempt that does not exist, with the number of the first.
func (r *podRuntime) lastAttempt(ctx context.Context, name string) (attempt, error) {
	a, err := r.latestAttempt(ctx, name)
	if errors.Is(err, errNotStarted) {
		return attempt{number: r.l.nextAttempt(name)}, nil
	}
	return a, err
}

// waitSettled waits until a container has run long enough to count as ready
// without a probe. It reports false if the container ended before that.
func (r *podRuntime) waitSettled(ctx context.Context, id string) (bool, error) {
	for {
		st, err := r.status(ctx, id)
		if err != nil {
			return false, err
		}
		wait := time.Until(unixTime(st.StartedAt).Add(settle))
		switch {
		case hasEnded(st):
			return false, nil
		case !isRunning(st):
			wait = pollMax // created, but not started yet
		case wait <= 0:
			return true, nil
		}
		if err := clock.Sleep(ctx, wait); err != nil {
			return false, err
		}
	}
}

// retryUnavailable calls the runtime, again and again while it does not answer,
// if r.retries is set.
func (r *podRuntime) retryUnavailable(ctx context.Context, call func() error) error {
	if !r.retries {
		return call()
	}
	return retryUnavailable(ctx, call)
}

func hasEnded(st *runtimeapi.ContainerStatus) bool {
	return st.State == runtimeapi.ContainerState_CONTAINER_EXITED
}

func isRunning(st *runtimeapi.ContainerStatus) bool {
	return st.State == runtimeapi.ContainerState_CONTAINER_RUNNING
}

// The interval of polls grows from pollMin to pollMax, because many containers end
// right after they start.
const (
	pollMin = 2 * time.Millisecond
	pollMax = 250 * time.Millisecond
	// processTimeout bounds the wait for the end of a process. The kernel reports
	// every end, so that the runtime is polled only in case it loses a container.
	processTimeout = 5 * time.Minute
)

// stoppingError returns errStopping in place of an error that occurred because
// the pod is being stopped or removed.
func (r *podRuntime) stoppingError(err error) error {
	if r.l.isStopping() || cri.IsNotFound(err) && !exists(r.l.Dir) || errors.Is(err, fs.ErrNotExist) {
		return errStopping
	}
	return err
}
