package containerd

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/containerd/errdefs"
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
	const label = "adamant.sh/program"
	want := fmt.Sprintf("%d %s", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
	old, err := d.client.ImageService().Get(ctx, CopyUpImage)
	if err == nil && old.Labels[label] == want {
		return nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("make image %s: %w", CopyUpImage, err)
	}
	if err := checkStatic(path); err != nil {
		return fmt.Errorf("make image %s: %w", CopyUpImage, err)
	}
	return d.buildImage(ctx, builtImage{
		name: CopyUpImage, program: "adamant",
		labels: map[string]string{label: want},
		open: func() (io.ReadCloser, int64, error) {
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
