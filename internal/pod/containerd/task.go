package containerd

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
)

// RemoveTasks kills and removes the tasks of containers, by their IDs. A containerd
// that is killed while it starts a container restarts with a task whose container it
// takes for a created one, and it neither stops nor removes such a container.
func (d *Daemon) RemoveTasks(ctx context.Context, containers []string) error {
	if d.client == nil {
		return nil
	}
	for _, id := range containers {
		if err := d.removeTask(ctx, id); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("remove the task of container %s: %w", id, err)
		}
	}
	return nil
}

func (d *Daemon) removeTask(ctx context.Context, id string) error {
	c, err := d.client.LoadContainer(ctx, id)
	if err != nil {
		return err
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return err
	}
	_, err = task.Delete(ctx, client.WithProcessKill)
	return err
}
