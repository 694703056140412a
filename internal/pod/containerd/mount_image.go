package containerd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// viewLabel is the label with the target on the snapshot of a mounted view.
const viewLabel = "adamant.sh/view"

// Mount mounts the root file system of an image read-only at target, which is
// created if it does not exist. The mount stays until Unmount, also after the
// end of this process. Mounting the same image again changes nothing; another
// image replaces it.
func (d *Daemon) Mount(ctx context.Context, ref, target string) error {
	img, err := d.Image(ctx, ref)
	if err != nil {
		return err
	}
	unlock, err := d.lockViews(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.mountView(ctx, img.ChainID.String(), target); err != nil {
		return fmt.Errorf("mount image %s at %s: %w", ref, target, err)
	}
	return nil
}

func (d *Daemon) mountView(ctx context.Context, parent, target string) error {
	snapshotter := d.client.SnapshotService(d.snapshotter)
	key := viewKey(target)
	mounted, err := isMounted(target)
	if err != nil {
		return err
	}
	if info, err := snapshotter.Stat(ctx, key); err == nil && mounted && info.Parent == parent {
		return nil
	}
	// A view of another image, or the half of a view that a killed process
	// left: a snapshot without its mount.
	if err := d.unmountView(ctx, key, target); err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	mounts, err := snapshotter.View(ctx, key, parent, snapshots.WithLabels(map[string]string{
		viewLabel: target,
		// Without a lease the garbage collector would remove the snapshot.
		"containerd.io/gc.root": time.Now().UTC().Format(time.RFC3339),
	}))
	if err != nil {
		return err
	}
	for i := range mounts {
		mounts[i].Options = readOnly(mounts[i].Options)
	}
	if err := mount.All(mounts, target); err != nil {
		return errors.Join(err, d.unmountView(context.WithoutCancel(ctx), key, target))
	}
	return nil
}

// readOnly returns the options of a mount with "ro" in place of "rw".
func readOnly(options []string) []string {
	ro := []string{"ro"}
	for _, o := range options {
		if o != "rw" && o != "ro" {
			ro = append(ro, o)
		}
	}
	return ro
}

// Unmount unmounts the view at target and removes its snapshot. It returns nil
// if nothing is mounted there. The directory stays.
func (d *Daemon) Unmount(ctx context.Context, target string) error {
	if d.client == nil {
		return nil
	}
	unlock, err := d.lockViews(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.unmountView(ctx, viewKey(target), target); err != nil {
		return fmt.Errorf("unmount %s: %w", target, err)
	}
	return nil
}

func (d *Daemon) unmountView(ctx context.Context, key, target string) error {
	// Mounts can be stacked on one target.
	for {
		mounted, err := isMounted(target)
		if err != nil {
			return err
		}
		if !mounted {
			break
		}
		if err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return err
		}
	}
	err := d.client.SnapshotService(d.snapshotter).Remove(ctx, key)
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// sweepViews removes the snapshots of views that are no longer mounted: after a
// reboot, or if a process was killed between the two steps.
func (d *Daemon) sweepViews(ctx context.Context) error {
	if d.client == nil {
		return nil
	}
	unlock, err := d.lockViews(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	stale := map[string]string{}
	err = d.client.SnapshotService(d.snapshotter).Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		target := info.Labels[viewLabel]
		mounted, err := isMounted(target)
		if !mounted {
			stale[info.Name] = target
		}
		return err
	}, fmt.Sprintf("labels.%q", viewLabel))
	if err != nil {
		return fmt.Errorf("sweep views: %w", err)
	}
	for key, target := range stale {
		if err := d.unmountView(ctx, key, target); err != nil {
			return fmt.Errorf("sweep view of %s: %w", target, err)
		}
	}
	return nil
}

// lockViews excludes other processes that mount, unmount or sweep views: a view
// that is being mounted has its snapshot first and must not be swept.
func (d *Daemon) lockViews(ctx context.Context) (unlock func(), err error) {
	if d.client == nil {
		return nil, errNotContainerd
	}
	if err := os.MkdirAll(d.layout.viewDir(), 0o711); err != nil {
		return nil, err
	}
	return lockFile(ctx, filepath.Join(d.layout.viewDir(), "lock"))
}

func viewKey(target string) string {
	sum := sha256.Sum256([]byte(target))
	return "adamant-view-" + hex.EncodeToString(sum[:8])
}

func isMounted(target string) (bool, error) {
	table, err := mounts.Self()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(table, func(m mounts.Mount) bool { return m.Point == target }), nil
}
