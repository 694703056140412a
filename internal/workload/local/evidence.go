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

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

// maxEvidence is the number of instances per workload whose evidence is kept.
// The oldest is removed first.
const maxEvidence = 20

// evidenceTimeout bounds the time for saving the evidence of an instance.
const evidenceTimeout = time.Minute

// saveEvidence saves the changes of an instance before the instance is replaced, and
// again if there are more: the report of each container as text and JSON, and the changed
// files as a tar archive.
func (w *workload) saveEvidence(i *instance, p *pod.Pod, found []comparedContainer) {
	// The comparison may have used its time.
	ctx, cancel := context.WithTimeout(w.ctx, evidenceTimeout)
	defer cancel()
	parent := filepath.Join(w.controller.root, "fleet", "evidence", w.key.Namespace, w.key.Kind, w.key.Name)
	dir := filepath.Join(parent, time.Now().UTC().Format("20060102T150405.000Z")+"-"+i.ID)
	if err := writeEvidence(ctx, dir, p, found); err != nil {
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

// writeEvidence writes a directory that is either complete or absent. Containers without
// changes have no part in it. The first one's files are named changes.tar, drift.txt and
// drift.json, the next one's changes-NAME.tar, and so on.
func writeEvidence(ctx context.Context, dir string, p *pod.Pod, found []comparedContainer) error {
	tmp := filepath.Join(filepath.Dir(dir), ".new-"+filepath.Base(dir))
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	var err error
	suffix := ""
	for _, c := range found {
		if c.Clean() {
			continue
		}
		if err = writeContainer(ctx, tmp, suffix, p, c); err != nil {
			break
		}
		suffix = "-" + c.Name
	}
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// writeContainer writes the evidence of one container.
func writeContainer(ctx context.Context, dir, suffix string, p *pod.Pod, c comparedContainer) error {
	name, r := p.Name+"/"+c.Name, c.Report
	// The archive is written first: the report lists the entries that it lacks.
	err := durable.Write(filepath.Join(dir, "changes"+suffix+".tar"), 0o600, func(w io.Writer) error {
		left, err := p.SaveChanges(ctx, c.Container, r, w)
		for _, u := range left {
			r.Unknowns = append(r.Unknowns, tree.Unknown{Path: u.Path, Err: fmt.Errorf("not in changes.tar: %w", u.Err)})
		}
		return err
	})
	return errors.Join(err,
		durable.Write(filepath.Join(dir, "drift"+suffix+".txt"), 0o600, func(w io.Writer) error {
			return report.Drift(w, name, r, report.DriftOptions{All: true})
		}),
		durable.Write(filepath.Join(dir, "drift"+suffix+".json"), 0o600, func(w io.Writer) error {
			return json.NewEncoder(w).Encode(report.NewDriftReport(name, r))
		}),
	)
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
