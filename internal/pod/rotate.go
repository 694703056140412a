package pod

import (
	"context"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

const (
	// maxLog is the size at which a container's log is rotated, in bytes, as by
	// the kubelet. One rotated file is kept.
	maxLog        = 10 << 20
	rotatedSuffix = ".1"
)

// rotateLogs rotates the logs that are too large. It calls the runtime only if
// there are any. After an error the next call tries again.
func (w *worker) rotateLogs(ctx context.Context) {
	if !w.hasLargeLog() {
		return
	}
	latest, err := w.e.latest(ctx, w.l.UID)
	if err != nil {
		return
	}
	for name, ctr := range latest {
		path := filepath.Join(w.l.Logs(), translate.LogPath(name, ctr.Metadata.Attempt))
		info, err := os.Stat(path)
		if err != nil || info.Size() < maxLog || ctr.State != runtimeapi.ContainerState_CONTAINER_RUNNING {
			continue
		}
		if err := w.rotateLog(ctx, ctr.Id, path); err != nil {
			w.eventf(name, "FailedLogRotation", "log of container %s: %v", name, err)
		}
	}
}

// hasLargeLog reports whether the log of a latest attempt is too large.
func (w *worker) hasLargeLog() bool {
	spec := &w.rec.Spec.Spec
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			next := w.l.nextAttempt(list[i].Name)
			if next == 0 {
				continue
			}
			info, err := os.Stat(filepath.Join(w.l.Logs(), translate.LogPath(list[i].Name, next-1)))
			if err == nil && info.Size() >= maxLog {
				return true
			}
		}
	}
	return false
}

// rotateLog renames a log and makes the runtime open a new file.
func (w *worker) rotateLog(ctx context.Context, id, path string) error {
	if err := os.Rename(path, path+rotatedSuffix); err != nil {
		return err
	}
	_, err := w.e.cri.ReopenContainerLog(ctx, &runtimeapi.ReopenContainerLogRequest{ContainerId: id})
	if err != nil {
		// The runtime still writes to the old file.
		os.Rename(path+rotatedSuffix, path)
	}
	return err
}
