package pod

import (
	"context"
	"fmt"
)

// recreate recreates a pod that lost its sandbox or whose recreation was
// interrupted: its sandbox, volumes in memory, API data and all containers.
// Volumes on disk keep their content.
func (w *worker) recreate(ctx context.Context, p *Pod) error {
	if !p.needsNewSandbox() {
		return nil
	}
	lock, err := w.e.lockPod(ctx, w.l)
	if err != nil {
		return err
	}
	defer lock.release()
	if w.l.isStopping() {
		return errStopping
	}
	w.eventf("", "SandboxChanged", "the sandbox of pod %s does not run; creating it again", p.Name)
	if err := w.e.deleteSandboxes(ctx, w.l); err != nil {
		return fmt.Errorf("recreate: %w", err)
	}
	if err := w.startPod(ctx); err != nil {
		return fmt.Errorf("recreate: %w", err)
	}
	return p.Refresh(ctx)
}

// needsNewSandbox reports whether the pod has no running sandbox, or one of its
// containers was never started.
func (p *Pod) needsNewSandbox() bool {
	if p.Phase == Lost {
		return true
	}
	for i := range p.Containers {
		if c := &p.Containers[i]; p.Phase == Running && c.State == Waiting {
			return true
		}
	}
	return false
}
