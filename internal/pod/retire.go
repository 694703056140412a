package pod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// Retire releases what a pod that has succeeded or failed does not need any more, as a
// kubelet does: its sandbox with its address and ports, and its volumes. Its logs, exit codes and
// termination messages stay until Remove. It may be called again.
func (p *Pod) Retire(ctx context.Context) error {
	if p.Phase != Succeeded && p.Phase != Failed {
		return fmt.Errorf("retire pod %s: it is %s", p.Name, p.Phase)
	}
	l := newLayout(p.e.opts.Root, p.UID)
	lock, err := p.e.lockPod(ctx, l)
	if err != nil {
		return fmt.Errorf("retire pod %s: %w", p.Name, err)
	}
	defer lock.release()
	_, err = p.e.cri.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: p.SandboxID})
	if err == nil || cri.IsNotFound(err) {
		err = p.e.unmountVolumes(ctx, l)
	}
	if err == nil {
		err = volume.RemoveAll(filepath.Join(l.Dir, "volumes"))
	}
	if err == nil {
		err = os.WriteFile(l.retired(), nil, 0o600)
	}
	if err != nil {
		return fmt.Errorf("retire pod %s: %w", p.Name, err)
	}
	return nil
}

// Exists reports whether a pod was neither removed nor is being removed. It asks no
// runtime.
func (p *Pod) Exists() bool { return exists(newLayout(p.e.opts.Root, p.UID).committed()) }

// IsRetired reports whether Retire has released what the pod does not need.
func (p *Pod) IsRetired() bool { return exists(newLayout(p.e.opts.Root, p.UID).retired()) }
