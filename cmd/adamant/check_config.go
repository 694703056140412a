package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/report"
)

// checkConfigs are the configurations of a check: those of the folders of its files, or one
// for all.
type checkConfigs struct {
	one     *policy.Config
	folders source.Inherited[*policy.Config]
}

// openCheckConfigs reads the configuration that is named, or those of some files or folders,
// so that an error in them is found before anything is printed. All of paths will be checked.
func openCheckConfigs(name string, paths, folders []string) (*checkConfigs, error) {
	c := &checkConfigs{folders: source.Inherited[*policy.Config]{
		Name: source.ConfigName, Limit: policy.MaxConfigSize, Paths: paths, Parse: policy.ParseConfig,
	}}
	if name != "" {
		data, err := source.ReadRegular(name, policy.MaxConfigSize)
		if err == nil {
			c.one, err = policy.ParseConfig(name, data)
		}
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		return c, nil
	}
	for _, path := range folders {
		if _, err := c.of(folderOf(path)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// folderOf returns a path that is a folder, or the folder that a file is in.
func folderOf(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return path
	}
	return filepath.Dir(path)
}

// of returns the configurations for the files of a folder.
func (c *checkConfigs) of(folder string) ([]*policy.Config, error) {
	if c.one != nil {
		return []*policy.Config{c.one}, nil
	}
	configs, err := c.folders.Of(folder)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return configs, nil
}

// checkEach checks the documents of an input, and then the configurations that were used.
func checkEach(ctx context.Context, checker policy.Checker, configs *checkConfigs, profiles *checkProfiles, known *checkBaseline, in *checkInput, w report.CheckWriter) (source.Count, error) {
	tally := policy.Tally{Checker: checker}
	count, err := in.each(ctx, func(d *manifest.Document) checked {
		if len(d.Objects) == 0 {
			return checked{}
		}
		applied, err := configs.of(in.folder(d))
		if err != nil {
			return checked{err: err}
		}
		needed := profiles.of(d, applied)
		one := checker
		one.Needs = needed.Needs
		return checked{one.Check(d, applied...), needed, needed.err()}
	}, func(d *manifest.Document, c checked) error {
		if c.err != nil {
			return c.err
		}
		profiles.yield(d, c)
		tally.Add(d, c.Result)
		known.cover(&c.Result)
		return w.Document(d, c.Result)
	})
	if err != nil {
		return count, err
	}
	return count, configs.each(func(config *policy.Config, all bool) error {
		r := tally.Findings(config, all)
		if len(r.Findings) == 0 {
			return nil
		}
		return w.Document(&manifest.Document{File: config.File}, r)
	})
}

// each calls do with each configuration, and whether all that it is for was checked.
func (c *checkConfigs) each(do func(config *policy.Config, all bool) error) error {
	if c.one != nil {
		return do(c.one, true)
	}
	found := c.folders.All()
	slices.SortFunc(found, func(a, b source.Found[*policy.Config]) int { return strings.Compare(a.Folder, b.Folder) })
	for _, f := range found {
		if err := do(f.Value, c.folders.Covers(f.Folder)); err != nil {
			return err
		}
	}
	return nil
}
