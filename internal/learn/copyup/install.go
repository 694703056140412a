package copyup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Install copies the running program to a path, so that a container of another
// image can run it from a shared volume. The path has the complete program or
// does not exist, even if Install is killed. A second Install replaces it.
func Install(ctx context.Context, name string) (err error) {
	src, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	unfinished := filepath.Join(filepath.Dir(name), staging)
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("install: %w", err)
	}
	dst, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	err = copyContent(ctx, dst, src, info.Size())
	err = errors.Join(err, dst.Chmod(0o755), dst.Sync(), dst.Close())
	if err == nil {
		err = os.Rename(unfinished, name)
	}
	if err != nil {
		return fmt.Errorf("install %s: %w", name, errors.Join(err, os.Remove(unfinished)))
	}
	return nil
}
