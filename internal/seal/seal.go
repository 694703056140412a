// Package seal seals the manifests of a repository as they are written in files: by what
// the rule root-not-read-only finds, and by profiles where there are some. It also pins images
// by their digests, which it asks for through Pinning.Resolve.
//
// It starts nothing, needs no root, and writes no file: what a workload writes is learned by
// package learn, and how a field of a manifest is edited is known to package manifest.
package seal

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"slices"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// Options configures Files and Folders. The zero value works.
type Options struct {
	Fitter learn.Fitter
	CopyUp manifest.SealOptions // without Note
	Pin    *Pinning             // nil leaves images as they are
	Charts source.ChartOptions  // for Folders

	Today   string                                        // the day in UTC; see policy.Checker
	Configs func(folder string) ([]*policy.Config, error) // exceptions for the files of a folder; may be nil
}

// Files seals the manifests at paths; see source.EachAsWritten. It writes nothing: the
// files of the result return their new content.
//
// The error is that of reading, or of a profile that must not be used. What cannot be sealed
// alone is in the result.
func Files(ctx context.Context, paths []string, stdin io.Reader, opts Options) (*Result, error) {
	in := &recorder{r: stdin}
	s := newSealer(opts)
	from := io.Reader(in)
	if s.pinner != nil {
		if err := s.resolveAll(ctx, paths, in); err != nil {
			return nil, err
		}
		from = bytes.NewReader(in.data.Bytes()) // standard input was read to its end
	}
	r := newResult()
	count, err := source.EachAsWritten(ctx, paths, from, s.document, func(d *manifest.Document, one sealed) error {
		if one.err != nil {
			return one.err
		}
		r.add(d, one, in)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.Summary.Files, r.Summary.Documents = count.Files, count.Documents
	return r, r.finish(paths, opts)
}

// finish finds the shared profiles that were used. It is an error if another one was not.
func (r *Result) finish(paths []string, opts Options) error {
	for i, p := range opts.Fitter.Shared {
		if r.shared[i] {
			r.Shared = append(r.Shared, p)
		}
	}
	for i, p := range opts.Fitter.Profiles {
		if !r.used[i] && (r.workloads > 0 || len(r.NotUnderstood) == 0) {
			return learn.Unused(p, text.Cut(filepath.Clean(paths[0]), 100), r.workloads, r.first)
		}
	}
	return nil
}

// only returns the rule with an ID.
func only(id string) []policy.Rule {
	return slices.DeleteFunc(policy.Rules(), func(r policy.Rule) bool { return r.ID != id })
}

// sealer seals documents.
type sealer struct {
	Options
	checker policy.Checker
	pinner  *pinner // nil leaves images as they are

	renderCommand string // that prints the objects of a folder; empty for files
}

func newSealer(opts Options) sealer {
	return sealer{
		Options: opts, pinner: newPinner(opts.Pin, opts.Today),
		checker: policy.Checker{Rules: only(policy.RootNotReadOnly), Today: opts.Today},
	}
}

// configsOf returns the configurations with exceptions for a document.
func (s sealer) configsOf(d *manifest.Document) ([]*policy.Config, error) {
	if s.Configs == nil {
		return nil, nil
	}
	return s.Configs(filepath.Dir(d.File))
}

// sealed is how a document is sealed.
type sealed struct {
	edit  manifest.Edit
	left  manifest.Errors // what could not be sealed
	notes []string
	err   error

	notPinned manifest.Errors
	pinned    []string // references of images that got a digest, one for each

	excepted []Exception
	toLearn  []ToLearn
	used     []int // profiles
	shared   []int // shared profiles

	workloads        []learn.Workload // with a profile or without
	pods             int
	sealedContainers int // that were not read-only, and are now
}

// document seals a document.
func (s sealer) document(d *manifest.Document) sealed {
	if d.PatchOf == "" && s.pinner != nil && len(kustomizedImages(d)) > 0 {
		return s.kustomization(d)
	}
	if d.PatchOf != "" && s.pinner != nil {
		return s.patch(d)
	}
	if d.PatchOf != "" || !d.HasPods() {
		return sealed{}
	}
	one := newDocumentSealer(s, d)
	one.run()
	return one.sealed
}

func newDocumentSealer(s sealer, d *manifest.Document) *documentSealer {
	return &documentSealer{
		sealer: s, document: d,
		objects: map[*manifest.Resource]int{}, containers: map[place]manifest.Value{}, leave: map[place]bool{}, planned: map[place]bool{},
	}
}
