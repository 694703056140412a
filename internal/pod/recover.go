package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// Recover cleans up after processes that were killed: it removes the pods that
// they were creating or removing. It does not change pods that a running process
// is creating or removing. Open calls it.
func (e *Engine) Recover(ctx context.Context) error {
	var errs []error
	uids, err := podUIDs(e.opts.Root)
	if err != nil {
		return err
	}
	for _, uid := range uids {
		errs = append(errs, e.recoverPod(ctx, uid))
	}
	errs = append(errs, e.removeUnnamedDirs(), e.Claims().removeRests(), e.removeOrphanSandboxes(ctx), e.daemon.RemoveLostShims(ctx), e.removeSharedCgroup())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	return nil
}

func (e *Engine) recoverPod(ctx context.Context, uid string) error {
	l := newLayout(e.opts.Root, uid)
	if locked, err := durable.IsLocked(l.lock()); locked || err != nil {
		return err // its creator runs
	}
	// A creator commits a pod before it releases the lock, and supervises the pod then.
	// It must not meet this process, so the lock is taken only of a pod that needs it.
	if exists(l.committed()) && !ownerIsGone(l) {
		return nil
	}
	lock, err := acquire(l.lock(), false)
	if errors.Is(err, durable.ErrLocked) || errors.Is(err, os.ErrNotExist) {
		return nil // another process is removing it, or has removed it
	}
	if err != nil {
		return err
	}
	defer lock.release()
	if exists(l.committed()) && !ownerIsGone(l) {
		return nil // its creator committed it before the lock was taken
	}
	if !ownerIsGone(l) && time.Now().Before(l.endsBy()) {
		return nil // it is ending, see Terminate
	}
	// The mark is only for commands that list pods now. The removal must not fail
	// because the mark cannot be written to a full disk.
	_ = l.markRemoving(time.Time{})
	return e.deletePod(ctx, uid)
}

// ownerIsGone reports whether a pod is ephemeral and its creator has ended. It
// reports false if the lock cannot be checked, because a pod that is in use must
// not be removed.
func ownerIsGone(l layout) bool {
	if !exists(l.owner()) {
		return false
	}
	locked, err := durable.IsLocked(l.owner())
	return err == nil && !locked
}

// removeUnnamedDirs removes directories that never got their final name, see
// writeRecord. Only the holder of the lock on names creates them.
func (e *Engine) removeUnnamedDirs() error {
	// Without such directories, which is the usual case, no lock is needed.
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

// removeOrphanSandboxes removes sandboxes of this root whose pod has no directory.
// The runtime may have created such a sandbox after its caller was killed.
func (e *Engine) removeOrphanSandboxes(ctx context.Context) error {
	found, err := e.sandboxes(ctx, map[string]string{translate.LabelRoot: rootID(e.opts.Root)})
	if err != nil {
		return err
	}
	// The sandboxes were listed first. A pod that is being created has its
	// directory before its sandbox, so that it is not taken for an orphan.
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
