package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/spf13/pflag"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/policy"
)

// checkImages are the images that are available to a check.
type checkImages struct {
	sources []string // of --image: archives and layouts
	all     map[string]*checkImage
	opened  []*checkImage // one for each source
}

// A checkImage is the images of one source.
type checkImage struct {
	source   string
	contents map[string]*policy.ImageContent // by name and digest
	used     atomic.Bool
}

func (c *checkImages) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&c.sources, "image", nil, "archive of images that the manifests use, or OCI layout: with it, it is known which files volumes hide and where code is; may be repeated")
}

// open reads the images of all sources.
func (c *checkImages) open(ctx context.Context) error {
	c.all = map[string]*checkImage{}
	for _, source := range c.sources {
		one := &checkImage{source: source, contents: map[string]*policy.ImageContent{}}
		if err := one.read(ctx); err != nil {
			return fmt.Errorf("--image %s: %w", source, err)
		}
		for name := range one.contents {
			c.all[name] = one
		}
		c.opened = append(c.opened, one)
	}
	return nil
}

func (c *checkImage) read(ctx context.Context) error {
	set, err := image.OpenArchive(ctx, c.source, image.OpenOptions{})
	if err != nil {
		return err
	}
	defer set.Close()
	for _, img := range set.Images {
		content, err := contentOf(ctx, img)
		if err != nil {
			return err
		}
		for _, name := range append(img.Names, content.Digest, img.Stored.Target.Digest.String()) {
			c.contents[name] = content
		}
	}
	return nil
}

// contentOf reads an image of an archive.
func contentOf(ctx context.Context, img image.Image) (*policy.ImageContent, error) {
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, err
	}
	root, _, err := image.Flatten(ctx, img, image.FlattenOptions{NoContent: true})
	if err != nil {
		return nil, err
	}
	return &policy.ImageContent{
		Tree: root, Path: searchPath(file.Config.Env), WorkDir: file.Config.WorkingDir, Entrypoint: file.Config.Entrypoint, Cmd: file.Config.Cmd,
		Digest: digest.String(), Index: img.Stored.Index(),
	}, nil
}

// searchPath returns the directories of the PATH of an environment.
func searchPath(env []string) []string {
	var dirs []string
	for _, variable := range env {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			dirs = strings.Split(value, ":") // the last one counts
		}
	}
	return dirs
}

// content returns the content of an image by its reference in a manifest, or nil.
func (c *checkImages) content(reference string) *policy.ImageContent {
	ref, err := image.ParseReference(reference)
	if err != nil {
		return nil
	}
	key := ref.Name()
	if ref.Digest != "" {
		key = ref.Digest
	}
	one := c.all[key]
	if one == nil {
		return nil
	}
	one.used.Store(true)
	return one.contents[key]
}

// end returns a note for each source that no container uses.
func (c *checkImages) end() []string {
	var notes []string
	for _, one := range c.opened {
		if !one.used.Load() {
			notes = append(notes, fmt.Sprintf("--image %s: no container that was checked has one of its images", one.source))
		}
	}
	return notes
}
