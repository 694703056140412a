package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/cluster"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// ClusterApplyResult is the document of `apply --context -o json`.
type ClusterApplyResult struct {
	document.List[cluster.Result]
}

// NewClusterApplyResult returns the document of the rollouts in a cluster.
func NewClusterApplyResult(results []cluster.Result) ClusterApplyResult {
	return ClusterApplyResult{document.NewList(document.ClusterApplyResult, results)}
}

// Verdict returns Findings if a rollout did not complete, and Incomplete if pods
// were not compared with their images. A failed rollout outweighs those pods,
// because comparing them would not make it complete.
func (c ClusterApplyResult) Verdict() Verdict {
	verdict := Clean
	for _, r := range c.Items {
		if r.Phase != rollout.Complete && !r.Paused {
			return Findings
		}
		if len(r.Unchecked) > 0 {
			verdict = Incomplete
		}
	}
	return verdict
}

// Names returns the names of the Deployments.
func (c ClusterApplyResult) Names() []Name {
	var names []Name
	for _, r := range c.Items {
		names = append(names, Name{r.Namespace, "Deployment", r.Name})
	}
	return names
}

// WriteText implements Text.
func (c ClusterApplyResult) WriteText(w io.Writer, _ bool) error {
	b := bufio.NewWriter(w)
	for _, r := range c.Items {
		fmt.Fprintf(b, "Deployment/%s generation %d: %s", r.Name, r.Generation, r.Phase)
		if r.Paused {
			fmt.Fprint(b, ", paused by its manifest")
		}
		if r.Reason != "" {
			fmt.Fprintf(b, ": %s", text.EscapeLines(r.Reason))
		}
		fmt.Fprintln(b)
	}
	return b.Flush()
}

// ClusterStatus is the document of `get`, `status` and `rollout status` with
// --context.
type ClusterStatus struct {
	document.List[cluster.Status]
}

// NewClusterStatus returns the document of Deployments in a cluster.
func NewClusterStatus(list ...cluster.Status) ClusterStatus {
	return ClusterStatus{document.NewList(document.ClusterStatus, list)}
}

// Verdict returns Findings if the latest rollout of one was rolled back or failed.
func (c ClusterStatus) Verdict() Verdict {
	for _, s := range c.Items {
		switch s.Phase {
		case rollout.RolledBack, rollout.RollingBack, rollout.Failed:
			return Findings
		}
	}
	return Clean
}

// Names returns the names of the Deployments.
func (c ClusterStatus) Names() []Name {
	var names []Name
	for _, s := range c.Items {
		names = append(names, Name{s.Namespace, "Deployment", s.Name})
	}
	return names
}

// WriteText implements Text.
func (c ClusterStatus) WriteText(w io.Writer, _ bool) error {
	b := bufio.NewWriter(w)
	for _, s := range c.Items {
		fmt.Fprintln(b, text.EscapeLines(s.Line()))
	}
	return b.Flush()
}

// ClusterHistory is the document of `rollout history --context`.
type ClusterHistory struct {
	document.List[cluster.Revision]
}

// NewClusterHistory returns the document of a Deployment's generations.
func NewClusterHistory(list []cluster.Revision) ClusterHistory {
	return ClusterHistory{document.NewList(document.ClusterHistory, list)}
}

// WriteText implements Text.
func (c ClusterHistory) WriteText(w io.Writer, _ bool) error {
	table := text.NewTable(w)
	fmt.Fprintln(table, "GENERATION\tREVISION\tPODS\tAGE\tENDED\tIMAGES\tREASON")
	for _, r := range c.Items {
		fmt.Fprintf(table, "%d\t%d\t%d\t%s\t%s\t%s\t%s\n", r.Generation, r.Revision, r.Replicas, text.Age(time.Since(r.Created)),
			text.OrDash(string(r.Phase)), text.EscapeLines(strings.Join(r.Images, ",")), text.OrDash(text.EscapeLines(r.Reason)))
	}
	return table.Flush()
}

// ClusterDiff is the document of `diff --context`.
type ClusterDiff struct {
	document.List[cluster.Difference]
}

// NewClusterDiff returns the document of what an apply would change in a cluster.
func NewClusterDiff(list []cluster.Difference) ClusterDiff {
	return ClusterDiff{document.NewList(document.ClusterDiff, list)}
}

// Verdict returns Findings if something would be created or changed.
func (c ClusterDiff) Verdict() Verdict {
	for _, d := range c.Items {
		if d.Action != cluster.DiffUnchanged {
			return Findings
		}
	}
	return Clean
}

// Names returns the names of the objects.
func (c ClusterDiff) Names() []Name {
	var names []Name
	for _, d := range c.Items {
		names = append(names, Name{d.Namespace, d.Kind, d.Name})
	}
	return names
}

// WriteText implements Text.
func (c ClusterDiff) WriteText(w io.Writer, _ bool) error {
	b := bufio.NewWriter(w)
	for _, d := range c.Items {
		action := d.Action
		if action != cluster.DiffUnchanged {
			action = "would be " + action
		}
		fmt.Fprintf(b, "%s/%s %s", d.Kind, text.Escape(d.Name), action)
		if d.Note != "" {
			fmt.Fprintf(b, " (%s)", d.Note)
		}
		fmt.Fprintln(b)
		for _, change := range d.Changes {
			fmt.Fprintln(b, "  "+text.EscapeLines(change))
		}
	}
	return b.Flush()
}
