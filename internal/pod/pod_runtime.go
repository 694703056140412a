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

// A podRuntime asks the runtime about the containers of one pod.
type podRuntime struct {
	e       *Engine
	rec     *record
	l       layout
	retries bool // waits for a runtime that does not answer
}

// An attempt is one start of a container that is being watched.
type attempt struct {
	id      string
	number  uint32
	began   time.Time
	created bool // but not started
}

// status asks the runtime for the status of a container.
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

// waitExit waits until a container has ended. The kernel reports the end of its
// process at once, the runtime a moment later.
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

// latestAttempt is the newest attempt at a container.
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

// waitSettled waits until a container has run for so long that it counts as
// ready without a probe. It reports false for one that ended before.
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
			wait = pollMax // somebody is about to start it
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

// A container is polled often at first, because many end at once, and then less
// often.
const (
	pollMin = 2 * time.Millisecond
	pollMax = 250 * time.Millisecond
	// processTimeout is how long only the end of the process is waited for. The
	// kernel reports every end, so polling is only for a runtime that loses a
	// container.
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
