package pod

import (
	"context"
	"errors"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// ErrLost is returned when a pod's sandbox ended while the pod was supervised, so
// that no container can be started in it. The caller removes the pod or calls
// Supervise again, which creates a new sandbox.
var ErrLost = errors.New("its sandbox ended")

// sandboxPoll is the interval at which a sandbox is polled if the runtime does
// not report its process.
const sandboxPoll = 5 * time.Second

// watchSandbox ends the supervision when the pod's sandbox ends.
func (w *worker) watchSandbox(ctx context.Context, end context.CancelCauseFunc) {
	if w.sandbox == "" {
		return // the pod is complete
	}
	for wait := pollMin; ; wait = min(wait*2, pollMax) {
		pid, lost, err := w.sandboxStatus(ctx)
		if ctx.Err() != nil {
			return
		}
		if lost {
			end(ErrLost)
			return
		}
		// If the process has ended, the runtime reports the end a moment later.
		pause := wait
		if err != nil || pid == 0 {
			pause = sandboxPoll
		} else if waitProcess(ctx, pid, processTimeout) != nil {
			wait = pollMin
		}
		if clock.Sleep(ctx, pause) != nil {
			return
		}
	}
}

// sandboxStatus returns the process of the pod's sandbox, 0 if the runtime does
// not report it, and whether the sandbox has ended.
func (w *worker) sandboxStatus(ctx context.Context) (pid int, lost bool, err error) {
	var resp *runtimeapi.PodSandboxStatusResponse
	err = w.retryUnavailable(ctx, func() (err error) {
		resp, err = w.e.cri.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: w.sandbox, Verbose: true})
		return err
	})
	if cri.IsNotFound(err) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	return statusPID(resp.Info), resp.GetStatus().GetState() != runtimeapi.PodSandboxState_SANDBOX_READY, nil
}
