package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// ErrBusy is returned when another process is creating or removing the pod.
var ErrBusy = errors.New("another process is at work on it")

// Stop stops the pod's containers as a kubelet does: it runs the preStop hook,
// sends the stop signal, and sends SIGKILL after the termination grace period.
// Sidecars come last, in reverse order. The pod stays for inspection and is not
// restarted. grace overrides the period, in seconds; a negative value keeps the
// pod's own.
func (p *Pod) Stop(ctx context.Context, grace int64, events Events) error {
	lock, err := p.e.lockPod(ctx, newLayout(p.e.opts.Root, p.UID))
	if err != nil {
		return fmt.Errorf("stop pod %s: %w", p.Name, err)
	}
	defer lock.release()
	return p.stop(ctx, grace, events)
}

func (p *Pod) stop(ctx context.Context, grace int64, events Events) error {
	if grace < 0 {
		grace = p.rec.Spec.GracePeriod()
	}
	p.e.notifyStopping(p.UID)
	if err := p.Refresh(ctx); err != nil {
		return err
	}
	w, err := p.e.workerFor(ctx, p, events)
	if err != nil && !cri.IsNotFound(err) {
		return err
	}
	if err := durable.WriteFile(w.l.stopped(), nil, 0o600); err != nil {
		return err
	}
	if err := w.stopAll(ctx, p.Containers, grace); err != nil {
		return fmt.Errorf("stop pod %s: %w", p.Name, err)
	}
	return p.Refresh(ctx)
}

// stopAll stops the containers that run. It stops the sidecars after the others,
// the last one first, within the rest of the grace period.
func (w *worker) stopAll(ctx context.Context, all []Container, grace int64) error {
	deadline := time.Now().Add(time.Duration(grace) * time.Second)
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		errs     []error
		sidecars []*Container
	)
	stop := func(ctr *Container, grace int64) {
		spec, _ := w.rec.Spec.Container(ctr.Name)
		w.eventf(ctr.Name, "Killing", "stopping container %s", ctr.Name)
		if err := w.stopContainer(ctx, spec, ctr.ID, grace); err != nil && !cri.IsNotFound(err) {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
	}
	for i := range all {
		switch ctr := &all[i]; {
		case ctr.ID == "" || ctr.State == Exited:
		case ctr.Sidecar:
			sidecars = append(sidecars, ctr)
		default:
			wg.Go(func() { stop(ctr, grace) })
		}
	}
	wg.Wait()
	// Sidecars serve the main containers until these have ended.
	for _, ctr := range slices.Backward(sidecars) {
		stop(ctr, min(grace, max(int64(time.Until(deadline).Seconds()), int64(minGrace.Seconds()))))
	}
	return errors.Join(errs...)
}

// Remove stops the pod and removes all of it: sandbox, containers, volumes, logs
// and state. Once Remove has begun, the pod is no longer listed as running, and
// Recover removes it even if this process is killed. grace is as for Stop; 0
// kills immediately.
func (p *Pod) Remove(ctx context.Context, grace int64, events Events) error {
	return p.remove(ctx, removal{grace: grace, events: events})
}

func (p *Pod) remove(ctx context.Context, r removal) error {
	l := newLayout(p.e.opts.Root, p.UID)
	lock, err := p.e.lockPod(ctx, l)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process removed it
	}
	if err != nil {
		return fmt.Errorf("remove pod %s: %w", p.Name, err)
	}
	defer lock.release()
	// The directory may be gone: another process may be removing the pod.
	if err := r.begin(l, p.rec.Spec.GracePeriod()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pod %s: %w", p.Name, err)
	}
	p.e.opts.step("removing")
	stopErr := p.stop(ctx, r.grace, r.events)
	p.e.opts.step("stopped")
	if err := r.finish(ctx); err != nil {
		return fmt.Errorf("remove pod %s: %w", p.Name, err)
	}
	select {
	case p.e.deleting <- struct{}{}:
		defer func() { <-p.e.deleting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := p.e.deletePod(ctx, p.UID); err != nil {
		return errors.Join(stopErr, err)
	}
	if p.owner != nil {
		p.owner.release()
	}
	return nil // stopErr does not matter: removing the sandbox has killed its containers
}

// markRemoving records that the removal began, so that Recover finishes it if
// this process is killed: at once or, if endsBy is not zero, after that time.
func (l layout) markRemoving(endsBy time.Time) error {
	var mark []byte
	if !endsBy.IsZero() {
		mark = endsBy.UTC().AppendFormat(nil, time.RFC3339Nano)
	}
	if err := durable.WriteFile(l.removing(), mark, 0o600); err != nil {
		return err
	}
	// In this order: without both files the pod would look like one that is
	// being created.
	if err := os.Remove(l.committed()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.SyncDir(l.Dir)
}

// lockPod takes the lock of a pod. It waits for a process that restarts a
// container of the pod, but not for one that creates or removes the pod.
func (e *Engine) lockPod(ctx context.Context, l layout) (*fileLock, error) {
	for {
		if !exists(l.Dir) {
			return nil, fs.ErrNotExist
		}
		lock, err := acquire(l.lock(), false)
		// The previous holder may have removed the pod. The lock then belongs to
		// a file that no other process can find.
		if err == nil && !exists(l.Dir) {
			lock.release()
			return nil, fs.ErrNotExist
		}
		if !errors.Is(err, durable.ErrLocked) {
			return lock, err
		}
		if !exists(l.committed()) {
			return nil, ErrBusy
		}
		if err := clock.Sleep(ctx, pollMax/10); err != nil {
			return nil, err
		}
	}
}

// deleteTimeout bounds the time that the runtime takes to finish the requests of
// a killed process. Until then a container that is being started cannot be
// removed, and a sandbox that is being created has processes but is not listed.
const deleteTimeout = 20 * time.Second

// deletePod removes everything of a pod in any state. The caller holds the pod's
// lock, so that no other process creates anything of the pod. The directory is
// removed last, because after a crash Recover finds the pod by its directory.
// Another process may create a lock file in the directory while it is removed
// (ENOTEMPTY), so that the removal is tried again.
func (e *Engine) deletePod(ctx context.Context, uid string) error {
	for began := time.Now(); ; {
		err := e.tryDeletePod(ctx, uid)
		again := errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTEMPTY)
		if !again || time.Since(began) > deleteTimeout || clock.Sleep(ctx, pollMax/10) != nil {
			return err
		}
	}
}

func (e *Engine) tryDeletePod(ctx context.Context, uid string) error {
	l := newLayout(e.opts.Root, uid)
	if err := e.deleteSandboxes(ctx, l); err != nil {
		return fmt.Errorf("remove pod %s: %w", uid, err)
	}
	e.opts.step("erased sandbox")
	if err := e.unmountVolumes(ctx, l); err != nil {
		return fmt.Errorf("remove the volumes of pod %s: %w", uid, err)
	}
	e.opts.step("erased volumes")
	// A cgroup can be removed only once it has no processes (EBUSY), and these
	// end some time after SIGKILL: deletePod tries again.
	if err := e.cgroups.kill(uid); err != nil {
		return fmt.Errorf("kill the processes of pod %s: %w", uid, err)
	}
	if err := e.cgroups.remove(uid); err != nil {
		return fmt.Errorf("remove the cgroup of pod %s: %w", uid, err)
	}
	if err := volume.RemoveAll(l.Dir); err != nil {
		return fmt.Errorf("remove pod %s: %w", uid, err)
	}
	e.opts.step("erased files")
	if err := e.removeSharedCgroup(); err != nil {
		return fmt.Errorf("remove the cgroup of all pods: %w", err)
	}
	return nil
}

func (e *Engine) deleteSandboxes(ctx context.Context, l layout) error {
	found, err := e.sandboxes(ctx, l.labels())
	if err != nil {
		return err
	}
	for _, s := range found {
		if err := e.deleteSandbox(ctx, s.Id); err != nil {
			return err
		}
	}
	return nil
}

// deleteSandbox removes a sandbox and kills its containers without a grace
// period.
func (e *Engine) deleteSandbox(ctx context.Context, id string) error {
	for began := time.Now(); ; {
		err := e.tryDeleteSandbox(ctx, id)
		if err == nil || cri.IsUnavailable(err) || time.Since(began) > deleteTimeout || clock.Sleep(ctx, pollMax/10) != nil {
			return err
		}
	}
}

func (e *Engine) tryDeleteSandbox(ctx context.Context, id string) error {
	_, err := e.cri.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	if err != nil && !cri.IsNotFound(err) {
		return err
	}
	if err := e.flattenRoots(ctx, id); err != nil {
		return err
	}
	_, err = e.cri.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	if err == nil || cri.IsNotFound(err) {
		return nil
	}
	// What runs now is not stopped by the runtime, which does not know of it.
	return errors.Join(err, e.removeTasks(ctx, id))
}

// flattenRoots makes the changes of a stopped sandbox's containers removable: containerd
// has one file open for each level of directories while it removes them, and leaves those
// for which it may not open so many.
func (e *Engine) flattenRoots(ctx context.Context, sandbox string) error {
	if e.daemon.Client() == nil {
		return nil
	}
	list, err := e.cri.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{PodSandboxId: sandbox}})
	if err != nil {
		return err
	}
	for _, c := range list.Containers {
		dir, err := e.changesDir(ctx, c.Id)
		if err != nil {
			continue // it has no snapshot any more
		}
		// After an error containerd removes what it can, as it does for other errors.
		_ = volume.Flatten(dir)
	}
	return nil
}

// changesDir returns the directory that a container writes to.
func (e *Engine) changesDir(ctx context.Context, id string) (string, error) {
	mounts, err := e.daemon.Client().SnapshotService(e.daemon.Snapshotter()).Mounts(ctx, id)
	if err != nil {
		return "", err
	}
	if len(mounts) == 1 && mounts[0].Type == "overlay" {
		m, err := overlay.Parse(mounts[0].Options)
		return m.Upper, err
	}
	if len(mounts) == 1 && mounts[0].Type == "bind" { // a copy, as of the snapshotter native
		return mounts[0].Source, nil
	}
	return "", overlay.ErrNoOverlay
}

// removeTasks removes what runs in the containers of a stopped sandbox.
func (e *Engine) removeTasks(ctx context.Context, sandbox string) error {
	list, err := e.cri.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{PodSandboxId: sandbox}})
	if err != nil {
		return err
	}
	var ids []string
	for _, c := range list.Containers {
		ids = append(ids, c.Id)
	}
	return e.daemon.RemoveTasks(ctx, ids)
}

// unmountVolumes unmounts everything in the pod's directory.
func (e *Engine) unmountVolumes(ctx context.Context, l layout) error {
	if err := e.unmountImages(ctx, l); err != nil {
		return err
	}
	return volume.UnmountBelow(l.Dir)
}

// RemoveAll removes pods one after the other, and calls removed with each. It goes
// on after an error. See Remove.
func RemoveAll(ctx context.Context, pods []*Pod, grace int64, removed func(*Pod)) error {
	var errs []error
	for _, p := range pods {
		if err := p.Remove(ctx, grace, nil); err != nil {
			errs = append(errs, err)
			continue
		}
		removed(p)
	}
	return errors.Join(errs...)
}
