package pod

import (
	"context"
	"errors"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// ErrLost says that a pod's sandbox ended while it was supervised, so that no
// container can be started in it any more. Whoever gets it removes the pod, or
// supervises it once more, which makes it anew.
var ErrLost = errors.New("its sandbox ended")

// lookForSandbox is how often a runtime is asked for a sandbox of which it does
// not tell the process.
const lookForSandbox = 5 * time.Second

// watchSandbox ends the supervision when the pod's sandbox ends.
func (c *care) watchSandbox(ctx context.Context, end context.CancelCauseFunc) {
	if c.sandbox == "" {
		return // of a pod that is complete
	}
	for wait := pollMin; ; wait = min(wait*2, pollMax) {
		pid, lost, err := c.lookAtSandbox(ctx)
		if ctx.Err() != nil {
			return
		}
		if lost {
			end(ErrLost)
			return
		}
		pause := wait // the kernel told of its end, and the runtime will in a moment
		if err != nil || pid == 0 {
			pause = lookForSandbox
		} else if waitProcess(ctx, pid, lookAgain) != nil {
			wait = pollMin
		}
		if sleep(ctx, pause) != nil {
			return
		}
	}
}

// lookAtSandbox returns the process of the pod's sandbox, 0 if the runtime does
// not tell, and whether the sandbox has ended.
func (c *care) lookAtSandbox(ctx context.Context) (pid int, lost bool, err error) {
	var resp *runtimeapi.PodSandboxStatusResponse
	err = c.patiently(ctx, func() (err error) {
		resp, err = c.e.cri.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: c.sandbox, Verbose: true})
		return err
	})
	if cri.IsNotFound(err) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	return infoPID(resp.Info), resp.GetStatus().GetState() != runtimeapi.PodSandboxState_SANDBOX_READY, nil
}
