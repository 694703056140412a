package engine

import (
	"context"
	"os"
	"path/filepath"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	// maxLog is the size at which a container's log is put aside, in bytes: a
	// kubelet's. One such file is kept.
	maxLog        = 10 << 20
	rotatedSuffix = ".1"
)

// rotateLogs puts aside the logs that grew too large. What goes wrong is tried
// again the next time.
func (c *care) rotateLogs(ctx context.Context) {
	latest, err := c.e.latest(ctx, c.l.uid)
	if err != nil {
		return
	}
	for name, ctr := range latest {
		path := filepath.Join(c.l.logs(), logPath(name, ctr.Metadata.Attempt))
		info, err := os.Stat(path)
		if err != nil || info.Size() < maxLog || ctr.State != runtimeapi.ContainerState_CONTAINER_RUNNING {
			continue
		}
		if err := c.rotateLog(ctx, ctr.Id, path); err != nil {
			c.say(name, "FailedLogRotation", "log of container %s: %v", name, err)
		}
	}
}

// rotateLog renames a log and has the runtime begin a new one.
func (c *care) rotateLog(ctx context.Context, id, path string) error {
	if err := os.Rename(path, path+rotatedSuffix); err != nil {
		return err
	}
	_, err := c.e.cri.ReopenContainerLog(ctx, &runtimeapi.ReopenContainerLogRequest{ContainerId: id})
	if err != nil {
		// The runtime still writes to the old file, so that gets its name back.
		os.Rename(path+rotatedSuffix, path)
	}
	return err
}
