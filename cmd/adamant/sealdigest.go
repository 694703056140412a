package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
)

// images is the store of images; pod.Engine implements it.
type images interface {
	Image(ctx context.Context, ref string) (pod.Image, error)
}

// checkDigests refuses profiles of images that were replaced since they were
// learned, because the writes of the new one are unknown. An image that is not
// loaded cannot be checked, for which it prints a note.
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
	for _, w := range f.Workloads() {
		for _, p := range named(all, w.Kind+"/"+w.Name) {
			if err := a.checkDigest(ctx, e, p, f.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// noStore reports whether no image was ever loaded, or the user is not root.
func (a *app) noStore() bool {
	if a.endpoint != "" {
		return false
	}
	_, err := os.Stat(filepath.Join(or(a.root, pod.DefaultRoot), "containerd"))
	return os.Geteuid() != 0 || errors.Is(err, fs.ErrNotExist)
}

func (a *app) checkDigest(ctx context.Context, store images, p profile.Profile, file string) error {
	for _, c := range p.Containers {
		img, err := store.Image(ctx, c.Image)
		switch {
		case errors.Is(err, pod.ErrNoImage):
			a.progress("note: image %s is not loaded here, so it was not checked that the profile of %s is of the same one", c.Image, p.Name)
		case err != nil:
			return err
		case c.Digest != "" && c.Digest != img.Digest.String():
			return hint{
				fmt.Errorf("%s, container %s: the profile is of %s with %.19s, but that is now %.19s", p.Name, c.Name, c.Image, c.Digest, img.Digest),
				"learn it anew: adamant learn " + file + "; or seal by the old profile all the same with --any-digest",
			}
		}
	}
	return nil
}
