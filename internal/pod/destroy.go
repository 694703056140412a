package pod

import (
	"context"
	"errors"
	"fmt"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// Destroy removes everything of a root: its pods, without running their hooks,
// and the private containerd with its images, mounts, cgroups and files. With
// another runtime it removes only the pods. It returns nil if there is nothing to
// remove.
func Destroy(ctx context.Context, opts Options) error {
	opts, err := opts.withDefaults()
	if err != nil {
		return fmt.Errorf("destroy: %w", err)
	}
	if opts.RuntimeEndpoint != "" {
		return destroyPods(ctx, opts)
	}
	err = containerd.Stop(ctx, containerd.Options{Root: opts.Root, State: opts.State})
	if err != nil {
		return err
	}
	// RemoveAll would delete the machine's own files through a mounted subPath of
	// a hostPath volume.
	dir := podsDir(opts.Root)
	if err := volume.UnmountBelow(dir); err != nil {
		return fmt.Errorf("remove the pods in %s: %w", opts.Root, err)
	}
	var errs []error
	for _, slice := range []bool{false, true} {
		errs = append(errs, removeCgroups(opts.Root, slice))
	}
	return errors.Join(append(errs, volume.RemoveAll(dir))...)
}

// removeCgroups removes the parent cgroup of the pods of a root: a slice or a
// path.
func removeCgroups(root string, slice bool) error {
	c := cgroups{cgroupName(root, slice)}
	var errs []error
	for _, dir := range c.dirs("") {
		errs = append(errs, removeEmptyTree(dir))
	}
	return errors.Join(errs...)
}

// destroyPods removes all pods through the runtime.
func destroyPods(ctx context.Context, opts Options) error {
	e, err := Open(ctx, opts)
	if err != nil {
		return err
	}
	defer e.Close()
	pods, err := e.Pods(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range pods {
		errs = append(errs, p.Remove(ctx, 0, nil))
	}
	return errors.Join(errs...)
}
