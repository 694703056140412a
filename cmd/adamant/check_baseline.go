package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/report"
)

// A checkBaseline is the baseline that a check reads or writes.
type checkBaseline struct {
	*policy.Baseline
	writes bool
}

// openBaseline returns the baseline of one of the flags, or nil without them. A file that
// cannot be read is an error: without it, all findings would be new.
func openBaseline(read, write string) (*checkBaseline, error) {
	switch {
	case read != "" && write != "":
		return nil, usagef("--baseline and --write-baseline exclude each other: --write-baseline replaces the file")
	case write != "":
		return &checkBaseline{policy.NewBaseline(write), true}, nil
	case read == "":
		return nil, nil
	}
	data, err := source.ReadRegular(read, policy.MaxBaselineSize)
	if err != nil {
		err = fmt.Errorf("read baseline: %w", err)
		if errors.Is(err, fs.ErrNotExist) {
			err = hint{err, "write it first: adamant check PATH --write-baseline " + read}
		}
		return nil, err
	}
	b, err := policy.ParseBaseline(read, data)
	if err != nil {
		return nil, err
	}
	return &checkBaseline{b, false}, nil
}

// counts returns what the summary of the check counts, or nil.
func (b *checkBaseline) counts() *report.CheckBaseline {
	if b == nil {
		return nil
	}
	return &report.CheckBaseline{File: b.File, Written: b.writes}
}

func (b *checkBaseline) cover(r *policy.Result) {
	switch {
	case b == nil:
	case b.writes:
		b.Add(r)
	default:
		b.Cover(r)
	}
}

// end writes the baseline, or counts what did not occur.
func (b *checkBaseline) end(rules []policy.Rule, counts *report.CheckBaseline) error {
	if b == nil {
		return nil
	}
	if !b.writes {
		counts.Gone = b.Gone(rules)
		return nil
	}
	content, err := b.Encode()
	if err == nil {
		err = durable.WriteTarget(b.File, content, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write baseline: %w", err)
	}
	return nil
}
