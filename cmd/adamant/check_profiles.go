package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/seal"
	"github.com/adamant-sh/adamant/internal/text"
)

// checkProfiles are the profiles of a check: those that are named, and those beside the
// manifests. Its zero value has none, for rules that need none.
type checkProfiles struct {
	files   []string // of --profile
	folder  string   // of --profiles
	enabled bool
	named   []profile.Profile
	shared  []profile.Profile // in the folder
	today   string
	input   *checkInput

	mu     sync.Mutex
	beside map[string]*besideProfiles // by folder

	// Of the documents that were yielded.
	used      map[string]bool // by learn.Called
	notes     []string
	noted     map[string]bool
	workloads int
	first     learn.Workload
}

// besideProfiles are the profiles in a folder of manifests.
type besideProfiles struct {
	profiles []profile.Profile
	err      error
	unfit    bool            // one is of a workload, and must not be used for it
	names    map[string]bool // of manifests that were checked, without the extension
}

// profiled is what a document needs by its profiles.
type profiled struct {
	seal.Needed
	beside *besideProfiles
}

func (c *checkProfiles) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&c.files, "profile", nil, "compare the volumes of its workload with this profile, from adamant learn; may be repeated")
	flags.StringVar(&c.folder, "profiles", "", "folder of adamant learn --save DIR/: compare with those of its profiles that fit")
}

// open reads the profiles that are named and those beside the paths of the input, so that an
// error in them is found before anything is printed.
func (c *checkProfiles) open(in *checkInput, rules []policy.Rule, today string) (err error) {
	c.input, c.today, c.beside, c.used = in, today, map[string]*besideProfiles{}, map[string]bool{}
	c.noted = map[string]bool{}
	c.enabled = slices.ContainsFunc(rules, func(r policy.Rule) bool { return policy.NeedsProfile(r.ID) })
	if !c.enabled {
		if len(c.files) > 0 || c.folder != "" {
			return usagef("--profile and --profiles are for the rules %s and %s, which --rules leaves out", policy.MissingVolume, policy.SuperfluousVolume)
		}
		return nil
	}
	if c.named, err = learn.LoadProfiles(c.files); err == nil && c.folder != "" {
		c.shared, err = learn.LoadFolder(c.folder)
	}
	if err != nil || in.cluster != nil {
		return err
	}
	for _, path := range in.Paths {
		if path == "-" {
			continue
		}
		if b := c.in(filepath.Clean(folderOf(path))); b.err != nil {
			return b.err
		}
	}
	return nil
}

// in returns the profiles in a folder of manifests.
func (c *checkProfiles) in(folder string) *besideProfiles {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.beside[folder]
	if b == nil {
		b = &besideProfiles{names: map[string]bool{}}
		b.profiles, b.err = learn.LoadBeside(folder)
		c.beside[folder] = b
	}
	return b
}

// of returns what a document needs by its profiles. It may be called by several goroutines.
func (c *checkProfiles) of(d *manifest.Document, configs []*policy.Config) profiled {
	if !c.enabled {
		return profiled{}
	}
	beside := &besideProfiles{}
	if c.input.cluster == nil && d.File != source.StdinName {
		beside = c.in(filepath.Dir(d.File))
	}
	fitter := learn.Fitter{Profiles: slices.Clip(c.named)}
	for _, p := range beside.profiles {
		// Of several profiles of an image, as of an older one, none is preferred.
		if learn.OfImage(p) {
			fitter.Shared = append(fitter.Shared, p)
		} else {
			fitter.Profiles = append(fitter.Profiles, p)
		}
	}
	fitter.Shared = append(fitter.Shared, c.shared...)
	if len(fitter.Profiles)+len(fitter.Shared) == 0 {
		return profiled{beside: beside}
	}
	needed := seal.Needs(d, fitter, c.today, configs...)
	d.NotUnderstood = append(d.NotUnderstood, needed.Unfit...)
	return profiled{needed, beside}
}

func (p profiled) err() error {
	if p.beside == nil {
		return nil
	}
	return p.beside.err
}

// yield notes which profiles a document has used, in the order of the documents.
func (c *checkProfiles) yield(d *manifest.Document, one checked) {
	p := one.profiled
	for _, used := range p.Used {
		c.used[learn.Called(used)] = true
	}
	if p.beside != nil && p.beside.names != nil {
		p.beside.unfit = p.beside.unfit || len(p.Unfit) > 0
		p.beside.names[strings.TrimSuffix(filepath.Base(d.File), filepath.Ext(d.File))] = true
	}
	if c.workloads == 0 && len(p.Workloads) > 0 {
		c.first = p.Workloads[0]
	}
	c.workloads += len(p.Workloads)
	for _, note := range slices.Concat(p.Notes, one.Notes) {
		if !c.noted[note] {
			c.noted[note] = true
			c.notes = append(c.notes, note)
		}
	}
}

// end returns the notes of the check, and an error for a profile that was named and is of
// none of the workloads.
func (c *checkProfiles) end() ([]string, error) {
	for _, folder := range slices.Sorted(maps.Keys(c.beside)) {
		b := c.beside[folder]
		if b.unfit {
			continue // the check has named the workload, and what to do
		}
		for _, p := range b.profiles {
			if !c.used[learn.Called(p)] && !c.isNamed(p) && (c.covers(folder) || b.names[strings.TrimSuffix(filepath.Base(p.File), learn.Extension)]) {
				c.notes = append(c.notes, fmt.Sprintf("%s is beside the manifests, but fits none of the workloads that were checked", learn.Called(p)))
			}
		}
	}
	for _, p := range c.named {
		if !c.used[learn.Called(p)] {
			return c.notes, learn.Unused(p, text.Cut(c.input.names()[0], 100), c.workloads, c.first)
		}
	}
	return c.notes, nil
}

// isNamed reports whether a profile of the same workload is named, which goes first.
func (c *checkProfiles) isNamed(p profile.Profile) bool {
	return slices.ContainsFunc(c.named, func(named profile.Profile) bool { return named.Name == p.Name })
}

// covers reports whether all of a folder was checked.
func (c *checkProfiles) covers(folder string) bool {
	full, err := filepath.Abs(folder)
	return err == nil && (&source.Inherited[int]{Paths: c.input.Paths}).Covers(full)
}
