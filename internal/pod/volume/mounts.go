package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// Unmount detaches all mounts on path. It returns nil if path is not a mount point
// or does not exist.
func Unmount(path string) error {
	for {
		// MNT_DETACH, because a process that still uses the mount would otherwise
		// make it fail (EBUSY). UMOUNT_NOFOLLOW, because path may be in a volume,
		// where a container can replace it by a symbolic link.
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		switch {
		case err == nil:
			continue // mounts may be stacked
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		}
		return fmt.Errorf("unmount %s: %w", path, err)
	}
}

// UnmountBelow detaches all mounts on dir or below it, the latest first. It
// returns an error if a mount is left, through which a caller that removes dir
// would remove the machine's own files.
func UnmountBelow(dir string) error {
	points, err := Below(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range slices.Backward(points) {
		errs = append(errs, Unmount(p))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	left, err := Below(dir)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("still mounted: %v", left)
	}
	return err
}

// Below lists the mount points on dir and below it, in the order in which they
// were mounted. It resolves symbolic links in dir, because the mount table
// contains resolved paths.
func Below(dir string) ([]string, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	table, err := mounts.Self()
	if err != nil {
		return nil, err
	}
	return below(table, dir), nil
}

func below(table []mounts.Mount, dir string) []string {
	dir = filepath.Clean(dir)
	var points []string
	for _, m := range table {
		if m.Point == dir || strings.HasPrefix(m.Point, dir+"/") {
			points = append(points, m.Point)
		}
	}
	return points
}
