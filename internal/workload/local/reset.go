package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/balancer"
)

// BalancerDir is the directory of the balancer's processes in a state directory.
func BalancerDir(state string) string { return filepath.Join(state, "traffic") }

// ResetOptions configures a Reset.
type ResetOptions struct {
	// Claims also removes the files of PersistentVolumeClaims, which nothing else can
	// restore.
	Claims bool
	Start  func(kept []pod.Claim) // called before pods are removed, with the claims that stay
}

// Reset removes everything that Adamant made below a data directory and a state
// directory: stores, pods, images, the balancer, and what was learned. Claims stay unless
// the options include them. It returns ErrServing while a daemon serves the data directory,
// ErrForeground while another process keeps workloads on it, and the errors of
// pod.Destroy.
func Reset(ctx context.Context, root, state string, o ResetOptions) error {
	if err := destroy(root); err != nil {
		return err
	}
	claims, err := pod.OpenClaims(root)
	if err != nil {
		return err
	}
	var kept []pod.Claim
	if !o.Claims {
		if kept, err = claims.List(); err != nil {
			return err
		}
	}
	o.Start(kept)
	if err := balancer.End(ctx, BalancerDir(state)); err != nil {
		return err
	}
	if err := pod.Destroy(ctx, pod.Options{Root: root, State: state}); err != nil {
		return err
	}
	// Without a claim the directory is empty, or holds what killed processes left.
	if len(kept) == 0 {
		if err := claims.Destroy(); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(root, "learn")); err != nil {
		return err
	}
	for _, dir := range []string{root, state} {
		// Files that Adamant did not make stay, and their directory with them.
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	return nil
}
