package report

import (
	"bufio"
	"fmt"
	"io"

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
		if r.Phase != rollout.Complete {
			return Findings
		}
		if len(r.Unchecked) > 0 {
			verdict = Incomplete
		}
	}
	return verdict
}

// WriteText implements Text.
func (c ClusterApplyResult) WriteText(w io.Writer, _ bool) error {
	b := bufio.NewWriter(w)
	for _, r := range c.Items {
		fmt.Fprintf(b, "Deployment/%s generation %d: %s", r.Name, r.Generation, r.Phase)
		if r.Reason != "" {
			fmt.Fprintf(b, ": %s", text.EscapeLines(r.Reason))
		}
		fmt.Fprintln(b)
	}
	return b.Flush()
}
