package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
)

// checkDigests refuses profiles of images that were replaced since they were
// learned. It prints a note for each image that cannot be checked.
func (a *app) checkDigests(ctx context.Context, f manifest.File, all []profile.Profile) error {
	if a.noStore() {
		a.progress("note: there are no images here to look at, so it was not checked that the profiles are of the same ones")
		return nil
	}
	e, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	err = learn.CheckDigests(ctx, e, f, all, func(image, workload string) {
		a.progress("note: image %s is not loaded here, so it was not checked that the profile of %s is of the same one", image, workload)
	})
	var replaced *learn.ReplacedImageError
	if errors.As(err, &replaced) {
		return hint{err, "learn it anew: adamant learn " + f.Name + "; or seal by the old profile all the same with --any-digest"}
	}
	return err
}

// noStore reports whether no image was ever loaded, or the user is not root.
func (a *app) noStore() bool {
	if a.endpoint != "" {
		return false
	}
	_, err := os.Stat(filepath.Join(or(a.root, pod.DefaultRoot), "containerd"))
	return os.Geteuid() != 0 || errors.Is(err, fs.ErrNotExist)
}
