package pod

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// sendStopSignal sends the manifest's stop signal to a container if the runtime
// does not support it (containerd before 2.1). It waits for the container's end
// and returns the rest of the time.
func (w *worker) sendStopSignal(ctx context.Context, ctr *corev1.Container, id string, left time.Duration) (time.Duration, error) {
	if translate.StopSignal(ctr) == runtimeapi.Signal_SIGNAL_RUNTIME_DEFAULT || left <= 0 {
		return left, nil
	}
	resp, err := w.e.cri.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: id, Verbose: true})
	if err != nil {
		return left, err
	}
	// A runtime that reports the signal of the manifest also sends it itself.
	pid := statusPID(resp.Info)
	if resp.Status.StopSignal == translate.StopSignal(ctr) || pid == 0 || resp.Status.State != runtimeapi.ContainerState_CONTAINER_RUNNING {
		return left, nil
	}
	if err := sendSignal(pid, string(*ctr.Lifecycle.StopSignal)); err != nil {
		return left, err
	}
	began := time.Now()
	wait, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	_, err = w.waitExit(wait, id)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return 0, nil
	}
	return max(0, left-time.Since(began)), err
}

// sendSignal sends a signal by its name, such as SIGTERM or SIGRTMIN+3.
func sendSignal(pid int, name string) error {
	sig := unix.SignalNum(name)
	if rest, ok := strings.CutPrefix(name, "SIGRTMIN"); ok {
		sig = realtime(34, rest) // glibc reserves 32 and 33, see signal(7)
	} else if rest, ok := strings.CutPrefix(name, "SIGRTMAX"); ok {
		sig = realtime(64, rest)
	}
	if sig == 0 {
		return errors.New("unknown signal " + name)
	}
	// ESRCH: the process has ended, which is the purpose of the signal.
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.PidfdSendSignal(fd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// realtime adds "+N", "-N", "PLUSN" or "MINUSN" to a signal number.
func realtime(base int, offset string) unix.Signal {
	sign := 1
	if rest, ok := strings.CutPrefix(offset, "MINUS"); ok {
		sign, offset = -1, rest
	}
	offset = strings.TrimPrefix(offset, "PLUS")
	n := 0
	for _, r := range offset {
		switch {
		case r == '-':
			sign = -1
		case r >= '0' && r <= '9':
			n = n*10 + int(r-'0')
		}
	}
	return unix.Signal(base + sign*n)
}
