package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

// maxEvidence is the number of instances per workload whose evidence is kept.
// The oldest is removed first.
const maxEvidence = 20

// saveEvidence saves the changes of an instance before the instance is
// replaced: the report as text and JSON, and the changed files as a tar
// archive.
func (w *workload) saveEvidence(ctx context.Context, i *instance, p *pod.Pod, c *pod.Container, r drift.Report) {
	parent := filepath.Join(w.controller.root, "fleet", "evidence", w.key.Namespace, w.key.Kind, w.key.Name)
	dir := filepath.Join(parent, time.Now().UTC().Format("20060102T150405Z")+"-"+i.ID)
	if err := writeEvidence(ctx, dir, p, c, r); err != nil {
		w.controller.log(fmt.Errorf("evidence of instance %s: %w", i.ID, err))
		w.recordEvent("NoEvidence", "what instance %s changed could not be kept: %v", i.ID, err)
		return
	}
	w.mu.Lock()
	i.evidence = dir
	w.mu.Unlock()
	if err := removeOldest(parent, maxEvidence); err != nil {
		w.controller.log(err)
	}
}

// writeEvidence writes a directory that is either complete or absent.
func writeEvidence(ctx context.Context, dir string, p *pod.Pod, c *pod.Container, r drift.Report) error {
	tmp := filepath.Join(filepath.Dir(dir), ".new-"+filepath.Base(dir))
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	// The archive is written first: the report lists the entries that it lacks.
	name := p.Name + "/" + c.Name
	err := durable.Write(filepath.Join(tmp, "changes.tar"), 0o600, func(w io.Writer) error {
		left, err := p.SaveChanges(ctx, c, r, w)
		for _, u := range left {
			r.Unknowns = append(r.Unknowns, tree.Unknown{Path: u.Path, Err: fmt.Errorf("not in changes.tar: %w", u.Err)})
		}
		return err
	})
	err = errors.Join(err,
		durable.Write(filepath.Join(tmp, "drift.txt"), 0o600, func(w io.Writer) error {
			return report.Drift(w, name, r, report.DriftOptions{All: true})
		}),
		durable.Write(filepath.Join(tmp, "drift.json"), 0o600, func(w io.Writer) error {
			return json.NewEncoder(w).Encode(report.NewDriftReport(name, r))
		}),
	)
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// staleAfter is the age of incomplete evidence that a killed process left.
// Evidence in progress is never that old: a comparison takes at most a minute.
const staleAfter = 10 * time.Minute

// removeOldest removes the oldest entries of a directory beyond a number, and
// incomplete ones that a killed process left.
func removeOldest(dir string, keep int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if e.Name()[0] == '.' {
			if info, gone := e.Info(); gone == nil && time.Since(info.ModTime()) > staleAfter {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
			}
			continue
		}
		names = append(names, e.Name())
	}
	slices.Sort(names) // names begin with the time
	for _, name := range names[:max(0, len(names)-keep)] {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
	}
	return err
}
