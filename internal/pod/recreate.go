package pod

import (
	"context"
	"fmt"
	"os"
)

// recreate recreates a pod that lost its sandbox or whose recreation was
// interrupted: its sandbox, volumes in memory and API data. Volumes on disk keep
// their content. The containers are started afterwards, as those of a new pod.
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
	if err := w.l.removeCrashes(); err != nil {
		return fmt.Errorf("recreate: %w", err)
	}
	if err := w.preparePod(ctx); err != nil {
		return fmt.Errorf("recreate: %w", err)
	}
	return p.Refresh(ctx)
}

// needsNewSandbox reports whether the pod has no running sandbox, or one that was not
// prepared completely: then one of its containers was never started.
func (p *Pod) needsNewSandbox() bool {
	if p.Phase == Lost {
		return true
	}
	prepared, err := os.ReadFile(newLayout(p.e.opts.Root, p.UID).prepared())
	if err == nil && string(prepared) == p.SandboxID {
		return false
	}
	for i := range p.Containers {
		if c := &p.Containers[i]; p.Phase == Running && c.State == Waiting {
			return true
		}
	}
	return false
}
