package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// Recover cleans up after processes that were killed: a pod that was being
// created or removed by one is removed with everything it had. Pods that running
// processes work on are left alone. Open calls it.
func (e *Engine) Recover(ctx context.Context) error {
	var errs []error
	uids, err := podUIDs(e.opts.Root)
	if err != nil {
		return err
	}
	for _, uid := range uids {
		errs = append(errs, e.recoverPod(ctx, uid))
	}
	errs = append(errs, e.removeUnnamedDirs(), e.removeOrphanSandboxes(ctx), e.removeSharedCgroup())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	return nil
}

func (e *Engine) recoverPod(ctx context.Context, uid string) error {
	l := newLayout(e.opts.Root, uid)
	if exists(l.committed()) && !ownerIsGone(l) {
		return nil
	}
	if locked, err := durable.IsLocked(l.lock()); locked || err != nil {
		return err // its creator runs
	}
	lock, err := acquire(l.lock(), false)
	if errors.Is(err, durable.ErrLocked) || errors.Is(err, os.ErrNotExist) {
		return nil // another process does the same, or it is gone by now
	}
	if err != nil {
		return err
	}
	defer lock.release()
	if exists(l.committed()) && !ownerIsGone(l) {
		return nil // it was finished in the meantime
	}
	// The mark is only for commands that list pods now. On a full disk it cannot be
	// written, and the removal must not depend on it.
	_ = l.markRemoving()
	return e.deletePod(ctx, uid)
}

// ownerIsGone reports whether a pod is ephemeral and its creator has ended. It
// reports false if that cannot be found out, because a pod that is in use must
// not be removed.
func ownerIsGone(l layout) bool {
	if !exists(l.owner()) {
		return false
	}
	locked, err := durable.IsLocked(l.owner())
	return err == nil && !locked
}

// removeUnnamedDirs removes directories that never got their final name. Only the
// holder of the lock of names creates them.
func (e *Engine) removeUnnamedDirs() error {
	unborn, err := filepath.Glob(filepath.Join(podsDir(e.opts.Root), ".new-*"))
	if err != nil || len(unborn) == 0 {
		return err
	}
	names, err := acquire(filepath.Join(podsDir(e.opts.Root), ".names"), false)
	if errors.Is(err, durable.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer names.release()
	var errs []error
	for _, dir := range unborn {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// removeOrphanSandboxes removes sandboxes of this root whose pod has no directory: a
// runtime may finish making one after its caller was killed. The sandboxes are
// listed first, so that a pod that is being made has its directory by then.
func (e *Engine) removeOrphanSandboxes(ctx context.Context) error {
	found, err := e.sandboxes(ctx, map[string]string{translate.LabelRoot: rootID(e.opts.Root)})
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range found {
		uid := s.Labels[translate.LabelPodUID]
		if uid == "" || strings.ContainsAny(uid, "/.") || exists(newLayout(e.opts.Root, uid).Dir) {
			continue
		}
		if err := e.deleteSandbox(ctx, s.Id); err != nil && !cri.IsNotFound(err) {
			errs = append(errs, err)
		}
		errs = append(errs, e.cgroups.kill(uid), e.cgroups.remove(uid))
	}
	return errors.Join(errs...)
}
