package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/test/deeptree"
)

// The targets of large trees: the memory of the whole process that compares, and the time
// of processors that it needs.
const (
	targetMemory = 64 << 20
	targetCPU    = 10 * time.Second
)

// measureLarge measures trees that a container could make to delay its comparison: as the
// upper directory of an overlay, and as a root that is compared file by file. Each is
// compared in a process of its own.
func measureLarge(ctx context.Context) error {
	for _, tt := range []struct {
		name  string
		make  func(dir string) error
		least int // changes
	}{
		{"6,000 nested directories, names of 255", func(dir string) error { return deeptree.Make(dir, 6000, 255) }, 6000},
		{"60,000 nested directories, names of 1", func(dir string) error { return deeptree.Make(dir, 60_000, 1) }, 60_000},
		{"200,000 new files", func(dir string) error { return burst(dir, 200_000) }, 200_000},
	} {
		if err := large(ctx, tt.name, tt.make, tt.least); err != nil {
			return fmt.Errorf("%s: %w", tt.name, err)
		}
	}
	return nil
}

// large makes the tree in the upper directory of an overlay and compares it.
func large(ctx context.Context, name string, fill func(string) error, least int) (err error) {
	dir, err := os.MkdirTemp("/var/tmp", "adamant-bench-")
	if err != nil {
		return err
	}
	// os.RemoveAll opens each directory by its path from the root.
	defer func() { err = errors.Join(err, exec.Command("rm", "-rf", dir).Run()) }()
	upper, lower := filepath.Join(dir, "upper"), filepath.Join(dir, "lower")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(lower, 0o755), fill(upper)); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return errors.Join(compareIn(ctx, self, name, lower+":"+upper, least), compareIn(ctx, self, "  as a root", upper, least))
}

// compareIn compares in another process, and prints what it needed.
func compareIn(ctx context.Context, self, name, dirs string, least int) error {
	cmd := exec.CommandContext(ctx, self, "-compare", dirs)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var changes, unknowns, memory int
	if _, err := fmt.Sscan(string(out), &changes, &unknowns, &memory); err != nil {
		return err
	}
	if changes < least || unknowns > 0 {
		return fmt.Errorf("%d changes and %d unknowns, but %d changes were made", changes, unknowns, least)
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Printf("  %-46s %5.1f s of processor, target: at most %.0f s: %s\n", name, used.Seconds(), targetCPU.Seconds(), verdict(used <= targetCPU))
	fmt.Printf("  %-46s %5d MB of memory, target: at most %d MB: %s\n", "", memory>>20, targetMemory>>20, verdict(memory <= targetMemory))
	return nil
}

func verdict(isReached bool) string {
	if isReached {
		return "reached"
	}
	return "MISSED"
}

// compareDirs is the process that large starts. It prints the number of changes and of
// unknowns, and its peak memory in bytes.
func compareDirs(ctx context.Context, dirs string) error {
	r, err := compareTree(ctx, dirs)
	if err != nil {
		return err
	}
	// Not ru_maxrss: that includes the process that started this one, from before exec.
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	if _, err := fmt.Sscan(peak, &kib); err != nil {
		return err
	}
	fmt.Println(r.Len(), r.UnknownLen(), kib<<10)
	return nil
}

// compareTree compares two directories of an overlay, or a root with an image that has no
// files.
func compareTree(ctx context.Context, dirs string) (drift.Report, error) {
	if lower, upper, isOverlay := strings.Cut(dirs, ":"); isOverlay {
		return inspect.Overlay(ctx, overlay.Mount{Lower: []string{lower}, Upper: upper})
	}
	img, err := image.New(image.Config{})
	if err != nil {
		return drift.Report{}, err
	}
	root, err := rootfs.Open(dirs)
	if err != nil {
		return drift.Report{}, err
	}
	defer root.Close()
	return inspect.Root(ctx, root, image.Image{Image: img}, image.FlattenOptions{})
}

// burst makes small files, in directories of 1,000.
func burst(root string, files int) error {
	for i := range files {
		dir := filepath.Join(root, fmt.Sprint("d", i/1000))
		if i%1000 == 0 {
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), []byte("x"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
