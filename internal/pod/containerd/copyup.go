package containerd

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"time"
)

// CopyUpImage names the image of Adamant's own executable, which init
// containers run to copy an image's content into volumes. Its entry point is
// "/adamant".
const CopyUpImage = "adamant.sh/copy-up:v1"

// EnsureCopyUpImage builds CopyUpImage from the executable at path, which must
// be static, because the image contains nothing else. An image that was built
// from the same file, by size and modification time, is kept.
func (d *Daemon) EnsureCopyUpImage(ctx context.Context, path string) error {
	if d.client == nil {
		return fmt.Errorf("make image %s: %w", CopyUpImage, errNotContainerd)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("make image %s: %w", CopyUpImage, err)
	}
	return d.ensureBuilt(ctx, builtImage{
		name: CopyUpImage, program: "adamant",
		version: fmt.Sprintf("%d %s", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano)),
		open: func() (io.ReadCloser, int64, error) {
			if err := checkStatic(path); err != nil {
				return nil, 0, err
			}
			f, err := os.Open(path)
			return f, info.Size(), err
		},
	})
}

// checkStatic returns an error if a program needs an interpreter (ld.so), which
// the image does not contain: execve would fail with ENOENT.
func checkStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not static: build it with make, or with CGO_ENABLED=0", path)
		}
	}
	return nil
}
