// Command up runs the test cluster for interactive use, with its files in the
// directory of its argument, until that has a file named stop. scripts/cluster runs it
// in test/cluster/isolate.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/adamant-sh/adamant/test/appimage"
	"github.com/adamant-sh/adamant/test/cluster"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	images, err := cluster.BuildImages(ctx, dir)
	if err != nil {
		return fmt.Errorf("build images: %w", err)
	}
	c, err := cluster.Start(ctx, dir, cluster.Options{
		Programs:   os.Getenv("ADAMANT_CLUSTER_BIN"),
		Containerd: os.Getenv("ADAMANT_CLUSTER_CONTAINERD"),
		Images:     images,
		Pause:      appimage.Reference("inspector"),
	})
	if err != nil {
		return err
	}
	err = os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600)
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "stop")); err == nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	return errors.Join(err, c.Close())
}
