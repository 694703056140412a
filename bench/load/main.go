// Command load measures how long a private containerd takes to load an image
// archive through Adamant, compared with `ctr images import` into the same
// daemon. The two alternate, and the image is removed before each measurement.
// Adamant's time includes a step that ctr does not have: it reads all layers a
// second time to refuse hostile ones.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/leases"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

func main() {
	archive := flag.String("archive", "", "OCI archive to load; if empty one of 8 layers, 8,000 files and 256 MiB is made")
	runs := flag.Int("n", 5, "runs of each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := bench(ctx, *archive, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, archive string, runs int) error {
	dir, err := os.MkdirTemp("", "adamant-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if archive == "" {
		archive = filepath.Join(dir, "archive.tar")
		if err := writeArchive(archive); err != nil {
			return err
		}
	}
	o := containerd.Options{Root: filepath.Join(dir, "root"), State: filepath.Join(dir, "state")}
	d, err := containerd.Start(ctx, o)
	if err != nil {
		return err
	}
	defer containerd.Stop(context.WithoutCancel(ctx), o)
	defer d.Close()
	var ours, theirs []time.Duration
	defer func() { // also after an interrupt, because the completed rounds count
		if len(theirs) > 0 {
			report(ours[:len(theirs)], theirs)
		}
	}()
	for range runs {
		took, err := measure(ctx, d, func() error {
			_, err := d.Import(ctx, archive, containerd.ImportOptions{})
			return err
		})
		if err != nil {
			return err
		}
		ours = append(ours, took)
		if took, err = measure(ctx, d, func() error { return ctrImport(ctx, d, archive) }); err != nil {
			return err
		}
		theirs = append(theirs, took)
	}
	return nil
}

func report(ours, theirs []time.Duration) {
	slices.Sort(ours)
	slices.Sort(theirs)
	a, c := ours[len(ours)/2], theirs[len(theirs)/2]
	fmt.Printf("load: an image archive into the same containerd (medians of %d)\n", len(ours))
	fmt.Printf("  adamant takes %.2f× as long as ctr images import; there is no target\n", a.Seconds()/c.Seconds())
}

// measure measures load with a store that does not have the image, and removes
// the image afterwards.
func measure(ctx context.Context, d *containerd.Daemon, load func() error) (time.Duration, error) {
	begin := time.Now()
	if err := load(); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	images := d.Client().ImageService()
	all, err := images.List(ctx)
	if err != nil {
		return 0, err
	}
	for _, i := range all {
		if i.Labels["io.cri-containerd.pinned"] == "pinned" || i.Target.Digest.String() == "" {
			continue
		}
		if err := images.Delete(ctx, i.Name); err != nil {
			return 0, err
		}
	}
	// Deleting a lease synchronously waits for the garbage collector.
	lease, err := d.Client().LeasesService().Create(ctx, leases.WithRandomID())
	if err != nil {
		return 0, err
	}
	return took, d.Client().LeasesService().Delete(ctx, lease, leases.SynchronousDelete)
}

func ctrImport(ctx context.Context, d *containerd.Daemon, archive string) error {
	ctr := "ctr"
	if dir := os.Getenv(containerd.BinDirEnv); dir != "" {
		ctr = filepath.Join(dir, "ctr")
	}
	socket := strings.TrimPrefix(d.CRI().Endpoint(), "unix://")
	out, err := exec.CommandContext(ctx, ctr, "-a", socket, "-n", containerd.Namespace, "images", "import", archive).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ctr images import: %w: %s", err, out)
	}
	return nil
}
